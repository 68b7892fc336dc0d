"""Convolutions of few channels over several pixels at once, with the same numbers."""

import copy
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file.memory import window_bytes

_TENSORS = schema.TensorType
_TYPES = {
    _TENSORS.FLOAT32: np.float32,
    _TENSORS.FLOAT16: np.float16,
    _TENSORS.INT8: np.int8,
    _TENSORS.INT32: np.int32,
}
# With more channels, the zeros cost more time than whole registers save.
_MOST_CHANNELS = 4
_PIXELS = (2, 3, 4)
# About what an op and its tensors take in a file.
_BYTES_OF_AN_OP = 150


def pack(new: Rewriter, worth: float) -> int:
    """Packs pixels into channels where convolutions have few channels.

    `(H, W, c)` is also `(H, W / pixels, pixels * c)` in memory, so that two RESHAPEs cost nothing.
    Each block of the output needs its own block of the input and the blocks beside it. Most of the
    larger kernel is zeros. The sums stay the same, so that int8 is exact; in float32 their order
    may change.

    Args:
        new: The graph.
        worth: The number of bytes of window tables for which a byte of the file is spent.

    Returns:
        About how many bytes longer the file is.
    """
    found, longer, constants = [], 0, _Constants(new)
    for op in new.graph.operators:
        pixels, bytes_ = _choice(constants, op, worth)
        found += [op] if pixels == 1 else _packed(constants, op, pixels)
        longer += bytes_
    new.graph.operators = found
    return longer


