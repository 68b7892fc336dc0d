"""Ops of a flatbuffer as the rules of NNAPI's delegate see them, and the rules' conditions."""

import dataclasses
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer


class Tensor:
    """A tensor: its type, shape, scales, zero points and, if it is constant, its bytes."""

    def __init__(self, model: schema.ModelT, tensor: schema.TensorT):
        quantization = tensor.quantization
        self.type = flatbuffer.TYPES[tensor.type].lower()
        self.shape = [] if tensor.shape is None else [int(n) for n in tensor.shape]
        self.scales = _numbers(quantization and quantization.scale)
        self.zero_points = _numbers(quantization and quantization.zeroPoint)
        self.data = model.buffers[tensor.buffer].data
        self.constant = self.data is not None and len(self.data) > 0


@dataclasses.dataclass(frozen=True)
class Op:
    """An op.

    Attributes:
        name: The name of the op.
        version: The version in its operator code.
        options: Its builtin options.
        inputs: Its inputs; `None` for one that is left out.
        outputs: Its outputs.
    """

    name: str
    version: int
    options: object
    inputs: list[Tensor | None]
    outputs: list[Tensor]

    def input(self, position: int) -> Tensor | None:
        """The input at a position; `None` if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def option(self, name: str, default=0):
        """One of its options; the default where it has none of that name."""
        return getattr(self.options, name, default)

    @property
    def scales(self) -> list[float]:
        """The first scale of the input, the weights and the output; 0 if there is none."""
        ends = (self.inputs[0], self.inputs[1], self.outputs[0])
        return [one.scales[0] if one.scales else 0.0 for one in ends]


def _numbers(vector) -> list:
    return [] if vector is None else np.atleast_1d(vector).tolist()


def _ranks(op: Op) -> list[int]:
    return [len(one.shape) for one in (*op.inputs[:2], op.outputs[0]) if one is not None]


def _last_axis(op: Op) -> bool:
    # A stack has one axis more than what it stacks.
    rank = len(op.inputs[0].shape) - (op.name == "UNPACK")
    return op.option("axis") in (-1, rank)


def _crops(op: Op) -> bool:
    crops = op.inputs[2].data
    return crops is None or len(crops) != 16 or any(crops)


def _unlike_scales(op: Op) -> bool:
    first = op.inputs[0]
    same = [(one.scales, one.zero_points) == (first.scales, first.zero_points) for one in op.inputs]
    return first.type == "uint8" and not all(same)


def _hybrid(op: Op) -> bool:
    weights = op.inputs[2 if op.name.endswith("LSTM") else 1]
    return op.inputs[0].type == "float32" and weights.type in ("uint8", "int8")


#: Name of a condition in the table -> whether an op meets it.
CONDITIONS: dict[str, Callable[[Op], bool]] = {
    "activation": lambda op: bool(op.option("fusedActivationFunction")),
    "align_corners": lambda op: bool(op.option("alignCorners")),
    "broadcast": lambda op: op.inputs[0].shape[:-2] != op.inputs[1].shape[:-2],
    "crops": _crops,
    "dilated": lambda op: (
        (op.option("dilationHFactor", 1), op.option("dilationWFactor", 1)) != (1, 1)
    ),
    "grouped": lambda op: op.inputs[0].shape[3] != op.inputs[1].shape[3],
    "half_pixel_centers": lambda op: bool(op.option("halfPixelCenters")),
    "hybrid": _hybrid,
    "int32_activation": lambda op: (
        op.inputs[0].type == "int32" and bool(op.option("fusedActivationFunction"))
    ),
    "int8_zero_point": lambda op: op.inputs[0].type == "int8" and any(op.inputs[0].zero_points),
    "keep_num_dims": lambda op: bool(op.option("keepNumDims")),
    "last_axis": _last_axis,
    "no_bias": lambda op: op.input(2) is None,
    "no_squeeze_dims": lambda op: len(_numbers(op.option("squeezeDims", None))) == 0,
    "not_20_or_24_inputs": lambda op: len(op.inputs) not in (20, 24),
    "not_square": lambda op: op.outputs[0].shape[1] != op.outputs[0].shape[2],
    "pad_value": lambda op: len(op.inputs) == 3,
    "per_channel": lambda op: len(op.inputs[1].scales) > 1,
    "quantized_window_above_256": lambda op: (
        op.inputs[0].type in ("uint8", "int8")
        and op.option("filterHeight") * op.option("filterWidth") > 256
    ),
    "rank_above_4": lambda op: max(_ranks(op)) > 4,
    "rank_below_2": lambda op: len(op.inputs[0].shape) < 2,
    "rank_not_2_or_4": lambda op: len(op.inputs[0].shape) not in (2, 4),
    "rank_not_4": lambda op: len(op.inputs[0].shape) != 4,
    "restricted_scales": lambda op: (
        op.inputs[0].type == "uint8" and op.scales[0] * op.scales[1] >= op.scales[2]
    ),
    "scalar_input": lambda op: not op.inputs[0].shape,
    "scalar_output": lambda op: not op.outputs[0].shape,
    "scalar_positions": lambda op: not op.inputs[1].shape,
    "unlike_shapes": lambda op: op.inputs[0].shape != op.inputs[1].shape,
    "unlike_types": lambda op: op.inputs[0].type != op.inputs[1].type,
    "unlike_uint8_scales": _unlike_scales,
    "version_3_of_integers": lambda op: op.version == 3 and op.inputs[0].type != "float16",
}
