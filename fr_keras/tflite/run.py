"""Running .tflite files on LiteRT."""

import os
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Runner:
    """One loaded .tflite file with one input and one output.

    Args:
        file: Path of the file, or its bytes.
        threads: CPU threads of the runtime.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no valid flatbuffer, or has several inputs or outputs.
    """

    def __init__(self, file: str | os.PathLike | bytes, threads: int = 1):
        name, content = read(file)
        self._interpreter = interpreter(name, content, threads)
        try:
            self._interpreter.allocate_tensors()
        except RuntimeError as error:
            raise ValueError(
                f"`file` must have ops that LiteRT can run: {error}. Received: {name}"
            ) from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                "`file` must have one input and one output. "
                f"Received: {name} with {len(inputs)} inputs and {len(outputs)} outputs"
            )
        self._input, self._output = inputs[0], outputs[0]

    @property
    def output_step(self) -> float | None:
        """The quantization step of the output; `None` where it is float."""
        return float(self._output["quantization"][0]) or None

    def run(self, x) -> np.ndarray:
        """Runs any number of rows, one by one.

        Args:
            x: Array `(rows, *input shape)`. Integers of the file's own input type go in as they
                are; every other number counts as a real value and is quantized where needed.

        Returns:
            Real values, float32 `(rows, *output shape)`; quantized outputs are dequantized.

        Raises:
            ValueError: If the shape does not fit.
        """
        x = np.asarray(x)
        shape = tuple(self._input["shape"][1:])
        if x.shape[1:] != shape or x.ndim == 0:
            raise ValueError(f"`x` must have the shape (rows, {shape}). Received: {x.shape}")
        rows = [self._run_row(row) for row in _quantized(x, self._input)]
        if not rows:
            return np.empty((0, *self._output["shape"][1:]), np.float32)
        return _dequantized(np.concatenate(rows), self._output)

    def latency(self, runs: int = 50, warmup: int = 5) -> float:
        """Median seconds of one row on zeros, after a warm-up."""
        row = np.zeros(self._input["shape"][1:], self._input["dtype"])
        for _ in range(warmup):
            self._run_row(row)
        times = []
        for _ in range(runs):
            begin = time.perf_counter()
            self._run_row(row)
            times.append(time.perf_counter() - begin)
        return float(np.median(times))

    def _run_row(self, row: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"], row[None])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])


def run(file: str | os.PathLike | bytes, x, threads: int = 1) -> np.ndarray:
    """Runs a .tflite file on any number of rows; see `Runner`.

    Args:
        file: Path of the file, or its bytes.
        x: Array `(rows, *input shape)`, real values or the file's own integers.
        threads: CPU threads of the runtime.

    Returns:
        Real values, float32 `(rows, *output shape)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or the shape does not fit.

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
    """Returns a name for messages and the bytes of a file that may be given as bytes already."""
    if isinstance(file, (bytes, bytearray)):
        return "bytes", bytes(file)
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
            f"`file` must be a .tflite flatbuffer that LiteRT can load: {error}. "
            f"Received: {name}, {len(content)} bytes"
        ) from error


def _quantized(x: np.ndarray, details: dict) -> np.ndarray:
    dtype = np.dtype(details["dtype"])
    scale, zero_point = details["quantization"]
    if x.dtype == dtype or not scale:
        return x.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _dequantized(y: np.ndarray, details: dict) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if not scale:
        return y.astype(np.float32)
    return ((y.astype(np.float32) - zero_point) * np.float32(scale)).astype(np.float32)
