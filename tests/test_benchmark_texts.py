"""What `benchmark_model` prints and writes is read right: both dialects, old builds and new."""

import struct
from pathlib import Path

import benchmark_model as program
import pytest

from fr_bench.benchmark.android import _protos, _tool, texts
from fr_bench.benchmark.android._measurement import with_refused
from fr_bench.benchmark.result import Ops, OpTime, Times

_OUTPUT = Path(__file__).with_name("benchmark_output")
CLASSIC_OLD, CLASSIC_NEW, LITERT = (
    (_OUTPUT / f"{name}.txt").read_text() for name in ("classic_old", "classic_new", "litert")
)
CLASSIC_HELP = """usage: benchmark_model <flags>
Flags:
\t--num_runs=50                  \tint32\toptional\texpected number of runs
\t--min_secs=1                   \tfloat\toptional\tminimum number of seconds
\t--warmup_min_secs=0.5          \tfloat\toptional\tminimum number of seconds
\t--warmup_runs=1                \tint32\toptional\tminimum number of runs
\t--num_threads=-1               \tint32\toptional\tnumber of threads
\t--graph=                       \tstring\toptional\tgraph file name
\t--use_xnnpack=false            \tbool\toptional\texplicitly apply the XNNPACK delegate
\t--use_gpu=false                \tbool\toptional\tuse gpu
\t--use_nnapi=false              \tbool\toptional\tuse nnapi delegate api
"""
_ROWS = ("input_layer", "input_layer_shape", "input_layer_value_files", "output_filepath")
NEWER = "".join(f"\t--{name}=\tstring\toptional\tx\n" for name in _ROWS)
LITERT_HELP = CLASSIC_HELP.replace("use_nnapi", "use_npu") + "\t--use_cpu=true\tbool\toptional\tx\n"


def logcat(text: str) -> str:
    """The same as Android's log shows it, without levels in words and with CRLF."""
    lines = (line.removeprefix("INFO: ") for line in text.splitlines())
    return "".join(f"01-11 23:28:59.026  7651  7651 I tflite  : {line}\r\n" for line in lines)


def test_integers_and_scientific_notation_of_an_old_build():
    report = texts.read(CLASSIC_OLD, "none")
    assert report.times == Times(50, 17187.0, 3512391.0, 2950340.0)  # no median, p5 and p95
    assert report.memory_bytes == round(46.0859 * 2**20)
    assert report.ops is None
    assert report.notes == ()
    assert report.error is None
    # The summary of the initialization is another one, and rows come in any order.
    assert report.profile == (
        OpTime("CONV_2D", 15, 2651853.0),
        OpTime("DEPTHWISE_CONV_2D", 13, 296919.0),
        OpTime("SOFTMAX", 1, 232.0),
    )


def test_a_new_build_on_a_gpu_that_takes_a_part():
    report = texts.read(CLASSIC_NEW, "gpu")
    assert report.times == Times(
        25, 92318.0, 235158.0, 145528.0, median_us=141253.0, p5_us=140545.0, p95_us=187533.0
    )
    assert report.memory_bytes == round(73.4102 * 2**20)
    assert report.ops == Ops(total=244, delegated=130, partitions=2)
    assert report.profile is None
    assert report.notes == (
        "not taken: RELU_0_TO_1: Not supported op RELU_0_TO_1",
        "not taken: TRANSPOSE_CONV: Max version supported: 3. Requested version 4.",
        "not taken: DEQUANTIZE",
    )
    # XNNPACK took what the GPU left, which is not what the GPU took.
    assert texts.read(CLASSIC_NEW, "xnnpack").ops.delegated == 100


def test_milliseconds_of_litert():
    report = texts.read(LITERT, "gpu")
    assert report.times == Times(10, 23744730.0, 7441040.0, 7430200.0)
    assert report.memory_bytes == round(6392.5 * 2**20)
    assert report.ops == Ops(244, 244, 1, {})
    assert report.notes == ()  # the NPU is not there, and nobody asked for it
    (note,) = texts.read(LITERT, "npu").notes
    assert "NPU accelerator could not be loaded" in note


def test_litert_with_lines_of_statistics_has_percentiles():
    line = "INFO: count={} first=9 curr=9 min=8 max=9 avg=8.5 std=1 p5=8 median=8 p95=9\n"
    text = LITERT + line.format(1) + line.format(10)
    times = texts.read(text, "gpu").times
    assert (times.runs, times.median_us, times.p95_us, times.init_us) == (10, 8.0, 9.0, 23744730.0)


