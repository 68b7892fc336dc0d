"""What a network solves: the form of its labels, the loss that fits, and how it is scored."""

import dataclasses
from collections.abc import Callable

import numpy as np

from fr_bench.tasks._heads import METRICS, Head, Kind, UnfitLabels, find_head
from fr_bench.tasks._scores import Scored, mean_score, scored, scored_by

__all__ = ["METRIC_NAMES", "Head", "Kind", "Scored", "Task", "UnfitLabels", "find_task"]

#: The names that `metric` takes.
METRIC_NAMES = tuple(dict.fromkeys(name for names in METRICS.values() for name in names))

#: Labels or outputs, a tuple for a network with several outputs.
Arrays = np.ndarray | tuple[np.ndarray, ...]
Metric = str | Callable[[Arrays, Arrays], float]


@dataclasses.dataclass(frozen=True)
class Task:
    """What a network solves, found by `find_task`.

    Attributes:
        heads: What each output solves.
        metric: The name of the score, or a function of labels and outputs; `None` takes the usual
            score of each output.
        loss: A loss as Keras takes it, in place of the one that fits.
    """

    heads: tuple[Head, ...]
    metric: Metric | None = None
    loss: object = None

    @property
    def metric_name(self) -> str:
        """The name of the score in tables and histories."""
        if callable(self.metric):
            return getattr(self.metric, "__name__", "metric")
        names = dict.fromkeys(head.score(self.metric).name for head in self.heads)
        return "+".join(names)

    @property
    def losses(self) -> object:
        """The loss, or a list with that of each output, as `compile` takes it."""
        if self.loss is not None:
            return self.loss
        found = [head.loss() for head in self.heads]
        return found if len(found) > 1 else found[0]

    def prepared(self, y: Arrays) -> Arrays:
        """Labels as they came, in the form that `losses` and `score` take."""
        found = tuple(h.prepared(one) for h, one in zip(self.heads, _tuple(y), strict=True))
        return found if isinstance(y, tuple) else found[0]

    def score(self, y: Arrays, outputs: Arrays, weight: np.ndarray | None = None) -> Scored:
        """The score of outputs; of several outputs, the mean of their scores.

        Args:
            y: Prepared labels.
            outputs: What the network, or its file, answers; floats.
            weight: The weight of each row; a function of the user's own does not get it.
        """
        if callable(self.metric):
            return scored_by(self.metric, y, outputs)
        return scored(*self._sums(y, outputs, weight), weighted=weight is not None)

    def value(self, y: Arrays, outputs: Arrays, weight: np.ndarray | None = None) -> float:
        """The value of `score` without its interval, which takes longer."""
        if callable(self.metric):
            return float(self.metric(y, outputs))
        return mean_score(*self._sums(y, outputs, weight))

    def _sums(self, y: Arrays, outputs: Arrays, weight: np.ndarray | None) -> tuple[list, list]:
        """For each output, its score and the numbers of each row."""
        scores, sums = [head.score(self.metric) for head in self.heads], []
        for score, head, labels, found in zip(
            scores, self.heads, _tuple(y), _tuple(outputs), strict=True
        ):
            numbers = score.sums(labels, head.decided(found))
            sums.append(numbers if weight is None else numbers * np.asarray(weight)[:, None])
        return scores, sums

    def chance(self, y: Arrays, outputs: Arrays) -> float:
        """The score of the best answer that is always the same.

        For a function of the user's own it is the score of the outputs in another order of rows.
        """
        if callable(self.metric):
            order = np.random.default_rng(0).permutation(len(_tuple(y)[0]))
            shuffled = tuple(one[order] for one in _tuple(outputs))
            return float(self.metric(y, shuffled if isinstance(outputs, tuple) else shuffled[0]))
        heads = zip(self.heads, _tuple(y), strict=True)
        return float(np.mean([head.chance(labels, self.metric) for head, labels in heads]))

    def __str__(self) -> str:
        return "; ".join(map(str, self.heads))


def find_task(
    y: Arrays, outputs: Arrays, loss: object = None, metric: Metric | None = None
) -> Task:
    """Finds what a network solves, in labels and in the outputs of some rows.

    Args:
        y: Labels of all rows, as they came.
        outputs: Outputs of some rows.
        loss: A loss as Keras takes it, in place of the one that fits the labels and outputs.
        metric: `"accuracy"`, `"dice"`, `"f1"`, `"r2"`, or a function of labels and outputs, numpy
            arrays of many rows, that returns a number; the higher, the better.

    Raises:
        UnfitLabels: A `ValueError`, if the labels do not fit the outputs.
        ValueError: If the metric does not fit them.

    Example:

    >>> y = np.array([2, 0, 1])
    >>> outputs = np.array([[0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.7, 0.1, 0.2]])
    >>> task = find_task(y, outputs)
    >>> str(task), task.metric_name, round(task.score(y, outputs).value, 3)
    ('classification, 3 classes (integers), probabilities', 'accuracy', 0.667)
    """
    labels, answers = _tuple(y), _tuple(outputs)
    if len(labels) != len(answers):
        raise UnfitLabels(
            "`data` must have labels for each output of `model`. Received: labels for "
            f"{len(labels)}, and {len(answers)} outputs"
        )
    places = [f" (output {n})" for n in range(len(answers))] if len(answers) > 1 else [""]
    task = Task(tuple(map(find_head, labels, answers, places)), metric, loss)
    if not callable(metric):
        for head in task.heads:
            head.score(metric)  # refuses a metric that does not fit
    return task


def _tuple(values: Arrays) -> tuple[np.ndarray, ...]:
    return values if isinstance(values, tuple) else (values,)
