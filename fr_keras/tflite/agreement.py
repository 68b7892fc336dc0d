"""How far a .tflite file is from the Keras model it came from."""

import dataclasses

import keras
import numpy as np

from fr_keras.tflite.deployable import in_half
from fr_keras.tflite.modes import FLOAT16, Mode
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.signature import output_names

_ARGMAX_BOUND = 0.95


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far the outputs of a file are from those of its Keras model, on the same rows.

    Attributes:
        rows: Number of rows compared.
        rows_from: `"held out"`: representative rows that calibration did not use;
            `"calibration"`: rows that calibration used, as for data of a single row; `"random"`:
            random rows, because no data was given.
        largest: Largest absolute difference.
        mean: Mean absolute difference.
        range: Largest minus smallest Keras output.
        argmax: Fraction of arg-maxes over the last axis that agree; `None` if that axis has one
            number.
        step: Quantization step of the file's output; `None` if it is float.
        bound: The most that `mean / range` may be.
        argmax_bound: The least that `argmax` may be: 95 %, or all but one if there are few.
    """

    rows: int
    rows_from: str
    largest: float
    mean: float
    range: float
    argmax: float | None
    step: float | None
    bound: float
    argmax_bound: float

    @property
    def holds(self) -> bool:
        """Whether the differences stay within the stated bounds."""
        close = self.mean <= self.bound * self.range
        return close and (self.argmax is None or self.argmax >= self.argmax_bound)

    @property
    def relative(self) -> float:
        """Mean difference as a fraction of the range; for a constant output, the difference."""
        return self.mean / self.range if self.range else self.mean

    def to_dict(self) -> dict:
        """Returns the fields as plain types, ready for JSON."""
        return {**dataclasses.asdict(self), "holds": self.holds}

    def __str__(self) -> str:
        argmax = "" if self.argmax is None else f", arg-max agrees on {self.argmax:.1%}"
        step = "" if self.step is None else f", quantization step {self.step:.3g}"
        return (
            f"on {self.rows} rows ({self.rows_from}): difference at most {self.largest:.3g}, mean "
            f"{self.mean:.3g} on a range of {self.range:.3g}{argmax}{step}"
        )


def agreement_of(outputs: np.ndarray, expected: np.ndarray, **fields: object) -> Agreement:
    """The agreement of a file's output with the model's on the same rows.

    `fields` are the fields that do not follow from the numbers.
    """
    difference = np.abs(outputs - expected)
    argmax, argmax_bound = None, 0.0
    if expected.ndim > 1 and expected.shape[-1] > 1:
        equal = outputs.argmax(-1) == expected.argmax(-1)
        argmax, argmax_bound = float(equal.mean()), min(_ARGMAX_BOUND, 1 - 1 / equal.size)
    return Agreement(
        rows=len(expected),
        largest=float(difference.max()),
        mean=float(difference.mean()),
        range=float(np.ptp(expected)),
        argmax=argmax,
        argmax_bound=argmax_bound,
        **fields,
    )


def agreements(
    model: keras.Model,
    expected: list[np.ndarray],
    runner: Runner,
    rows: list[np.ndarray],
    rows_from: str,
    mode: Mode,
) -> dict[str, Agreement]:
    """How far a file in that mode is from the model, by the name of the output.

    `expected` are the model's outputs for the rows.
    """
    half = in_half(model)
    outputs = runner.run_all(rows)
    return {
        name: agreement_of(
            outputs[name],
            one,
            rows_from=rows_from,
            step=runner.output_steps[name],
            bound=max(mode.bound, FLOAT16.bound if half else 0),
        )
        for name, one in zip(output_names(model), expected, strict=True)
    }
