"""Every published file on LiteRT's GPU accelerator, on a GPU or on software Vulkan."""

import dataclasses
import functools

import pytest
from device_setups import MODELS, converted, mode, ready

from fr_bench import benchmark
from fr_bench.benchmark import devices, gpu
from fr_bench.benchmark.by_op import by_op

LOG = """INFO: Created a WebGPU environment.
ERROR: Following operations are not supported by GPU delegate:
CONV_2D: Tensor type(INT16) is not supported. conv2_core
CONV_2D: Tensor type(INT16) is not supported. image
SOFTMAX: Tensor type(INT16) is not supported. classifier
1 operations will run on the GPU, and the remaining {} operations will run on the CPU.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
"""


def file(name: str) -> bytes:
    return next(path for path in MODELS if path.name == name).read_bytes()


def test_ops_are_read_from_the_log():
    """The file has 4 convolutions, 3 dense layers, 2 poolings, a reshape and a softmax."""
    content = file("digits_fr_int16x8.tflite")
    # 5 of the kinds named are in the file, and LiteRT names an op once for each reason.
    ops, notes = gpu.ops(content, LOG.format(5))
    assert ops == benchmark.Ops(11, 6, refused={"CONV_2D": 4, "SOFTMAX": 1})
    assert notes == ()
    ops, notes = gpu.ops(content, LOG.format(10))
    assert (ops.delegated, ops.refused) == (1, {"CONV_2D": 4, "SOFTMAX": 1})
    assert notes == ("5 more ops stay on the CPU, because the GPU takes only one connected piece",)
    # Fewer stay than there are of the kinds named: then the lines are all that is known.
    assert gpu.ops(content, LOG.format(3))[0].refused == {"CONV_2D": 2, "SOFTMAX": 1}
    assert gpu.ops(content, "INFO: Created a WebGPU environment.")[0].delegated == 11
    none = LOG.replace(
        "1 operations will run on the GPU, and the remaining",
        "No operations will run on the GPU, and all",
    )
    assert gpu.ops(content, none.format(11))[0].delegated == 0


@pytest.fixture(scope="module")
def found():
    """The GPU of this machine, or the software one that is set up for it."""
    try:
        return gpu.adapter()
    except devices.MissingDevice:
        ready("gpu")
        return gpu.adapter()


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.stem)
def path(request):
    return request.param


@functools.cache
def subject(path):
    return benchmark.subject(path, rows=4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", gpu.PRECISIONS)
def test_a_published_file_runs_and_agrees(found, path, precision):
    result = gpu.measure(subject(path), precision, runs=2)
    assert (result.status, result.message) == ("done", None)
    assert (result.device["name"], result.precision) == (found.name, precision)
    # Only a real GPU has a speed.
    assert (result.times is None) == found.software
    (agreement,) = result.agreement.values()
    if mode(path) in ("float32", "float16"):
        assert agreement.relative <= {"float32": 1e-5, "float16": 1e-2}[precision]
    if mode(path) == "int16x8":
        assert result.ops.refused == {
            "CONV_2D": 4,
            "MAX_POOL_2D": 2,
            "FULLY_CONNECTED": 3,
            "SOFTMAX": 1,
        }
    else:
        assert result.ops.delegated == result.ops.total


@pytest.mark.slow
def test_every_op_agrees_on_the_same_inputs(found, path):
    """But for those of dynamic-range files: there the CPU rounds the inputs, and a GPU does not."""
    limits = {"steps": 1, "relative": 1e-5}
    ops = by_op(subject(path), lambda *file: gpu.run(*file, "float32").outputs)
    parted = {one.op for one in ops if one.alone > limits[one.unit]}
    assert parted == ({"CONV_2D", "FULLY_CONNECTED"} if mode(path) == "dynamic" else set())


@pytest.mark.slow
def test_two_ops_may_read_the_same_tensor(found):
    import tensorflow as tf

    def function(x):
        x = tf.nn.relu(x * 3 - 1)
        return tf.concat([tf.sin(x), x], 3)

    ops = by_op(converted(function), lambda *file: gpu.run(*file, "float32").outputs)
    assert {one.op for one in ops} >= {"SIN", "CONCATENATION"}
    assert max(one.alone for one in ops) <= 1e-5


@pytest.mark.slow
def test_where_the_adapter_is_hardware_there_are_times(found, monkeypatch):
    """The path only: where there is no GPU, the software one is taken for hardware."""
    monkeypatch.setattr(gpu, "adapter", lambda: dataclasses.replace(found, software=False))
    result = gpu.measure(subject(MODELS[0]), "float16", runs=3, warmup=1)
    assert result.times.runs == 3
    assert min(result.times.init_us, result.times.p5_us, result.peak_memory_bytes) > 0
    assert result.device["driver"] == "Vulkan"


@pytest.mark.slow
def test_what_the_gpu_leaves_is_named(found):
    import tensorflow as tf

    def function(x):
        x = tf.nn.l2_normalize(tf.sin(tf.nn.relu(x * 3 - 1)), -1)
        return tf.nn.relu(tf.nn.l2_normalize(x + 0.5, -1) - 0.1)

    result = gpu.measure(converted(function))
    assert result.status == "done"
    assert result.ops.refused == {"L2_NORMALIZATION": 2}
    assert 0 < result.ops.delegated < result.ops.total - 2
    assert "the GPU takes only one connected piece" in result.notes[0]
    assert all(one.relative <= 1e-5 for one in result.agreement.values())


@pytest.mark.slow
def test_a_file_that_kills_the_accelerator_ends_alone(found):
    import tensorflow as tf

    result = gpu.measure(converted(lambda x: tf.matmul(x, x, transpose_b=True)))
    assert result.status == "failed"
    assert "Node 0 is already a consumer of the value 0" in result.message
    assert result.ops is result.agreement is None


@pytest.mark.slow
def test_a_file_that_the_accelerator_will_not_load_is_refused(found):
    import tensorflow as tf

    result = gpu.measure(converted(lambda x: tf.concat(tf.split(x, 2, 3)[::-1], 3)))
    assert result.status == "refused"
    assert "Output id not found" in result.message
