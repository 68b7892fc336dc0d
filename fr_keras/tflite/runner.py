"""Running .tflite files on LiteRT."""

import os
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from fr_keras.tflite.signature import by_input

# The name of a flatbuffer that does not come from a file.
_BYTES = "bytes"


class Ends:
    """The inputs and outputs of a .tflite file that is loaded but not run.

    A row is the input of one run: a tensor without its first axis if that is 1 or dynamic, else the
    whole tensor.

    Args:
        file: Path of the file, or its bytes.
        threads: CPU threads of the runtime.

    Attributes:
        inputs: Name -> shape of each input, without the axis of rows; a dynamic axis counts as 1.
        open_inputs: Name -> shape of each input with dynamic axes, which are `None` in it.
        input_ranks: The number of axes of each input, including the axis of rows.
        outputs: Name -> shape of each output, without the axis of rows, and its type in the file.
        output_steps: Quantization step of each output, by name; `None` if it is float.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a valid flatbuffer.
    """

    def __init__(self, file: str | os.PathLike | bytes, threads: int = 1):
        self._name, content = read(file)
        self._interpreter = interpreter(self._name, content, threads)
        self._inputs = self._named("input", self._interpreter.get_input_details())
        self._outputs = self._named("output", self._interpreter.get_output_details())
        self.inputs = {name: _row_shape(one, "shape") for name, one in self._inputs.items()}
        shapes = {name: _row_shape(one, "shape_signature") for name, one in self._inputs.items()}
        self.open_inputs = {
            name: tuple(None if length < 0 else length for length in shape)
            for name, shape in shapes.items()
            if min(shape, default=0) < 0
        }
        self.input_ranks = [len(one["shape"]) for one in self._inputs.values()]
        self.outputs = {
            name: (_row_shape(one, "shape"), np.dtype(one["dtype"]))
            for name, one in self._outputs.items()
        }
        self.output_steps = {
            name: float(one["quantization"][0]) or None for name, one in self._outputs.items()
        }

    def _named(self, end: str, details: list[dict]) -> dict[str, dict]:
        """Tensors by name in the file's only signature, or by their own; in the file's order."""
        signatures = list(self._interpreter.get_signature_list())
        if len(signatures) != 1:
            return {one["name"]: one for one in details}
        runner = self._interpreter.get_signature_runner(signatures[0])
        found = getattr(runner, f"get_{end}_details")()
        # Two names may stand for one tensor, and the signature itself is sorted by name.
        order = [one["index"] for one in details]
        return dict(sorted(found.items(), key=lambda item: order.index(item[1]["index"])))

    def own(self, parts: list) -> list[np.ndarray]:
        """Returns the rows for each input, as `Runner.run` takes them, in the types of the file.

        Raises:
            ValueError: As in `Runner.run`.
        """
        checked = [
            _rows(np.asarray(part), one)
            for part, one in zip(parts, self._inputs.values(), strict=True)
        ]
        counts = [len(part) for part in checked]
        if len(set(counts)) > 1:
            raise ValueError(
                f"`x` must have the same number of rows for each input. Received: {counts}"
            )
        return checked

    def real(self, outputs: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the real values of outputs in the types of the file, by name."""
        names = zip(self._outputs, outputs, strict=True)
        return {name: self.real_one(name, part) for name, part in names}

    def real_one(self, name: str, output: np.ndarray) -> np.ndarray:
        """Returns the real values of one output; strings and complex numbers stay as they are."""
        return _dequantized(output, self._outputs[name])


class Runner(Ends):
    """One .tflite file that is ready to run.

    Args:
        file: Path of the file, or its bytes.
        threads: CPU threads of the runtime.

    Attributes: Those of `Ends`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a valid flatbuffer, or has ops that LiteRT cannot run.
    """

    def __init__(self, file: str | os.PathLike | bytes, threads: int = 1):
        super().__init__(file, threads)
        self._shapes = [tuple(one["shape"]) for one in self._inputs.values()]
        self._allocate()

    def _allocate(self) -> None:
        try:
            self._interpreter.allocate_tensors()
        except RuntimeError as error:
            raise ValueError(
                f"{_called(self._name)} must have ops that LiteRT can run: {error}. "
                f"Received: {self._name}"
            ) from error

    def run(self, x) -> np.ndarray | dict[str, np.ndarray]:
        """Runs any number of rows, one by one.

        Args:
            x: Array `(rows, *input shape)`; for several inputs, a dict of arrays by name, a list in
                the file's order, or arrays nested as the model takes them. Integers of the file's
                own input type are passed on unchanged; all other numbers are real values and are
                quantized where needed.

        Returns:
            Real values, float32 `(rows, *output shape)`; quantized outputs are dequantized. For
            several outputs, a dict by name.

        Raises:
            ValueError: If a shape does not fit, or inputs are missing.
        """
        outputs = self.run_all(by_input(x, list(self._inputs), "x"))
        return outputs if len(outputs) > 1 else outputs.popitem()[1]

    def run_all(self, parts: list) -> dict[str, np.ndarray]:
        """Like `run`, with one array for each input; returns every output by name."""
        checked = self.own(parts)
        rows = [self._run_row(row) for row in zip(*checked, strict=True)]
        return self.real(
            [_joined([row[n] for row in rows], one) for n, one in enumerate(self._outputs.values())]
        )

    def latency(self, runs: int = 50, warmup: int = 5) -> float:
        """Returns the median seconds for one row of zeros, after a warm-up."""
        row = [np.zeros(self.inputs[name], one["dtype"]) for name, one in self._inputs.items()]
        for _ in range(warmup):
            self._run_row(row)
        times = []
        for _ in range(runs):
            begin = time.perf_counter()
            self._run_row(row)
            times.append(time.perf_counter() - begin)
        return float(np.median(times))

    def _run_row(self, row) -> list[np.ndarray]:
        details = list(self._inputs.values())
        whole = [
            part[None] if part.ndim < rank else part
            for part, rank in zip(row, self.input_ranks, strict=True)
        ]
        shapes = [part.shape for part in whole]
        if shapes != self._shapes:
            for one, shape in zip(details, shapes, strict=True):
                self._interpreter.resize_tensor_input(one["index"], shape)
            self._allocate()
            self._shapes = shapes
        for part, one in zip(whole, details, strict=True):
            self._interpreter.set_tensor(one["index"], part)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(one["index"]) for one in self._outputs.values()]


def run(file: str | os.PathLike | bytes, x, threads: int = 1) -> np.ndarray | dict[str, np.ndarray]:
    """Runs a .tflite file on any number of rows; see `Runner`.

    Args:
        file: Path of the file, or its bytes.
        x: Array `(rows, *input shape)`, of real values or of integers of the file's own type; for
            several inputs, a dict of arrays by name, a list in the file's order, or arrays nested
            like the model's inputs.
        threads: CPU threads of the runtime.

    Returns:
        Real values, float32 `(rows, *output shape)`; for several outputs, a dict by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or the shape of `x` does not fit.

    Example:

    >>> import keras
    >>> from fr_keras import tflite
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> file = tflite.convert(model).content
    >>> run(file, np.ones((3, 8))).shape
    (3, 4)
    """
    return Runner(file, threads).run(x)


def read(file: str | os.PathLike | bytes) -> tuple[str, bytes]:
    """Returns a name for messages, and the bytes of a file; `file` may already be the bytes."""
    if isinstance(file, (bytes, bytearray)):
        return _BYTES, bytes(file)
    return f"'{file}'", Path(file).read_bytes()


def interpreter(name: str, content: bytes, threads: int = 1) -> Interpreter:
    """Loads a flatbuffer; LiteRT verifies every offset in it.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        return Interpreter(model_content=content, num_threads=threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{_called(name)} must be a .tflite flatbuffer that LiteRT can load: {error}. "
            f"Received: {name}, {len(content)} bytes"
        ) from error


def _called(name: str) -> str:
    """The name in messages for a file, or for bytes, where the caller gave no file."""
    return "the content" if name == _BYTES else "`file`"


def _row_shape(details: dict, kind: str) -> tuple[int, ...]:
    """The `shape` of a tensor without the axis of rows, or its `shape_signature`, with -1 for
    dynamic axes."""
    shape, lead = details[kind].tolist(), details["shape_signature"][:1]
    return tuple(shape[1:] if len(lead) and lead[0] in (1, -1) else shape)


def _rows(x: np.ndarray, details: dict) -> np.ndarray:
    shape = _row_shape(details, "shape_signature")
    if x.ndim != len(shape) + 1 or any(
        n not in (-1, m) for n, m in zip(shape, x.shape[1:], strict=True)
    ):
        shown = tuple("any" if n < 0 else n for n in shape)
        raise ValueError(
            f"`x` must have the shape (rows, {shown}) for '{details['name']}'. Received: {x.shape}"
        )
    return _quantized(x, details)


def _joined(rows: list[np.ndarray], details: dict) -> np.ndarray:
    if not rows:
        return np.empty((0, *_row_shape(details, "shape")), np.float32)
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"`x` must be one row if the shape of an output, here '{details['name']}', depends on "
            f"the values. Received: {len(rows)} rows, with outputs of shapes {sorted(shapes)}"
        )
    return np.concatenate(rows) if rows[0].shape[:1] == (1,) else np.stack(rows)


def _quantized(x: np.ndarray, details: dict) -> np.ndarray:
    dtype = np.dtype(details["dtype"])
    scale, zero_point = details["quantization"]
    if x.dtype == dtype or not scale:
        return x.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _dequantized(y: np.ndarray, details: dict) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if y.dtype.kind not in "fiub":  # strings and complex numbers
        return y
    if not scale:
        return y.astype(np.float32)
    return ((y.astype(np.float32) - zero_point) * np.float32(scale)).astype(np.float32)
