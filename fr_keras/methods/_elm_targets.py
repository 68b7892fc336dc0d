"""The labels of a task as numbers that ridge regression fits, and the losses of its solutions."""

from typing import NamedTuple

import numpy as np

from fr_keras.methods._ridge import Solution

_FACTORS = 2.0 ** (np.arange(15) / 2)
# Whole numbers from here on are taken for amounts, not for classes.
_MOST_CLASSES = 1 << 16


class Choice(NamedTuple):
    """A solution of ridge regression, and what its logits are multiplied by.

    Attributes:
        solution: The solution.
        factor: The factor of the logits.
        loss: The mean loss on the rows that chose, or `None`.
    """

    solution: Solution
    factor: float = 1.0
    loss: float | None = None


class Targets:
    """What the labels of a task become; the first labels say which task it is.

    Whole numbers, one a row, are classes, and so are rows of zeros with a single 1. The targets are
    1 for the class of a row and 0 for the others. Other numbers are floats, one or several a row.
    Their targets are their differences from the mean of the first labels, in units of the standard
    deviation of these, so that no output outweighs another.

    Attributes:
        classes: How many classes there are so far, or 0 if the labels are not classes.
    """

    def __init__(self):
        self._kind: str | None = None
        self.classes = 0

    def of(self, labels: np.ndarray | None, name: str) -> np.ndarray:
        """Returns the targets `(rows, targets)` of labels, and learns of new classes.

        Args:
            labels: The labels of at least one row.
            name: The argument that they come from, for messages.

        Raises:
            ValueError: If there are no labels, or they are not of the task or not finite.
        """
        if labels is None:
            raise ValueError(
                f"`{name}` must have labels: a tuple `(inputs, labels)`, or batches of such "
                "tuples. Received: inputs only"
            )
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        kind = _kind(labels, name)
        if self._kind == "numbers" and labels.dtype.kind == "f":
            kind = "numbers"  # which may look like one-hot rows
        if self._kind is None:
            self._begin(kind, labels)
            self._shape = labels.shape[1:]
        if kind != self._kind or labels.shape[1:] != self._shape:
            raise ValueError(
                f"the labels in `{name}` must be of one task, as the first in `data`: "
                f"{self._kind}. Received: {labels.dtype} labels of shape {labels.shape}: {kind}"
            )
        if kind == "numbers":
            return ((labels - self._mean) / self._spread).reshape(len(labels), -1)
        return self._ones(labels)

    @property
    def factors(self) -> np.ndarray:
        """What the logits of classes may be multiplied by; for numbers, only 1."""
        return _FACTORS if self.classes else _FACTORS[:1]

    def losses(self, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns the summed loss of some rows for each of the factors.

        Args:
            scores: What a solution gives for the targets, `(rows, targets)`.
            targets: The targets.
        """
        if not self.classes:
            return np.array([np.square(scores - targets).mean(1).sum()])
        logits = (scores - scores.max(1, keepdims=True)) * _FACTORS[:, None, None]
        of_class = (logits * targets).sum((1, 2))
        return np.log(np.exp(logits).sum(2)).sum(1) - of_class

    def layer(self, choice: Choice) -> tuple[np.ndarray, np.ndarray]:
        """Returns the kernel and the bias of the layer that gives logits, or numbers."""
        _, kernel, bias = choice.solution
        if self.classes:
            return kernel * choice.factor, bias * choice.factor
        return kernel * self._spread, bias * self._spread + self._mean

    def _begin(self, kind: str, labels: np.ndarray) -> None:
        self._kind = kind
        if kind == "numbers":
            self._mean, spread = labels.mean(0, dtype=np.float64), labels.std(0, dtype=np.float64)
            self._spread = np.where(spread > 0, spread, 1.0)
        elif kind == "one-hot classes":
            self.classes = labels.shape[1]

    def _ones(self, labels: np.ndarray) -> np.ndarray:
        if labels.ndim == 2:
            return labels.astype(np.float32)
        self.classes = max(self.classes, int(labels.max()) + 1)
        return (labels[:, None] == np.arange(self.classes)).astype(np.float32)


def _kind(labels: np.ndarray, name: str) -> str:
    finite = labels.dtype.kind in "bui" or (
        labels.dtype.kind == "f" and bool(np.isfinite(labels).all())
    )
    if finite and labels.ndim == 2 and np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all():
        return "one-hot classes"
    if finite and labels.dtype.kind == "f" and labels.ndim in (1, 2):
        return "numbers"
    if finite and labels.ndim == 1 and labels.min() >= 0 and labels.max() < _MOST_CLASSES:
        return "classes"
    raise ValueError(
        f"the labels in `{name}` must be the numbers of the classes, one a row, from 0 to "
        f"{_MOST_CLASSES - 1} (int); one-hot rows of them; or finite floats, one or several a row. "
        f"Received: {labels.dtype} labels of shape {labels.shape}"
    )