class _Constants:
    """The constants of a graph, also those in float16 that an op widens."""

    def __init__(self, new: Rewriter):
        self.new = new
        self._widening = {
            int(op.outputs[0]): op
            for op in new.graph.operators
            if new.name(op) == "DEQUANTIZE" and new.data(op.inputs[0]) is not None
        }

    def stored(self, number: int) -> int:
        """The tensor that holds the numbers of a constant."""
        op = self._widening.get(int(number))
        return int(number if op is None else op.inputs[0])

    def known(self, number: int) -> bool:
        """Whether a tensor is a constant in a type that can be changed."""
        stored = self.stored(number)
        return self.new.data(stored) is not None and self.new.graph.tensors[stored].type in _TYPES

    def bytes_of_one(self, number: int) -> int:
        """The bytes of one of its numbers in the file."""
        return np.dtype(_TYPES[self.new.graph.tensors[self.stored(number)].type]).itemsize

    def changed(
        self, number: int, pixels: int, change: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[int, list[schema.OperatorT]]:
        """A constant with other numbers for as many pixels, and the op that widens it, if any."""
        stored = self.stored(number)
        tensor = self.new.graph.tensors[stored]
        data = np.asarray(self.new.data(stored), np.uint8).view(_TYPES[tensor.type])
        values = change(data.reshape(self.new.shape(stored)))
        made = self.new.constant(values, stored, _repeated(tensor.quantization, pixels))
        if stored == number:
            return made, []
        op = copy.copy(self._widening[int(number)])
        output = self.new.activation(int(number), values.shape)
        op.inputs, op.outputs = np.array([made], np.int32), np.array([output], np.int32)
        return output, [op]


def _choice(constants: _Constants, op: schema.OperatorT, worth: float) -> tuple[int, int]:
    """How many pixels are packed, and the bytes that it costs; 1 and 0 if it is not worth it."""
    if not _fits(constants, op):
        return 1, 0
    new = constants.new
    width, kernel = new.shape(op.inputs[0])[2], new.graph.tensors[op.inputs[1]]
    filters, high, wide, channels = new.shape(op.inputs[1])
    windows, choices = window_bytes(new.model, op), [(0.0, 1, 0)]
    for pixels in _PIXELS:
        if width % pixels == 0 and windows:
            taps = sum(_blocks(wide, pixels)) + 1
            more = pixels * pixels * taps - wide
            weights = constants.bytes_of_one(op.inputs[1]) * filters * high * channels * more
            longer = weights + 4 * filters * (pixels - 1) + 3 * _BYTES_OF_AN_OP
            if _by_channel(kernel.quantization):
                longer += 2 * (4 + 8) * filters * (pixels - 1)
            saved = windows * (1 - taps / (wide * pixels))
            choices.append((longer * worth - saved, pixels, longer))
    _, pixels, longer = min(choices)
    return pixels, longer


def _fits(constants: _Constants, op: schema.OperatorT) -> bool:
    """Whether it is a convolution of few channels that moves pixel by pixel, with constants."""
    new = constants.new
    if new.name(op) != "CONV_2D" or len(op.inputs) != 3 or op.inputs[2] < 0:
        return False
    options = op.builtinOptions
    steps = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if steps != (1, 1, 1, 1) or options.padding != schema.Padding.SAME:
        return False
    source, kernel, bias, result = (new.graph.tensors[n] for n in (*op.inputs, op.outputs[0]))
    types = (source.type, kernel.type, bias.type, result.type)
    in_int8 = types == (_TENSORS.INT8, _TENSORS.INT8, _TENSORS.INT32, _TENSORS.INT8)
    filters, _, _, channels = new.shape(op.inputs[1])
    return (
        (in_int8 or {*types} == {_TENSORS.FLOAT32})
        and all(constants.known(n) for n in op.inputs[1:])
        and len(new.shape(op.inputs[0])) == 4
        and channels == new.shape(op.inputs[0])[3]  # not grouped
        and max(filters, channels) <= _MOST_CHANNELS
        and not (in_int8 and np.any(kernel.quantization.zeroPoint))
    )


def _blocks(wide: int, pixels: int) -> tuple[int, int]:
    """How many blocks to the left and to the right of its own one a block of pixels needs."""
    left = (wide - 1) // 2
    return -(-left // pixels), -(-(wide - 1 - left) // pixels)


def _packed(constants: _Constants, op: schema.OperatorT, pixels: int) -> list[schema.OperatorT]:
    new, source, result = constants.new, int(op.inputs[0]), int(op.outputs[0])
    _, height, width, channels = new.shape(source)
    filters = new.shape(result)[3]
    packing = new.reshape(source, [1, height, width // pixels, pixels * channels])
    output = new.activation(result, [1, height, width // pixels, pixels * filters])
    kernel, widening = constants.changed(
        op.inputs[1], pixels, lambda values: _kernel(values, pixels)
    )
    bias, more = constants.changed(op.inputs[2], pixels, lambda values: np.tile(values, pixels))
    convolution = copy.copy(op)
    convolution.inputs = np.array([packing.outputs[0], kernel, bias], np.int32)
    convolution.outputs = np.array([output], np.int32)
    unpacking = new.reshape(output, new.shape(result))
    unpacking.outputs = np.array([result], np.int32)
    return [*widening, *more, packing, convolution, unpacking]


def _kernel(values: np.ndarray, pixels: int) -> np.ndarray:
    """A kernel whose output `pixel * filters + filter` is that of the filter at a pixel."""
    filters, high, wide, channels = values.shape
    left, right = _blocks(wide, pixels)
    taps = left + 1 + right
    packed = np.zeros((pixels, filters, high, taps * pixels, channels), values.dtype)
    for pixel in range(pixels):
        begin = left * pixels + pixel - (wide - 1) // 2
        packed[pixel, :, :, begin : begin + wide] = values
    return packed.reshape(pixels * filters, high, taps, pixels * channels)


def _by_channel(quantization: schema.QuantizationParametersT | None) -> bool:
    scale = None if quantization is None else quantization.scale
    return scale is not None and len(scale) > 1


def _repeated(quantization, pixels: int):
    """The quantization of each channel, for as many pixels."""
    if not _by_channel(quantization):
        return quantization
    repeated = copy.copy(quantization)
    repeated.scale = np.tile(quantization.scale, pixels)
    repeated.zeroPoint = np.tile(quantization.zeroPoint, pixels)
    return repeated