@pytest.mark.parametrize("name", ["CLASSIC_OLD", "CLASSIC_NEW", "LITERT"])
def test_prefixes_of_the_log_change_nothing(name):
    plain = globals()[name]
    found, expected = (texts.read(one, "gpu") for one in (logcat(plain), plain))
    for part in ("times", "memory_bytes", "ops", "applied", "notes"):
        assert getattr(found, part) == getattr(expected, part), part


@pytest.mark.parametrize(
    ("line", "mean", "median"),
    [
        ("count=1 curr=3512391", 3512391.0, 3512391.0),
        ("count=3 curr=12(all same)", 12.0, 12.0),
        ("count=2 first=1e+07 curr=1 min=1 max=1 avg=5.5e+06 std=2", 5500000.0, None),
    ],
)
def test_forms_of_a_line_of_statistics(line, mean, median):
    times = texts.read(f"count=1 curr=70\n\n{line}\n", "none").times
    assert (times.mean_us, times.median_us, times.first_us) == (mean, median, 70.0)


def test_without_a_warm_up_the_first_is_the_first_that_is_timed():
    text = (
        "count=0\n\ncount=2 first=9 curr=7 min=7 max=9 avg=8 std=1\n\n"
        "Inference timings in us: Init: 5, First inference: 0, Warmup (avg): 0, Inference (avg): 8"
    )
    assert texts.read(text, "none").times == Times(2, 5.0, 9.0, 8.0)


def test_the_summary_of_the_oldest_builds():
    text = (
        "count=1 curr=83235\n\ncount=50 first=1 curr=2 min=1 max=3 avg=79760.9 std=2\n\n"
        "Average inference timings in us: Warmup: 83235, Init: 38467, Inference: 79760.9\n"
        "Peak memory footprint (MB): init=4.92969 overall=138.809\n"
    )
    report = texts.read(text, "none")
    assert report.times == Times(50, 38467.0, 83235.0, 79760.9)
    assert report.memory_bytes == round(138.809 * 2**20)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "count=banana avg=\nInference timings in us: Init: x\n",
        "\x00\x01\ufffd" * 500,
        "count=0\n\ncount=0\n",
        # Ends after the warm-up: its statistics are not those of the inferences.
        CLASSIC_NEW[: CLASSIC_NEW.index("count=25")],
        LITERT[: LITERT.index("Inference (avg)")],
    ],
)
def test_garbage_and_truncated_output_have_no_times(text):
    report = texts.read(text, "xnnpack")
    assert report.times is None
    assert report.profile is None


def test_every_truncation_of_every_text_is_read_or_empty():
    for text in (CLASSIC_OLD, CLASSIC_NEW, LITERT):
        for end in range(0, len(text), 37):
            times = texts.read(text[:end], "gpu").times
            assert times is None or times.runs > 0


def fallback(report: texts.Report, delegate: str) -> tuple[str, ...]:
    return texts.fallback(delegate, report.ops, report.applied)


def replacing(taken: int, total: int, pieces: int, where: str = "") -> str:
    return (
        f"Replacing {taken} out of {total} node(s) with delegate (TfLiteNnapiDelegate) node, "
        f"yielding {pieces} partitions{where}.\n"
    )


@pytest.mark.parametrize(
    ("lines", "ops"),
    [
        (
            "Explicitly applied NNAPI delegate, and the model graph will be completely executed by "
            f"the delegate.\n{replacing(9, 9, 1, ' for the whole graph')}",
            Ops(9, 9, 1, {}),
        ),
        (
            "Applied NNAPI delegate, and the model graph will be completely executed w/ the "
            "delegate.",
            None,
        ),
        # The first of three pieces may be the delegate's or the CPU's.
        (replacing(7, 9, 3), Ops(9, 7)),
        (
            replacing(7, 9, 2, " for subgraph 0") + replacing(3, 4, 2, " for subgraph 1"),
            Ops(13, 10, 2),
        ),
        # The same graph, prepared twice.
        (replacing(8, 9, 2) + replacing(7, 9, 2), Ops(9, 7, 1)),
    ],
)
def test_what_nnapi_took(lines, ops):
    report = texts.read(lines, "nnapi")
    assert report.ops == ops
    assert fallback(report, "nnapi") == ()


