"""int8 quantization of a float flatbuffer, with ranges chosen for the least error."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import LINEAR
from fr_keras.tflite.int8._observe import observe

_SAMPLES = 2**17  # for each tensor, over all rows
# XNNPACK limits the ratio of steps to 256, and a kernel has 127 steps.
_LARGEST_RATIO = 2**14
_SHRINK = np.geomspace(1, 0.05, 40)


class Samples:
    """A random sample of the values of a tensor on a number of rows, and its extremes.

    Attributes:
        ends: The smallest and the largest value, whether in the sample or not.
    """

    def __init__(self, rows: int):
        self.ends = (np.inf, -np.inf)
        self._share = max(64, _SAMPLES // rows)
        self._rng = np.random.default_rng(0)
        self._parts: list[np.ndarray] = []

    def add(self, row: np.ndarray) -> None:
        """Adds values of a row."""
        values = row.ravel()
        self.ends = min(self.ends[0], values.min()), max(self.ends[1], values.max())
        if values.size > self._share:
            values = values[self._rng.integers(0, values.size, self._share)]
        self._parts.append(values)

    @property
    def values(self) -> np.ndarray:
        """The sample, one-dimensional."""
        return np.concatenate(self._parts)


def calibrated(
    content: bytes,
    rows: list[np.ndarray],
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> bytes:
    """Returns a float flatbuffer with the range that int8 should cover on every activation.

    This is not the range from the smallest to the largest value on the representative rows, because
    a few outliers would cost all other values their precision. It is the range with the least mean
    squared error of clipping and rounding together. Inputs and outputs are not clipped.

    Args:
        content: A float32 file, as the converter wrote it.
        rows: Representative rows, an array for each input in the order `input_0`, `input_1`, ...
        ranges: Ranges that are already known, by the name of the tensor.
    """
    model, ranges = flatbuffer.read(content), ranges or {}
    graph = model.subgraphs[0]
    ends = {*graph.inputs, *graph.outputs}
    for number, seen in _observed(content, model, rows).items():
        low, high = seen.ends if number in ends else clipped_range(seen.values)
        low, high = ranges.get(graph.tensors[number].name.decode(), (low, high))
        parameters = schema.QuantizationParametersT()
        parameters.min, parameters.max = [float(low)], [float(high)]
        graph.tensors[number].quantization = parameters
    for op in graph.operators:
        _widen(model, op)
    return flatbuffer.write(model)


def _widen(model: schema.ModelT, op: schema.OperatorT) -> None:
    """Widens the range of a linear op's output that is (nearly) always 0, for XNNPACK.

    XNNPACK does not load a file, and may abort, if the step of an output is far below the product
    of the steps of input and kernel. A layer that is dead or masked on all rows has such an output.
    """
    code, tensors = model.operatorCodes[op.opcodeIndex].builtinCode, model.subgraphs[0].tensors
    if code not in LINEAR:
        return
    activation, kernel, _ = LINEAR[code]
    data = model.buffers[tensors[op.inputs[kernel]].buffer].data
    before, after = (tensors[n].quantization for n in (op.inputs[activation], op.outputs[0]))
    if data is None or not (_has_range(before) and _has_range(after)):
        return
    largest = float(np.abs(np.asarray(data, np.uint8).view(np.float32)).max())
    least = _width(before) * largest / _LARGEST_RATIO
    if _width(after) < least or not _width(after):
        low = min(float(after.min[0]), 0.0)
        after.min, after.max = [low], [low + (least or 1.0)]


def _has_range(quantization: schema.QuantizationParametersT | None) -> bool:
    ends = None if quantization is None else quantization.max
    return ends is not None and len(ends) > 0


def _width(quantization: schema.QuantizationParametersT) -> float:
    return max(float(quantization.max[0]), 0.0) - min(float(quantization.min[0]), 0.0)


def quantized(content: bytes, float_io: bool = False, float_tensors: Sequence[str] = ()) -> bytes:
    """Returns a calibrated flatbuffer with int8 kernels and activations.

    Args:
        content: A float32 file with ranges, from `calibrated`.
        float_io: Whether the file has float32 inputs and outputs.
        float_tensors: Names of tensors whose ops stay in float32.
    """
    from fr_keras.tflite._tensorflow_internals import quantize_int8

    graph = flatbuffer.read(content).subgraphs[0]
    integers = [graph.tensors[number].type != schema.TensorType.FLOAT32 for number in graph.inputs]
    return quantize_int8(
        content,
        whole=not (float_io or float_tensors),
        inputs="float32" if float_io or any(integers) else "int8",
        outputs="float32" if float_io else "int8",
        left_out=float_tensors,
    )


def outputs_of_ops(content: bytes) -> list[str]:
    """Returns the names of the output tensors of all ops of a float file."""
    graph = flatbuffer.read(content).subgraphs[0]
    return [graph.tensors[n].name.decode() for op in graph.operators for n in op.outputs]


def clipped_range(values: np.ndarray, steps: int = 255) -> tuple[float, float]:
    """Returns the range with the least mean squared error of clipping and rounding.

    Rounding counts as noise of a twelfth of the squared step on every value except 0, which is
    always exact.

    Args:
        values: A sample of the tensor's values, one-dimensional.
        steps: Number of steps in the range.
    """
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    rounded = np.count_nonzero(values) / len(values) / 12
    ordered = np.sort(values).astype(np.float64)
    below, above = _squares_above(-ordered), _squares_above(ordered[::-1])
    tries = np.array([(a, b) for s in _SHRINK for a, b in ((s, s), (s, 1), (1, s))])
    for _ in range(2):
        lows, highs = (tries * (low, high)).T
        clipped = (below(-lows) + above(highs)) / len(values)
        best = np.argmin(clipped + rounded * ((highs - lows) / steps) ** 2)
        low, high = lows[best], highs[best]
    return float(low), float(high)


def _squares_above(falling: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function from ends to the sum of `(value - end)**2` over the values above each end.

    Args:
        falling: Values from the largest to the smallest.
    """
    sums, squares = (np.concatenate([[0.0], np.cumsum(falling**power)]) for power in (1, 2))
    rising = -falling

    def beyond(ends: np.ndarray) -> np.ndarray:
        count = np.searchsorted(rising, -ends)
        return squares[count] - 2 * ends * sums[count] + count * ends**2

    return beyond


def _observed(content: bytes, model, rows: list[np.ndarray]) -> dict[int, Samples]:
    """A sample of each activation's values on the rows."""
    graph = model.subgraphs[0]
    made = [number for op in graph.operators for number in op.outputs]
    seen = {
        number: Samples(len(rows[0]))
        for number in dict.fromkeys([*graph.inputs, *made])
        if graph.tensors[number].type == schema.TensorType.FLOAT32
    }
    observe(content, rows, seen)
    return seen
