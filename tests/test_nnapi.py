"""The table of NNAPI's delegate, on converted files and on ops made by hand."""

import collections
import json
from importlib.resources import files

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from networks import images

from fr_keras import tflite
from fr_keras.tflite.file import flatbuffer, nnapi
from fr_keras.tflite.file._nnapi_ops import CONDITIONS

LEVELS = range(1, 9)
pytestmark = pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")


def network(groups: int = 1) -> keras.Model:
    """Kernels large enough for dynamic range, a dilation and a transposed convolution."""
    inputs = keras.Input((8, 8, 16))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(16, 3, padding="same", dilation_rate=2)(x)
    y = layers.MaxPooling2D()(x)
    y = layers.Conv2DTranspose(16, 3, strides=2, padding="same")(y)
    x = layers.Concatenate()([x, y])
    x = layers.Conv2D(16, 3, strides=2, groups=groups)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(16, activation="softmax")(x))


@pytest.fixture(scope="module")
def converted():
    model, rows = network(), images(shape=(8, 8, 16))
    return {
        mode: tflite.convert(model, quantize=mode, calibration=rows).content
        for mode in tflite.MODES
    }


def forecast(content: bytes) -> nnapi.Forecast:
    return nnapi.forecast(flatbuffer.read(content))


def needs(content: bytes) -> collections.Counter:
    counts = collections.Counter()
    for need in forecast(content).needs:
        counts[need.op, need.level] += need.count
    return counts


def test_float32_falls_back_for_its_dilation_and_its_transposed_convolution(converted):
    found = forecast(converted["float32"])
    late = {"CONV_2D": 1, "TRANSPOSE_CONV": 1}
    assert found.fallbacks == {level: late if level < 3 else {} for level in LEVELS}
    reasons = {need.op: need.reason for need in found.needs if need.reason}
    assert reasons == {
        "CONV_2D": "dilation: from level 3 (Android 10)",
        "TRANSPOSE_CONV": "TRANSPOSE_CONV: from level 3 (Android 10)",
    }


def test_float16_weights_follow_what_reads_them(converted):
    plain, half = forecast(converted["float32"]), forecast(converted["float16"])
    unpacked = half.total - plain.total
    assert unpacked >= 4
    for level in LEVELS:
        kept = dict(half.fallbacks[level])
        late = kept.pop("DEQUANTIZE", 0)
        assert kept == plain.fallbacks[level]
        # Kernels and biases of the two ops; the transposed one has no bias input.
        assert (2 <= late < unpacked) if level < 3 else late == 0


def test_dynamic_range_needs_level_3_and_never_suits_a_dense_layer(converted):
    found = needs(converted["dynamic"])
    assert found["CONV_2D", 3] == 3
    assert found["FULLY_CONNECTED", None] == 1
    assert found["MAX_POOL_2D", 1] == 1


def test_int8_convolutions_need_level_3(converted):
    found = forecast(converted["int8"])
    assert "CONV_2D" in found.fallbacks[2]
    assert found.fallbacks[3] == {}
    reason = next(need.reason for need in found.needs if need.op == "CONV_2D")
    assert reason.startswith("int8, ")
    assert "a scale for each channel" in reason


def test_int16_activations_never_go_to_nnapi(converted):
    found = forecast(converted["int16x8"])
    for level in LEVELS:
        assert sum(found.fallbacks[level].values()) == found.total
    assert all("int16" in need.reason for need in found.needs)


def test_one_grouped_convolution_keeps_all_of_them_from_nnapi():
    content = tflite.convert(network(groups=2)).content
    assert needs(content)["CONV_2D", None] == 3  # they share one version, and it is too new
    assert forecast(content).fallbacks[8] == {"CONV_2D": 3}


def test_inspect_shows_it(converted):
    seen = tflite.inspect(converted["float32"])
    held = json.loads(json.dumps(seen.to_dict()))["nnapi"]
    assert held["fallbacks"]["2"] == {"CONV_2D": 1, "TRANSPOSE_CONV": 1}
    assert held["fallbacks"]["3"] == {}
    assert held["deprecated_since"] == "Android 15"
    assert held["source"]["function"].endswith("Validate")
    rows = list(seen.nnapi.lines())
    assert rows[1] == (
        "  level 1 to 2",
        f"from Android 8.1: 2 of {seen.nnapi.total} ops stay on the CPU: 1 CONV_2D, "
        "1 TRANSPOSE_CONV",
    )
    assert rows[2] == (
        "  level 3 and up",
        f"from Android 10: all {seen.nnapi.total} ops go to NNAPI",
    )
    assert sum("deprecated" in text for _, text in rows) == 1


# Ops made by hand: (name, version, inputs, output, options), and by the delegate's source the
# least level that takes them. A tensor is (type, shape[, scales[, zero point[, data]]]).


def tensor(kind: str, shape=(1, 4, 4, 8), scales=(), zero_points=(), data=b"") -> tuple:
    return kind, shape, scales, zero_points, data


