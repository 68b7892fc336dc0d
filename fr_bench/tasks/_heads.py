"""What one output of a network solves, found in its labels and outputs."""

import dataclasses
import enum

import keras
import numpy as np

from fr_bench.tasks._scores import Accuracy, Explained, LabelOverlap, Overlap, Score

_ROUNDING = 1e-2


class UnfitLabels(ValueError):
    """Labels that no output of the network can mean."""


class Kind(enum.StrEnum):
    """What an output says of a row."""

    CLASSES = "classification"
    TWO_CLASSES = "classification into two classes by one number"
    LABELS = "multi-label classification"
    MASKS = "segmentation"
    TWO_MASKS = "segmentation into two classes by one number"
    NUMBERS = "regression"


#: The names of the scores that `metric` takes, the first of each kind being its default.
METRICS = {
    Kind.CLASSES: ("accuracy", "f1"),
    Kind.TWO_CLASSES: ("accuracy", "f1"),
    Kind.LABELS: ("f1", "accuracy"),
    Kind.MASKS: ("dice", "accuracy"),
    Kind.TWO_MASKS: ("dice", "accuracy"),
    Kind.NUMBERS: ("r2",),
}
_BY_ONE_NUMBER = (Kind.TWO_CLASSES, Kind.TWO_MASKS)


@dataclasses.dataclass(frozen=True)
class Head:
    """What one output of a network solves.

    Attributes:
        kind: What it says of a row.
        form: The form of the labels as they came: `"integers"`, `"one-hot"`, `"0 and 1"`,
            `"0 and 255"` or `"numbers"`.
        classes: The number of classes or labels; of numbers for a regression.
        logits: Whether the outputs are logits instead of probabilities.
    """

    kind: Kind
    form: str
    classes: int
    logits: bool

    def prepared(self, y: np.ndarray) -> np.ndarray:
        """The labels as `loss` and the scores take them."""
        if self.form == "one-hot":
            return y.argmax(-1)
        if self.form == "0 and 255":
            y = y // 255
        if self.kind is Kind.NUMBERS:
            return (y[:, None] if y.ndim == 1 else y).astype(np.float32)
        if self.kind in (Kind.CLASSES, Kind.TWO_CLASSES):
            y = y.reshape(len(y))
        if self.kind in (Kind.MASKS, Kind.TWO_MASKS) and y.shape[-1] == 1 and y.ndim > 3:
            y = y[..., 0]
        if self.kind is Kind.LABELS:
            return y.astype(np.float32)
        return y if y.dtype.kind in "iu" else y.astype(np.int64)  # masks may be larger than memory

    def decided(self, outputs: np.ndarray) -> np.ndarray:
        """What the outputs say, in the form of the prepared labels."""
        threshold = 0.0 if self.logits else 0.5
        if self.kind in _BY_ONE_NUMBER:
            return (outputs[..., 0] > threshold).astype(np.int64)
        if self.kind is Kind.LABELS:
            return (outputs > threshold).astype(np.float32)
        if self.kind is Kind.NUMBERS:
            return outputs.reshape(len(outputs), -1)
        return outputs.argmax(-1)

    def missing(self, y: np.ndarray) -> list[int]:
        """The classes of which prepared labels have no row; of several labels, those never set."""
        if self.kind is Kind.NUMBERS:
            return []
        if self.kind is Kind.LABELS:
            return np.flatnonzero(~np.any(y, axis=0)).tolist()
        return sorted({*range(self.classes)} - {*np.unique(y).tolist()})

    def score(self, metric: str | None = None) -> Score:
        """The score of a name, by default the usual one.

        Raises:
            ValueError: If this kind of output has no such score.
        """
        metric = metric or METRICS[self.kind][0]
        if metric not in METRICS[self.kind]:
            raise ValueError(
                f"`metric` must be one of {METRICS[self.kind]} for {self.kind}, or a function of "
                f"labels and outputs. Received: {metric!r}"
            )
        if metric == "accuracy":
            return Accuracy()
        if metric == "r2":
            return Explained()
        if self.kind is Kind.LABELS:
            return LabelOverlap()
        return Overlap(metric, max(self.classes, 2), background=metric == "dice")

    def chance(self, y: np.ndarray, metric: str | None = None) -> float:
        """The score of the best answer that is always the same."""
        if self.kind is Kind.NUMBERS:
            return 0.0  # by the definition of R2
        score = self.score(metric)
        answers = range(2 if self.kind is Kind.LABELS else max(self.classes, 2))
        found = (score.sums(y, np.full(y.shape, one, y.dtype)).sum(0) for one in answers)
        return max(float(score.value(total)) for total in found)

    def loss(self) -> keras.losses.Loss:
        """The loss that fits prepared labels and the outputs."""
        if self.kind is Kind.NUMBERS:
            return keras.losses.MeanSquaredError()
        if self.kind is Kind.LABELS:
            return keras.losses.BinaryCrossentropy(from_logits=self.logits)
        if self.kind in _BY_ONE_NUMBER:
            return OneNumberCrossentropy(from_logits=self.logits)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=self.logits)

    def __str__(self) -> str:
        scale = "logits" if self.logits else "probabilities"
        if self.kind is Kind.NUMBERS:
            return f"{self.kind} of {self.classes:,} numbers"
        kind = (
            f"{self.kind}, {self.classes:,} {'labels' if self.kind is Kind.LABELS else 'classes'}"
        )
        return f"{kind} ({self.form}), {scale}"


