"""Every kind of file that TensorFlow's converter writes is measured, or costs its own row only."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import telling
from keras import layers
from test_cli import call

from fr_bench import benchmark
from fr_bench.benchmark import host, process, run
from fr_bench.benchmark.by_op import by_op
from fr_bench.benchmark.profile import profile
from fr_bench.benchmark.result import REFERENCE
from fr_keras import tflite

S = tf.TensorSpec
OPS = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]


def converted(converter: tf.lite.TFLiteConverter) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return converter.convert()


def model(*parts) -> bytes:
    """As most people convert: with an open batch."""
    return converted(tf.lite.TFLiteConverter.from_keras_model(keras.Sequential(parts)))


def function(call, *signature, flex: bool = False) -> bytes:
    concrete = tf.function(call).get_concrete_function(*signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    if flex:
        converter.target_spec.supported_ops = OPS
    return converted(converter)


def loop(x):
    return tf.while_loop(
        lambda n, y: tf.reduce_sum(y) < 100.0, lambda n, y: (n + 1, 2 * y + 1), [0, x]
    )[1]


def branch(x):
    return tf.cond(tf.reduce_sum(x) > 1.0, lambda: x * 2, lambda: x - 1)


def stateful() -> bytes:
    net = keras.Sequential([keras.Input(batch_shape=(1, 4, 3)), layers.GRU(5, stateful=True)])
    return converted(tf.lite.TFLiteConverter.from_keras_model(net))


TABLE = np.arange(12, dtype="float32").reshape(4, 3)
#: The file, ops that its profile has, and what its notes say.
FILES = {
    "flatten": (
        lambda: model(keras.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.Flatten()),
        {"CONV_2D", "SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"},
        "",
    ),
    "transposed": (
        lambda: model(keras.Input((4, 4, 3)), layers.Conv2DTranspose(2, 2, strides=2)),
        {"SHAPE", "STRIDED_SLICE", "PACK", "TRANSPOSE_CONV"},
        "",
    ),
    "embedding": (
        lambda: model(keras.Input((5,), dtype="int32"), layers.Embedding(7, 4)),
        {"LESS", "ADD", "SELECT_V2", "GATHER"},
        "",
    ),
    "open size": (
        lambda: model(keras.Input((None, None, 3)), layers.Conv2D(4, 3, padding="same")),
        {"CONV_2D"},
        "has open axes, (None, None, 3)",
    ),
    "loop": (lambda: function(loop, S((1, 4))), {"WHILE"}, ""),
    "branch": (lambda: function(branch, S((1, 4))), {"SUM", "GREATER", "IF"}, ""),
    "int64": (
        lambda: function(lambda x: tf.gather(tf.constant(TABLE), x), S((1, 2), tf.int64)),
        {"GATHER"},
        "",
    ),
    "index and values": (
        lambda: function(lambda x, i: tf.gather(x, i, axis=1), S((1, 6)), S((1, 2), tf.int32)),
        {"GATHER"},
        "",
    ),
    "bool": (
        lambda: function(lambda x: tf.logical_not(x), S((1, 4), tf.bool)),
        {"LOGICAL_NOT"},
        "",
    ),
    "several outputs": (
        lambda: function(lambda x: tf.math.top_k(x, 2), S((1, 4))),
        {"TOPK_V2"},
        "",
    ),
    "string": (
        lambda: function(lambda x: tf.reshape(x, (1, 2, 2)), S((1, 4), tf.string)),
        {"RESHAPE"},
        "it holds strings",
    ),
    "complex": (
        lambda: function(tf.signal.rfft, S((1, 8))),
        {"RESHAPE", "RFFT2D"},
        "it holds complex numbers",
    ),
    "changing shape": (
        lambda: function(lambda x: tf.where(x > 0.5), S((1, 4))),
        {"GREATER", "WHERE"},
        "its shape changes from row to row",
    ),
    "fixed batch": (lambda: function(lambda x: x * 2, S((4, 3))), {"MUL"}, ""),
    "scalar": (lambda: function(lambda x: x * 2, S(())), {"MUL"}, ""),
    "no op": (lambda: function(tf.identity, S((1, 4))), set(), ""),
    "state": (
        stateful,
        {"RESHAPE", "WHILE", "STRIDED_SLICE"},
        "1 READ_VARIABLE: it shares a state with other ops",
    ),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The path of the file of that name, made once."""
    folder, made = tmp_path_factory.mktemp("files"), {}

    def path(name: str):
        if name not in made:
            made[name] = folder / f"{name}.tflite"
            made[name].write_bytes(FILES[name][0]())
        return made[name]

    return path


