"""Files measured on this machine, and the results that are kept."""

import dataclasses
import json
import sys

import keras
import numpy as np
import pytest
from keras import layers

import fr_keras
from fr_bench import benchmark
from fr_bench._intervals import wilson
from fr_bench.benchmark import host, process, run
from fr_bench.benchmark.profile import profile
from fr_keras import tflite
from fr_keras.tflite.file import flatbuffer

ROWS = np.random.default_rng(0).random((12, 8, 8, 2), np.float32)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 2), name="image"),
            layers.Conv2D(6, 3, activation="relu", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(4, activation="softmax", name="scores"),
        ],
        name="small",
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("files"), network()
    for mode in ("float32", "float16", "int8"):
        tflite.convert(model, folder / f"{mode}.tflite", quantize=mode, calibration=ROWS)
    return folder


def measured(path, delegate="xnnpack", **options):
    subject = benchmark.subject(path, **options)
    return subject, host.measure(subject, delegate, threads=1, runs=5, warmup=1)


def test_a_file_on_the_host(files):
    y = network().predict(ROWS, verbose=0).argmax(-1)
    subject, result = measured(files / "float32.tflite", x=ROWS, y=y)
    assert (result.file, result.bytes) == ("float32.tflite", len(subject.content))
    assert (result.target, result.delegate, result.status) == ("host", "xnnpack", "done")
    assert result.ops == benchmark.Ops(total=4, delegated=4, partitions=1, refused={})
    assert result.metric == benchmark.Metric("accuracy", 1.0, 12, wilson(1.0, 12))
    assert result.device_bytes == len(subject.content)
    assert 0 < result.download_bytes < result.device_bytes
    agreement = result.agreement["scores"]
    assert (agreement.rows, agreement.argmax, agreement.steps) == (12, 1.0, None)
    assert agreement.relative < 1e-5
    times = result.times
    assert times.runs == 5
    assert 0 < times.p5_us <= times.median_us <= times.p95_us
    assert min(times.init_us, times.first_us, result.peak_memory_bytes) > 0
    assert times.cpu_use > 0
    assert {one.op: one.count for one in result.profile} == {
        "CONV_2D": 1,
        "RESHAPE": 1,
        "FULLY_CONNECTED": 1,
        "SOFTMAX": 1,
    }


def test_what_a_delegate_leaves_is_named(files):
    """XNNPACK has no int8 softmax."""
    _, result = measured(files / "int8.tflite", x=ROWS)
    assert result.ops == benchmark.Ops(4, 3, 1, refused={"SOFTMAX": 1})
    assert result.metric is None


def test_without_a_delegate(files):
    _, result = measured(files / "int8.tflite", "none", x=ROWS)
    assert result.ops is None
    # One step of the logits is several of a softmax.
    assert result.agreement["scores"].relative <= 0.05
    assert result.agreement["scores"].argmax == 1


def test_xnnpack_on_one_thread_is_the_reference(files):
    subject, result = measured(files / "int8.tflite")
    assert result.agreement["scores"] == benchmark.Deviation(16, 0.0, 0.0, 0.0, 1.0)
    assert subject.reference[0].shape == (16, 4)


def test_a_wrong_output_is_no_agreement(files):
    subject = benchmark.subject(files / "int8.tflite", x=ROWS)
    right = process.work(subject.content, subject.inputs, "xnnpack").outputs[0]
    found = subject.agreement([np.roll(right, 1, axis=-1)])["scores"]
    assert found.argmax < 1
    assert found.steps == np.abs(np.roll(right, 1, -1).astype(int) - right).max()