def one_op(name, version, inputs, output, **options) -> schema.ModelT:
    model, graph, op, code = (
        schema.ModelT(),
        schema.SubGraphT(),
        schema.OperatorT(),
        schema.OperatorCodeT(),
    )
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = version
    model.buffers, graph.tensors = [schema.BufferT()], []
    for kind, shape, scales, zero_points, data in (*filter(None, inputs), output):
        one, buffer = schema.TensorT(), schema.BufferT()
        one.type, one.shape = getattr(schema.TensorType, kind.upper()), np.array(shape, np.int32)
        one.quantization = schema.QuantizationParametersT()
        one.quantization.scale, one.quantization.zeroPoint = list(scales), list(zero_points)
        buffer.data = np.frombuffer(data, np.uint8) if data else None
        one.buffer = len(model.buffers)
        model.buffers.append(buffer)
        graph.tensors.append(one)
    numbers = iter(range(len(graph.tensors)))
    op.inputs = [-1 if one is None else next(numbers) for one in inputs]
    op.outputs, op.opcodeIndex = [len(graph.tensors) - 1], 0
    if options:
        kind = options.pop("kind")
        op.builtinOptions = getattr(schema, kind)()
        for key, value in options.items():
            assert hasattr(op.builtinOptions, key)
            setattr(op.builtinOptions, key, value)
    graph.operators, model.subgraphs, model.operatorCodes = [op], [graph], [code]
    return model


F, U, Q, S = (tensor(kind) for kind in ("float32", "uint8", "int8", "int16"))
INDEX = tensor("int32", (4,), data=b"\1\0\0\0" * 4)
OPEN = tensor("int32", (4,))
KERNEL = tensor("float32", (8, 3, 3, 8), data=b"1234")
BIAS = tensor("float32", (8,), data=b"1234")


UINT8 = tensor("uint8", scales=(0.1,), zero_points=(0,))


def quantized(kind: str, scale: float, zero_point: int = 0) -> tuple:
    return tensor(kind, scales=(scale,), zero_points=(zero_point,))


CASES = [
    (("CONV_2D", 1, [F, KERNEL, BIAS], F), 1),
    (("CONV_2D", 1, [F, KERNEL], F), None),
    (("CONV_2D", 1, [F, KERNEL, None], F), None),
    (("CONV_2D", 6, [F, KERNEL, BIAS], F), None),
    (("CONV_2D", 1, [F, tensor("float32", (8, 3, 3, 4)), BIAS], F), 3),
    (("CONV_2D", 2, [F, quantized("int8", 0.1), BIAS], F), 3),
    (("CONV_2D", 3, [Q, Q, BIAS], Q), 3),
    (("CONV_2D", 4, [S, Q, BIAS], S), None),
    # uint8, before level 3: input scale x weight scale must be below the output's.
    (("CONV_2D", 1, [UINT8, UINT8, BIAS], quantized("uint8", 0.2)), 1),
    (("CONV_2D", 1, [UINT8, UINT8, BIAS], quantized("uint8", 0.001)), 3),
    (("DEPTHWISE_CONV_2D", 1, [F, KERNEL, BIAS], F), 1),
    (("DEPTHWISE_CONV_2D", 6, [F, Q, BIAS], F), None),
    (("FULLY_CONNECTED", 1, [F, KERNEL, None], F), 1),
    (("FULLY_CONNECTED", 6, [F, KERNEL, None], F), None),
    (("FULLY_CONNECTED", 4, [Q, Q, BIAS], Q), 3),
    (("TRANSPOSE_CONV", 1, [INDEX, KERNEL, F], F), 3),
    (("TRANSPOSE_CONV", 1, [OPEN, KERNEL, F], F), None),
    (("TRANSPOSE_CONV", 3, [INDEX, KERNEL, S], S), None),
    (("ADD", 2, [Q, Q], Q), 1),
    (("ADD", 1, [tensor("int32"), tensor("int32")], tensor("int32")), 4),
    (("ADD", 1, [tensor("float32", (1, 2, 3, 4, 5)), F], F), None),
    (("MUL", 3, [Q, Q], Q), 3),
    (("SUB", 1, [F, F], F), 2),
    (("SUB", 2, [Q, Q], Q), 3),
    (("CONCATENATION", 2, [Q, quantized("int8", 0.5)], Q), 1),
    (("CONCATENATION", 1, [UINT8, UINT8], U), 1),
    (("CONCATENATION", 1, [UINT8, quantized("uint8", 0.2)], U), 3),
    (("PAD", 1, [F, INDEX], F), 2),
    (("PAD", 2, [Q, INDEX], Q), 3),
    (("PADV2", 1, [F, INDEX, F], F), 3),
    (("MEAN", 1, [F, INDEX], F), 2),
    (("MEAN", 2, [Q, INDEX], Q), 3),
    (("MEAN", 1, [F, INDEX], tensor("float32", ())), None),
    (("SLICE", 1, [F, INDEX, INDEX], F), 3),
    (("SLICE", 1, [F, tensor("int64", (4,)), INDEX], F), None),
    (("SPLIT", 1, [INDEX, F], F), 3),
    (("SPLIT", 2, [INDEX, Q], Q), 4),
    (("SPLIT", 1, [OPEN, F], F), None),
    (("DEPTH_TO_SPACE", 2, [Q], Q), 1),
    (("RESHAPE", 1, [F, OPEN], F), None),
    (("RESHAPE", 1, [tensor("int32"), INDEX], tensor("int32")), 6),
    (("SOFTMAX", 1, [tensor("float32", (1, 5, 8))], F), 3),
    (("QUANTIZE", 1, [F], U), 3),
    (("QUANTIZE", 1, [F], Q), 4),
    (("QUANTIZE", 1, [F], S), None),
    (("DEQUANTIZE", 2, [quantized("int8", 0.1)], F), 3),
    (("DEQUANTIZE", 2, [quantized("int8", 0.1, 3)], F), 4),
    (("DEQUANTIZE", 3, [tensor("float16")], F), 4),
    (("BATCH_TO_SPACE_ND", 1, [F, INDEX, tensor("int32", (2, 2), data=bytes(16))], F), 2),
    (("BATCH_TO_SPACE_ND", 1, [F, INDEX, INDEX], F), None),
    (("BATCH_MATMUL", 1, [F, F], F), 6),
    (("GELU", 1, [F], F), None),
    (("LSTM", 1, [F], F), None),
    # Damaged files are judged too.
    (("CONV_2D", 1, [], F), None),
    (("ADD", 1, [None, None], F), None),
]  # fmt: skip