@pytest.mark.parametrize(
    "line",
    [
        "Though GPU delegate is explicitly applied, the model graph will not be executed by the "
        "delegate.",
        "Replacing 0 out of 9 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 "
        "partitions.",
    ],
)
def test_a_delegate_that_takes_nothing_is_noted(line):
    (note,) = fallback(texts.read(line, "gpu"), "gpu")
    assert note == "gpu took no op: these are times of the CPU"


def test_a_silent_fallback_is_noted():
    """A delegate was created, and XNNPACK did the work."""
    text = "INFO: Created TensorFlow Lite delegate for GPU.\n" + CLASSIC_OLD
    text += "Replacing 9 out of 9 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 "
    for delegate in ("gpu", "nnapi", "npu"):
        report = texts.read(text, delegate)
        assert report.times is not None
        (note,) = fallback(report, delegate)
        assert "may have fallen back to the CPU" in note
        assert report.ops is None
    assert fallback(texts.read(CLASSIC_OLD, "none"), "none") == ()
    # The proto may say what the text does not.
    assert texts.fallback("gpu", Ops(9, 9), None) == ()


@pytest.mark.parametrize(
    "line",
    [
        "Failed to apply GPU delegate.",
        "Disallowed CPU fallback detected.",
        "[benchmark_litert_model.cc:160] Failed to compile model.",
    ],
)
def test_a_refusal_is_told_from_a_failure(line):
    report = texts.read(f"INFO: STARTING!\nERROR: {line}\nERROR: Benchmarking failed.\n", "gpu")
    assert report.refused
    assert report.error == line.removeprefix("[benchmark_litert_model.cc:160] ")
    other = texts.read("E tflite  : Failed to load model\nE tflite  : Benchmarking failed.", "gpu")
    assert not other.refused
    assert other.error == "Failed to load model"


def test_profiles_of_other_graphs_are_left_out():
    head = "============================== Summary by node type =============================="
    columns = "\t[Node type]\t[count]\t[avg {}]\t[avg %]\t[cdf %]\t[mem KB]\t[times called]"
    row = "\tADD\t1\t2.5\t100%\t100%\t0\t1"
    first = f"Operator-wise Profiling Info for Regular Benchmark Runs:\n{head}\n{columns}\n{row}\n"
    text = first.format("us") + first.format("ms").replace(
        "Operator-wise Profiling Info for Regular Benchmark Runs:", "Delegate internal: "
    )
    assert texts.read(text, "none").profile == (OpTime("ADD", 1, 2.5),)
    assert texts.read(first.format("ms"), "none").profile == (OpTime("ADD", 1, 2500.0),)
    assert texts.read(first.format("hours"), "none").profile is None


def test_refused_ops_come_from_the_profile_where_it_adds_up():
    ops = Ops(total=5, delegated=3, partitions=1)
    rows = (OpTime("TfLiteGpuDelegateV2", 1, 9.0), OpTime("SOFTMAX", 2, 1.0))
    assert with_refused(ops, rows, "gpu").refused == {"SOFTMAX": 2}
    assert with_refused(ops, rows[:1], "gpu").refused is None
    assert with_refused(ops, None, "gpu") == ops


def test_dialects_by_their_help():
    classic, litert = _tool.read_help(CLASSIC_HELP), _tool.read_help(f"ERROR: {LITERT_HELP}")
    assert (classic.dialect, litert.dialect) == ("classic", "litert")
    assert not classic.writes_outputs
    assert _tool.read_help(CLASSIC_HELP + NEWER).writes_outputs
    logged = "".join(f"E tflite  : {line}\n" for line in LITERT_HELP.splitlines())
    assert _tool.read_help(logged) == litert
    with pytest.raises(_tool.ToolError, match=r"must be Android's benchmark_model.*bash: no"):
        _tool.read_help("bash: no such file")


def test_what_a_dialect_cannot_do_is_said():
    classic, litert = _tool.read_help(CLASSIC_HELP), _tool.read_help(LITERT_HELP)
    assert [classic.refusal(one) for one in ("none", "xnnpack", "gpu", "nnapi")] == [None] * 4
    assert [litert.refusal(one) for one in ("xnnpack", "gpu", "npu")] == [None] * 3
    assert "has no NPU: give LiteRT's" in classic.refusal("npu")
    assert "always runs the CPU with XNNPACK" in litert.refusal("none")
    assert "no NNAPI" in litert.refusal("nnapi")
    old = _tool.read_help(CLASSIC_HELP.replace("use_xnnpack", "x").replace("use_gpu", "y"))
    assert "has no --use_gpu: use a newer build" in old.refusal("gpu")
    assert old.refusal("none") is None


