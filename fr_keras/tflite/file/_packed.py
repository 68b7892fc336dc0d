"""Convolutions of few channels over several pixels at once, with the same numbers."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file.memory import window_bytes

_TYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}
_INT32 = schema.TensorType.INT32
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
    found, longer = [], 0
    for op in new.graph.operators:
        pixels, bytes_ = _choice(new, op, worth)
        found += [op] if pixels == 1 else _packed(new, op, pixels)
        longer += bytes_
    new.graph.operators = found
    return longer


def _choice(new: Rewriter, op: schema.OperatorT, worth: float) -> tuple[int, int]:
    """How many pixels are packed, and the bytes that it costs; 1 and 0 if it is not worth it."""
    if not _fits(new, op):
        return 1, 0
    width, kernel = new.shape(op.inputs[0])[2], new.graph.tensors[op.inputs[1]]
    filters, high, wide, channels = new.shape(op.inputs[1])
    windows, choices = window_bytes(new.model, op), [(0.0, 1, 0)]
    for pixels in _PIXELS:
        if width % pixels == 0 and windows:
            taps = sum(_blocks(wide, pixels)) + 1
            more = pixels * pixels * taps - wide
            weights = np.dtype(_TYPES[kernel.type]).itemsize * filters * high * channels * more
            longer = weights + 4 * filters * (pixels - 1) + 3 * _BYTES_OF_AN_OP
            if _by_channel(kernel.quantization):
                longer += 2 * (4 + 8) * filters * (pixels - 1)
            saved = windows * (1 - taps / (wide * pixels))
            choices.append((longer * worth - saved, pixels, longer))
    _, pixels, longer = min(choices)
    return pixels, longer


def _fits(new: Rewriter, op: schema.OperatorT) -> bool:
    """Whether it is a convolution of few channels that moves pixel by pixel, with constants."""
    if new.name(op) != "CONV_2D" or len(op.inputs) != 3 or op.inputs[2] < 0:
        return False
    options = op.builtinOptions
    steps = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if steps != (1, 1, 1, 1) or options.padding != schema.Padding.SAME:
        return False
    source, kernel, bias, result = (new.graph.tensors[n] for n in (*op.inputs, op.outputs[0]))
    constant = all(new.data(n) is not None for n in op.inputs[1:])
    if not constant or {source.type, result.type} != {kernel.type} or kernel.type not in _TYPES:
        return False
    in_int8 = kernel.type == schema.TensorType.INT8
    filters, _, _, channels = new.shape(op.inputs[1])
    return (
        bias.type == (_INT32 if in_int8 else kernel.type)
        and len(new.shape(op.inputs[0])) == 4
        and channels == new.shape(op.inputs[0])[3]  # not grouped
        and max(filters, channels) <= _MOST_CHANNELS
        and not (in_int8 and np.any(kernel.quantization.zeroPoint))
    )


def _blocks(wide: int, pixels: int) -> tuple[int, int]:
    """How many blocks to the left and to the right of its own one a block of pixels needs."""
    left = (wide - 1) // 2
    return -(-left // pixels), -(-(wide - 1 - left) // pixels)


def _packed(new: Rewriter, op: schema.OperatorT, pixels: int) -> list[schema.OperatorT]:
    source, result = int(op.inputs[0]), int(op.outputs[0])
    _, height, width, channels = new.shape(source)
    filters = new.shape(result)[3]
    packing = new.reshape(source, [1, height, width // pixels, pixels * channels])
    output = new.activation(result, [1, height, width // pixels, pixels * filters])
    convolution = copy.copy(op)
    constants = [_kernel(new, op.inputs[1], pixels), _bias(new, op.inputs[2], pixels)]
    convolution.inputs = np.array([packing.outputs[0], *constants], np.int32)
    convolution.outputs = np.array([output], np.int32)
    unpacking = new.reshape(output, new.shape(result))
    unpacking.outputs = np.array([result], np.int32)
    return [packing, convolution, unpacking]


def _kernel(new: Rewriter, number: int, pixels: int) -> int:
    """A kernel whose output `pixel * filters + filter` is that of the filter at a pixel."""
    tensor = new.graph.tensors[number]
    filters, high, wide, channels = shape = new.shape(number)
    kernel = np.asarray(new.data(number), np.uint8).view(_TYPES[tensor.type]).reshape(shape)
    left, right = _blocks(wide, pixels)
    taps = left + 1 + right
    packed = np.zeros((pixels, filters, high, taps * pixels, channels), kernel.dtype)
    for pixel in range(pixels):
        begin = left * pixels + pixel - (wide - 1) // 2
        packed[pixel, :, :, begin : begin + wide] = kernel
    packed = packed.reshape(pixels * filters, high, taps, pixels * channels)
    return new.constant(packed, number, _repeated(tensor.quantization, pixels))


def _bias(new: Rewriter, number: int, pixels: int) -> int:
    tensor = new.graph.tensors[number]
    values = np.tile(np.asarray(new.data(number), np.uint8).view(np.int32), pixels)
    return new.constant(values, number, _repeated(tensor.quantization, pixels))


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