@pytest.mark.parametrize("name", telling(FILES, "open size", "string", "loop", "state"))
def test_it_is_measured_op_by_op(file, name):
    _, ops, said = FILES[name]
    subject = benchmark.subject(file(name), rows=3)
    result = host.measure(subject, "xnnpack", threads=1, runs=2, warmup=0)
    assert (result.status, result.message) == ("done", None)
    assert result.times.runs == 2
    assert {one.op for one in result.profile} == ops
    assert said in " / ".join(result.notes)
    assert bool(result.notes) == bool(said)
    for agreement in (result.agreement or {}).values():
        assert agreement.relative == 0  # also of a state: rows begin without what timing left


@pytest.mark.parametrize("name", ["flatten", "embedding", "branch", "several outputs", "complex"])
def test_its_ops_are_compared_one_by_one(file, name):
    subject = benchmark.subject(file(name), rows=3)
    found = by_op(subject, lambda *given: process.work(*given, REFERENCE).outputs)
    # Complex numbers are no real ones.
    assert {one.op for one in found} == FILES[name][1] - {"RFFT2D"}
    assert all(one.alone == one.through == 0 for one in found)


def test_values_that_set_shapes_need_one_row_to_be_compared_op_by_op(file):
    subject = benchmark.subject(file("changing shape"), rows=3)
    with pytest.raises(ValueError, match="`subject` must have only one row if shapes depend"):
        by_op(subject, lambda *given: process.work(*given, REFERENCE).outputs)


def test_rows_give_an_open_axis_its_length(file):
    x = np.random.default_rng(0).random((2, 7, 5, 3), np.float32)
    subject = benchmark.subject(file("open size"), x=x)
    result = host.measure(subject, "none", threads=1, runs=1, warmup=0)
    assert result.notes == ()
    assert result.agreement["output_0"].relative < 1e-5
    runner = tflite.Runner(file("open size"))
    assert runner.run(x).shape == (2, 7, 5, 4)
    assert runner.run(x[:, :4]).shape == (2, 4, 5, 4)
    with pytest.raises(ValueError, match=r"`x` must have the shape \(rows, \('any', 'any', 3\)\)"):
        runner.run(x[..., :2])


def test_a_runner_takes_what_one_run_takes(file):
    x = np.arange(24, dtype="float32").reshape(2, 4, 3)
    np.testing.assert_array_equal(tflite.run(file("fixed batch"), x), 2 * x)
    np.testing.assert_array_equal(tflite.run(file("scalar"), x[0, 0]), 2 * x[0, 0])
    assert tflite.run(file("complex"), np.ones((2, 8))).dtype == np.complex64
    with pytest.raises(ValueError, match="`x` must be one row if the shape of an output"):
        tflite.run(file("changing shape"), np.array([[1, 0, 0, 0], [1, 1, 0, 0]]))


def test_a_file_that_fails_costs_its_own_row(file, tmp_path):
    flex = function(lambda x: tf.linalg.det(tf.reshape(x, (1, 2, 2))), S((1, 4)), flex=True)
    (tmp_path / "flex.tflite").write_bytes(flex)
    (tmp_path / "no.tflite").write_bytes(b"no flatbuffer")
    files = [tmp_path / "flex.tflite", tmp_path / "no.tflite", file("flatten")]
    options = ("--runs", 1, "--warmup", 0, "--threads", 1, "--out", tmp_path / "r.json")
    done = call("benchmark", *files, *options)
    assert done.exit_code == 1
    results = benchmark.load(tmp_path / "r.json")
    assert {(one.file, one.delegate, one.status) for one in results} == {
        ("flex.tflite", "none", "failed"),
        ("flex.tflite", "xnnpack", "failed"),
        ("no.tflite", "none", "failed"),
        ("flatten.tflite", "none", "done"),
        ("flatten.tflite", "xnnpack", "done"),
    }
    why = {one.file: one.message for one in results}
    assert "FlexMatrixDeterminant" in why["flex.tflite"]
    assert "AllocateTensors()" not in why["flex.tflite"]  # what it says, not where in Python
    assert "no.tflite' cannot be measured" in why["no.tflite"]
    assert f"host, none: {why['no.tflite']}" in done.stdout
    again = call("benchmark", file("flatten"), *options, "--force")
    assert again.exit_code == 0, again.output