@pytest.mark.parametrize(
    ("text", "delegate", "flag"),
    [
        (CLASSIC_HELP, "none", "--use_xnnpack=false"),
        (CLASSIC_HELP, "xnnpack", "--use_xnnpack=true"),
        (CLASSIC_HELP, "gpu", "--use_gpu=true"),
        (CLASSIC_HELP, "nnapi", "--use_nnapi=true"),
        (LITERT_HELP, "xnnpack", "--use_cpu=true"),
        (LITERT_HELP, "gpu", "--use_gpu=true"),
        (LITERT_HELP, "npu", "--use_npu=true"),
    ],
)
def test_command_lines(text, delegate, flag):
    words = _tool.read_help(text).run("m.tflite", delegate, 4, 50, 5, output_filepath="o")
    assert words == [
        "--graph=m.tflite",
        "--num_threads=4",
        "--num_runs=50",
        "--warmup_runs=5",
        "--warmup_min_secs=0",
        "--min_secs=0",
        flag,  # and none that this build has not got
    ]


@pytest.mark.parametrize(
    ("text", "flag"),
    [(CLASSIC_HELP, "gpu_precision_loss_allowed"), (LITERT_HELP, "allow_fp16")],
)
def test_a_gpu_is_told_its_precision(text, flag):
    known = _tool.read_help(f"{text}\t--{flag}=\tbool\toptional\tx\n")
    assert f"--{flag}=true" in known.run("m.tflite", "gpu", 1, 1, 1)
    assert f"--{flag}=true" not in known.run("m.tflite", "xnnpack", 1, 1, 1)
    assert (known.precision("gpu"), known.precision("xnnpack")) == ("float16", None)
    assert _tool.read_help(text).precision("gpu") is None


def test_flags_for_rows():
    found = _tool.read_help(CLASSIC_HELP + NEWER).rows(
        [("/a", (1, 28, 28, 1)), ("/b", (1, 4))], "/o"
    )
    assert found == {
        "input_layer": "input0,input1",
        "input_layer_shape": "1,28,28,1:1,4",
        "input_layer_value_files": "input0:/a,input1:/b",
        "output_filepath": "/o",
    }


def test_the_result_proto(tmp_path):
    """Written by another program, byte by byte."""
    found = program.Statistics([100, 200, 300])
    program.write_result(str(tmp_path / "r"), 5000, program.Statistics([900]), found, 4096)
    times, memory = _protos.result((tmp_path / "r").read_bytes())
    assert times == Times(3, 5000.0, 900.0, 200.0, median_us=200.0, p5_us=100.0, p95_us=300.0)
    assert memory == 4096 * 1024
    assert _protos.result(b"") is None
    assert _protos.result(b"\xff\xff\xff") is None


def test_the_runtime_proto(tmp_path):
    ops, path = ["CONV_2D", "CONV_2D", "SOFTMAX"], tmp_path / "r"
    program.write_runtime(str(path), ops, ["TfLiteGpuDelegateV2"], ["SOFTMAX"])
    assert _protos.ops(path.read_bytes(), "gpu") == Ops(3, 2, 1, {"SOFTMAX": 1})
    # XNNPACK took nothing of it.
    assert _protos.ops(path.read_bytes(), "xnnpack") == Ops(3, 0, 0, {"CONV_2D": 2, "SOFTMAX": 1})
    assert _protos.ops(b"", "gpu") is None
    assert _protos.ops(struct.pack("<I", 0xFFFFFFFF), "gpu") is None


def test_the_profile_proto():
    def op(kind: str, average: int) -> bytes:
        return program.field(
            3, program.field(1, kind) + program.field(2, program.field(3, average))
        )

    graph = program.field(1, op("ADD", 5) + op("CONV_2D", 90) + op("ADD", 6))
    initial = program.field(2, program.field(1, op("AllocateTensors", 7)))
    content = initial + program.field(3, graph)
    assert _protos.profile(content) == (OpTime("CONV_2D", 1, 90.0), OpTime("ADD", 2, 11.0))
    assert _protos.profile(initial) is None
    assert _protos.profile(b"\x1a\xff") is None