@pytest.mark.parametrize(("op", "level"), CASES, ids=lambda case: str(case)[:60])
def test_an_op_needs_the_level_that_the_source_asks_for(op, level):
    (need,) = nnapi.forecast(one_op(*op)).needs
    assert (need.level, need.count) == (level, 1)
    assert bool(need.reason) == (level != 1)


@pytest.mark.parametrize(
    ("op", "options", "level"),
    [
        (("CONV_2D", 1, [F, KERNEL, BIAS], F), {"kind": "Conv2DOptionsT", "dilationHFactor": 2}, 3),
        (
            ("RESIZE_BILINEAR", 3, [F, INDEX], F),
            {"kind": "ResizeBilinearOptionsT", "halfPixelCenters": True},
            4,
        ),
        (
            ("RESIZE_BILINEAR", 1, [F, INDEX], tensor("float32", (1, 4, 6, 8))),
            {"kind": "ResizeBilinearOptionsT"},
            3,
        ),
        (
            ("RESIZE_BILINEAR", 1, [F, INDEX], F),
            {"kind": "ResizeBilinearOptionsT", "alignCorners": False},
            1,
        ),
        (
            ("FULLY_CONNECTED", 1, [F, KERNEL, BIAS], F),
            {"kind": "FullyConnectedOptionsT", "keepNumDims": True},
            4,
        ),
        (
            ("CONCATENATION", 1, [F, F], F),
            {"kind": "ConcatenationOptionsT", "fusedActivationFunction": 1},
            None,
        ),
        (("PACK", 1, [F, F], F), {"kind": "PackOptionsT", "axis": 1}, 4),
        (("PACK", 1, [F, F], F), {"kind": "PackOptionsT", "axis": 4}, 6),
        (("SQUEEZE", 1, [F], F), {"kind": "SqueezeOptionsT", "squeezeDims": None}, 3),
        (("SQUEEZE", 1, [F], F), {"kind": "SqueezeOptionsT", "squeezeDims": np.array([0])}, 2),
    ],
)
def test_options_count(op, options, level):
    (need,) = nnapi.forecast(one_op(*op, **options)).needs
    assert need.level == level


def test_the_table_is_whole():
    table = nnapi.table()
    levels = [row["level"] for row in table["levels"]]
    assert levels == sorted(levels) == [*LEVELS]
    assert {*table["conditions"]} == {*CONDITIONS}
    names = {name for name in vars(schema.BuiltinOperator) if name.isupper()}
    types = {name.lower() for name in vars(schema.TensorType) if name.isupper()}
    assert {*table["ops"], *table["unjudged"]} <= names
    assert not {*table["ops"]} & {*table["unjudged"]}
    for rules in table["ops"].values():
        assert rules["types"].keys() <= types
        assert {*rules["types"].values(), *rules.get("output_types", {}).values()} <= {*levels}
        assert rules.get("refused", {}).keys() <= CONDITIONS.keys()


def test_the_table_travels_with_the_package():
    assert files("fr_keras.tflite.file").joinpath("nnapi.json").is_file()
    assert len(nnapi.table()["source"]["commit"]) == 40