def test_bytes_are_not_called_a_file():
    """Who converts a model gives no `file`."""
    flex = function(lambda x: tf.linalg.det(tf.reshape(x, (1, 2, 2))), S((1, 4)), flex=True)
    for content, message in (
        (flex, "the content must have ops that LiteRT can run: Select TensorFlow op"),
        (b"no flatbuffer", "the content must be a .tflite flatbuffer"),
    ):
        with pytest.raises(ValueError, match=message) as found:
            tflite.Runner(content)
        assert "`file`" not in str(found.value)


def test_data_that_fits_one_file_only(file):
    x, y = np.zeros((2, 6, 6, 2)), np.zeros(2)
    make = functools.partial(benchmark.subject, x=x, y=y)
    found = benchmark.subjects([file("flatten"), file("transposed")], make)
    assert [type(one) for one in found] == [benchmark.Subject, benchmark.Unfit]
    settings = run.Settings(("xnnpack",), (1,), runs=1, warmup=0)
    results = list(run.on("host", found, settings))
    assert [(one.file, one.status) for one in results] == [
        ("transposed.tflite", "failed"),
        ("flatten.tflite", "done"),
    ]
    assert "`x` must have the shape" in results[0].message
    (only,) = run.on("android", found[1:], settings, run.Phone(adb="no-such-adb"))
    assert only.status == "failed"


def test_labels_that_do_not_fit_are_told(file):
    subject = benchmark.subject(file("flatten"), np.zeros((2, 6, 6, 2)), np.zeros((2, 3)))
    result = host.measure(subject, "xnnpack", 1, 1, 0)
    assert (result.status, result.metric) == ("done", None)
    assert "no score: `data` must have labels that fit the outputs" in result.notes[0]


def breaking(monkeypatch, breaks):
    """Runs of which `breaks(arguments, options)` is true are killed, at their second op."""
    works = process.work

    def work(*arguments, **options):
        if breaks(arguments, options):
            log = "op 0: CONV_2D\nop 1: SHAPE\n"
            raise process.WorkerError(f"it was killed by SIGSEGV: {log}", log)
        return works(*arguments, **options)

    monkeypatch.setattr(process, "work", work)


def test_a_profile_that_breaks_costs_the_profile(file, monkeypatch):
    breaking(monkeypatch, lambda _, options: options.get("singles") is not None)
    result = host.measure(benchmark.subject(file("flatten"), rows=2), "none", 1, 1, 0)
    assert (result.status, result.profile) == ("done", None)
    assert result.times.runs == 1
    assert result.notes == ("no op profile: it was killed by SIGSEGV at op 1: SHAPE",)


def test_a_reference_that_breaks_costs_the_comparison(file, monkeypatch):
    breaking(monkeypatch, lambda given, options: given[2] == REFERENCE and not options)
    result = host.measure(benchmark.subject(file("bool"), rows=2), "none", 1, 1, 0)
    assert (result.status, result.agreement) == ("done", None)
    assert "is not compared: on the CPU reference it was killed by SIGSEGV" in result.notes[0]


def test_an_op_that_fails_by_itself_is_told(file, monkeypatch):
    """The first of them; the others have their times."""
    works = process.work

    def work(*arguments, **options):
        answer = works(*arguments, **options)
        answer.facts["singles"][0] = {"error": "no such kernel"}
        return answer

    monkeypatch.setattr(process, "work", work)
    subject = benchmark.subject(file("branch"), rows=1)
    rows, notes = profile(subject.content, subject.inputs, "none", 1)
    assert {one.op for one in rows} == {"GREATER", "IF"}
    assert notes == ("not in the op profile: 1 SUM: no such kernel",)


def test_values_that_a_file_refuses_are_its_failure(file):
    x = {"x": np.zeros((1, 6)), "i": np.full((1, 2), 99, np.int32)}
    subject = benchmark.subject(file("index and values"), x)
    result = host.measure(subject, "none", 1, 1, 0)
    assert result.status == "failed"
    assert "gather index out of bounds" in result.message