def test_every_delegate_and_number_of_threads(files):
    subjects = [benchmark.subject(files / "int8.tflite", x=ROWS)]
    settings = run.Settings(threads=(1, 2), runs=2, warmup=0)
    found = [(one.delegate, one.threads) for one in run.on("host", subjects, settings)]
    assert found == [("none", 1), ("none", 2), ("xnnpack", 1), ("xnnpack", 2)]
    assert run.Settings().threads_on("host") == tuple(sorted({1, host.cores()}))
    assert run.Settings().threads_on("arm64") == (1,)
    with pytest.raises(ValueError, match="`delegates` must be some of none, xnnpack"):
        next(run.on("host", subjects, run.Settings(delegates=("nnapi",))))
    for wrong in ({"runs": 0}, {"warmup": -1}, {"threads": ()}, {"threads": (0,)}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
            run.Settings(**wrong)


def test_an_op_by_itself(files):
    content = (files / "float32.tflite").read_bytes()
    rows, notes = profile(content, [ROWS], "none", 1)
    assert notes == ()
    widened, _ = profile((files / "float16.tflite").read_bytes(), [ROWS], "xnnpack", 1)
    assert {one.op: one.count for one in widened} == {one.op: one.count for one in rows}
    assert sum(one.count for one in rows) == len(flatbuffer.read(content).subgraphs[0].operators)
    assert [one.us for one in rows] == sorted((one.us for one in rows), reverse=True)


def test_a_process_that_dies_hangs_or_fails_gives_a_result(files, monkeypatch, tmp_path):
    subject = benchmark.subject(files / "int8.tflite", x=ROWS)
    assert subject.reference
    worker = tmp_path / "worker.py"
    monkeypatch.setattr(process, "WORKER", worker)
    for program, message in (
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import sys; sys.exit('no such op')", "exit code 1: no such op"),
    ):
        worker.write_text(program)
        result = host.measure(subject, "xnnpack", 1, 2, 0)
        assert result.status == "failed"
        assert message in result.message
        assert result.times is result.agreement is None
    worker.write_text("import time; time.sleep(60)")
    with pytest.raises(process.WorkerError, match=r"more than 0\.5 seconds"):
        process.work(subject.content, subject.inputs, "none", limit=0.5)
    with pytest.raises(FileNotFoundError):
        process.work(subject.content, subject.inputs, "none", command=["no-such-python"])


def test_archives_are_expanded(tmp_path):
    model = fr_keras.regularize(network(), start={"conv": 40, "scores": 200})
    fr_keras.save_archive(model, tmp_path / "plain.fr")
    with pytest.raises(ValueError, match="has no skeleton"):
        benchmark.subject(tmp_path / "plain.fr")
    fr_keras.save_archive(model, tmp_path / "m.fr", skeleton={"calibration": ROWS})
    subject, result = measured(tmp_path / "m.fr", x=ROWS)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert subject.content == tflite.convert(loaded, quantize="int8", calibration=ROWS).content
    assert result.bytes == (tmp_path / "m.fr").stat().st_size < len(subject.content)
    assert result.device_bytes == len(subject.content)
    assert result.download_bytes <= result.bytes


def test_bad_input_is_refused(files, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"TFL3" * 9)
    with pytest.raises(ValueError, match=r"bad\.tflite' cannot be measured"):
        benchmark.subject(tmp_path / "bad.tflite")
    with pytest.raises(FileNotFoundError):
        benchmark.subject(tmp_path / "none.tflite")
    with pytest.raises(ValueError, match="`x` must have the shape"):
        benchmark.subject(files / "int8.tflite", x=ROWS[:, :4])
    with pytest.raises(ValueError, match="`y` must have labels for each row"):
        benchmark.subject(files / "int8.tflite", x=ROWS, y=np.zeros(3))


def result(**changes) -> benchmark.Result:
    whole = benchmark.Result(
        file="m.tflite",
        bytes=10,
        sha256="0" * 64,
        target="android",
        device={"name": "a phone", "cores": 8},
        tool="benchmark_model",
        delegate="gpu",
        threads=4,
        notes=("on the CPU",),
        times=benchmark.Times(runs=3, median_us=2.0),
        ops=benchmark.Ops(3, 2, 1, {"SOFTMAX": 1}),
        profile=(benchmark.OpTime("CONV_2D", 2, 1.5),),
        agreement={"y": benchmark.Deviation(4, 0.5, 0.1, argmax=1.0)},
        metric=benchmark.Metric("accuracy", 0.5, 4),
        state=benchmark.State(battery_percent=(90, 89), charging=False),
    )
    return dataclasses.replace(whole, **changes)


def test_results_are_read_as_they_were_written(tmp_path):
    kept = [result(), result(state=None, times=None, notes=(), status="failed", message="broke")]
    benchmark.save(kept, tmp_path / "r.json")
    assert benchmark.load(tmp_path / "r.json") == kept
    assert "times" not in json.loads((tmp_path / "r.json").read_text())["results"][1]
    with pytest.raises(FileExistsError):
        benchmark.save(kept, tmp_path / "r.json")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"results": [{"file": "m"}]},
        {"results": [{**result().to_dict(), "bytes": "ten"}]},
        {"results": [{**result().to_dict(), "unknown": 1}]},
        {"results": [{**result().to_dict(), "times": {"runs": 1.5}}]},
        {"results": [{**result().to_dict(), "target": "toaster"}]},
        {"results": 3},
    ],
)
def test_other_files_are_refused(change, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**benchmark.document([result()]), **change}))
    with pytest.raises(ValueError, match="must be a result file of `fr-keras benchmark`"):
        benchmark.load(path)


def test_a_file_that_is_no_json(tmp_path):
    (tmp_path / "r.json").write_text("[")
    with pytest.raises(ValueError, match="must be a result file"):
        benchmark.load(tmp_path / "r.json")


def test_the_worker_needs_no_library(files, tmp_path):
    """It runs on machines that have numpy and LiteRT and nothing else."""
    subject = benchmark.subject(files / "int8.tflite", x=ROWS)
    process.fill(
        tmp_path,
        subject.content,
        subject.inputs,
        {"delegate": "none", "threads": 1, "runs": 0, "warmup": 0},
    )
    program = (
        f"import runpy, sys; sys.argv = ['w', {str(tmp_path)!r}]; "
        f"runpy.run_path({str(process.WORKER)!r}, run_name='__main__'); "
        "assert not {'keras', 'tensorflow', 'fr_keras'} & {*sys.modules}"
    )
    process._run([sys.executable, "-c", program], None, 60)
    assert len(process.read(tmp_path, "").outputs[0]) == len(ROWS)