class OneNumberCrossentropy(keras.losses.BinaryCrossentropy):
    """Binary cross-entropy of labels `(rows, ...)` and outputs `(rows, ..., 1)`."""

    def call(self, y_true, y_pred):
        return super().call(keras.ops.expand_dims(y_true, -1), y_pred)


def find_head(y: np.ndarray, outputs: np.ndarray, place: str = "") -> Head:
    """Finds what an output solves.

    Args:
        y: Labels of all rows.
        outputs: Outputs of some rows.
        place: Which output this is, for messages.

    Raises:
        UnfitLabels: If the labels fit no kind of output, or hold more classes than the outputs.
    """
    row, out = y.shape[1:], outputs.shape[1:]
    flat = row[:-1] if row[-1:] == (1,) else row
    whole = bool(y.dtype.kind in "biu" or np.all(y == np.round(y)))
    if out == row and len(out) >= 1 and out[-1] > 1 and whole:
        form = _form_of_rows(y)
        if form is not None:
            return Head(form[1], form[0], row[-1], not _are_probabilities(outputs))
    if out[-1:] != (1,) and flat == out[:-1] and whole:
        return _integers(y, outputs, place)
    if out[-1:] == (1,) and flat == out[:-1] and {*np.unique(y)} <= {0, 1, 255}:
        kind = Kind.TWO_MASKS if flat else Kind.TWO_CLASSES
        form = "0 and 255" if y.max() == 255 else "0 and 1"
        return Head(kind, form, 2, not _are_probabilities(outputs))
    if flat == out or row == out or (flat, out) == ((), (1,)):
        return Head(Kind.NUMBERS, "numbers", int(np.prod(out, dtype=int)), False)
    raise UnfitLabels(
        f"`data` must have labels that fit{place} the outputs of `model`: a class, a one-hot row, "
        "0 and 1 for each label, a mask of the outputs' height and width, or numbers of the "
        f"outputs' shape. Received: labels of shape {row} and type {y.dtype}, outputs of shape "
        f"{out}"
    )


def _form_of_rows(y: np.ndarray) -> tuple[str, Kind] | None:
    """The form of labels with a number for each output, or `None` if they are just numbers."""
    if not np.all((y == 0) | (y == 1)):
        return None
    if np.all(y.sum(-1) == 1):
        return "one-hot", Kind.CLASSES if y.ndim == 2 else Kind.MASKS
    return ("0 and 1", Kind.LABELS) if y.ndim == 2 else None


def _integers(y: np.ndarray, outputs: np.ndarray, place: str) -> Head:
    kind = Kind.MASKS if outputs.ndim > 2 else Kind.CLASSES
    classes, form = outputs.shape[-1], "integers"
    if kind is Kind.MASKS and classes == 2 and {*np.unique(y)} <= {0, 255}:
        form = "0 and 255"
    elif y.min() < 0 or y.max() >= classes:
        raise UnfitLabels(
            f"`data` must have labels from 0 to {classes - 1}, because `model` has {classes} "
            f"outputs{place}. Received: labels from {y.min()} to {y.max()}"
        )
    return Head(kind, form, classes, not _are_probabilities(outputs))


def _are_probabilities(outputs: np.ndarray) -> bool:
    return bool(outputs.min() >= -_ROUNDING and outputs.max() <= 1 + _ROUNDING)
