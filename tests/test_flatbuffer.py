import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from examples import telling
from networks import images, live, small_convnet, truncated_twin

from fr_keras import bake, tflite
from fr_keras.tflite.file import flatbuffer


@pytest.fixture(scope="module", params=telling(["float32", "float16", "int8"], "float32", "int8"))
def content(request):
    twin = truncated_twin(live(small_convnet(), images(64)), 0.1)
    model = bake(twin, form="factored")
    return tflite.convert(model, quantize=request.param, calibration=images(40)).content


def without_sharing(content):
    """The same model as TensorFlow's own tools write it."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer.read(content)))


def test_equal_vectors_are_written_once_and_nothing_else_changes(content):
    longer = without_sharing(content)
    x = images(16, seed=7)
    np.testing.assert_array_equal(tflite.run(content, x), tflite.run(longer, x))
    assert flatbuffer.write(flatbuffer.read(longer)) == content
    seen = [tflite.inspect(one) for one in (content, longer)]
    for one in seen:
        assert one.weight_bytes + one.scale_bytes + one.rest_bytes == one.bytes
        assert one.rest_bytes > 0
    assert seen[0].weight_bytes == seen[1].weight_bytes
    assert seen[0].scale_bytes <= seen[1].scale_bytes
    # A float file has few equal vectors: there the alignment of weights may cost what they save.
    aligned = 16 * len(flatbuffer.read(content).buffers)
    assert len(content) < len(longer) + (0 if seen[1].scale_bytes else aligned)
    assert seen[0].ops == seen[1].ops


def test_weights_lie_at_multiples_of_16(content):
    """The schema demands it, and kernels on phones may rely on it."""

    def offsets(file):
        model = schema.Model.GetRootAs(file, 0)
        vectors = [model.Buffers(n).DataAsNumpy() for n in range(model.BuffersLength())]
        start = np.frombuffer(file, np.uint8).ctypes.data
        return {(v.ctypes.data - start) % 16 for v in vectors if isinstance(v, np.ndarray)}

    assert offsets(content) == {0}
    assert offsets(without_sharing(content)) != {0}


def test_zeros_follow_a_vector_of_bytes_up_to_a_whole_word():
    """Skeletons of archives rely on it: the words of a kernel hold nothing else."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        model = schema.ModelT()
        model.version, model.metadata = 3, []
        sizes = rng.integers(1, 40, 6)
        model.buffers = [schema.BufferT() for _ in sizes]
        for buffer, size in zip(model.buffers, sizes, strict=True):
            buffer.data = rng.integers(1, 255, size).astype(np.uint8)
        model.description = "x" * int(rng.integers(0, 9))
        file = flatbuffer.write(model)
        found = schema.Model.GetRootAs(file, 0)
        start = np.frombuffer(file, np.uint8).ctypes.data
        for number, size in enumerate(sizes):
            end = found.Buffers(number).DataAsNumpy().ctypes.data - start + int(size)
            assert file[end : end + -end % 4] == bytes(-end % 4)


def test_names_are_those_of_the_layers(content):
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    assert {"conv_core", "down_core", "hidden_out"} <= {name.split("/")[0] for name in names}
    inner = [n for i, n in enumerate(names) if i not in {*graph.inputs, *graph.outputs}]
    assert not any("/" in name or ";" in name for name in inner)
