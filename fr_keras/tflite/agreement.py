"""How far a .tflite file is from the Keras model it came from."""

import dataclasses

import keras
import numpy as np

from fr_keras.tflite.deployable import in_half
from fr_keras.tflite.modes import FLOAT16, Mode
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.signature import output_names, predict

_ARGMAX_BOUND = 0.95


@dataclasses.dataclass(frozen=True)
class Agreement:
    """A file against its Keras model, on the same rows.

    Attributes:
        rows: Number of rows compared.
        rows_from: `"held out"`: representative rows that calibration did not see;
            `"calibration"`: it saw them, for there was only one; `"random"`: none were given.
        largest: Largest absolute difference.
        mean: Mean absolute difference.
        range: Largest minus smallest Keras output.
        argmax: Fraction of last-axis arg-maxes that agree; `None` for one output number.
        step: Quantization step of the file's output; `None` where it is float.
        bound: What `mean / range` may be.
        argmax_bound: What `argmax` must be: 95 %, or all of a few but one.
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
        """Mean difference as a fraction of the range; of a constant output, the difference."""
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

    `fields` are those that the numbers do not tell.
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
    model: keras.Model, runner: Runner, rows: list[np.ndarray], rows_from: str, mode: Mode
) -> dict[str, Agreement]:
    """How far a file in that mode is from the model, by name of the output."""
    half = in_half(model)
    outputs = runner.run_all(rows)
    return {
        name: agreement_of(
            outputs[name],
            expected,
            rows_from=rows_from,
            step=runner.output_steps[name],
            bound=max(mode.bound, FLOAT16.bound if half else 0),
        )
        for name, expected in zip(output_names(model), predict(model, rows), strict=True)
    }
