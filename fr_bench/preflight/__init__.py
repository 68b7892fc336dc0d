"""Whether a network scores on a data set as it stands, before any work begins.

Pixels that are scaled twice, classes in another order and labels in another form give a network
that answers at random, and a comparison of such networks is worth nothing.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from fr_bench._scoring import THREADS, file_answers
from fr_bench.data import Arrays, Dataset, Rows, Split, spaced, taken
from fr_bench.preflight._ranges import (
    RANGES,
    Range,
    in_range,
    ranges_to_try,
    unconfirmed,
    usual_scale,
    words,
)
from fr_bench.preflight._shapes import check_inputs
from fr_bench.tasks import Kind, Metric, Scored, Task, find_task
from fr_bench.training import answers
from fr_keras import tflite
from fr_keras.models.walk import frequency_layers

__all__ = [
    "FOR_UNTRAINED",
    "RANGES",
    "Preflight",
    "check_plain",
    "check_trained",
    "preflight",
    "preflight_file",
    "unconfirmed",
    "usual_scale",
]

#: The way out where a network need not be trained, for `check_trained`.
FOR_UNTRAINED = (
    " For a network that is not trained, say to measure its speed, give `scale` (on the command "
    "line `--scale`)."
)
Ask = Callable[[Split, Rows], Arrays]

#: The most rows with which each range is tried, the most numbers in them, and the fewest rows.
_PROBED, _NUMBERS, _FEWEST = 1_000, 1 << 24, 16
_LABELLED = 1_000  # masks that are looked at for the form of the labels
# A network that closes less than this share of the gap between chance and 1 knows nothing of use.
_LEAST = 0.05


@dataclasses.dataclass(frozen=True)
class Preflight:
    """What was found out about a network and its data.

    Attributes:
        data: The data set, with inputs in the range that the network takes, prepared labels, and
            the task.
        rows: The validation rows on which the network was scored.
        score: Its score.
        chance: The score of the best answer that is always the same.
        scaling: What becomes of the inputs, in words.
        tried: The score of some rows for each range of pixels that was tried.
        ask: What the network answers to rows of a split.
    """

    data: Dataset
    rows: Split
    score: Scored
    chance: float
    scaling: str
    tried: dict[str, float]
    ask: Ask = dataclasses.field(repr=False, compare=False)

    @property
    def task(self) -> Task:
        """What the network solves."""
        return self.data.task

    @property
    def is_at_chance(self) -> bool:
        """Whether the network answers hardly better than always the same."""
        least = self.chance + _LEAST * (1 - self.chance)
        return self.score.value < least or self.score.low <= self.chance

    def __str__(self) -> str:
        return (
            f"{self.task}; {self.scaling}; {self.task.metric_name} {self.score} on the validation "
            f"rows"
        )


def preflight(
    model: keras.Model,
    data: Dataset,
    *,
    scale: str | None = None,
    loss: object = None,
    metric: Metric | None = None,
    most: int | None = None,
) -> Preflight:
    """Finds out what a network solves, which range of pixels it takes, and how well it answers.

    Args:
        model: A built Keras model.
        data: The data set, as it was loaded.
        scale: The range of pixels that the network takes, `"0..1"`, `"0..255"` or `"-1..1"`. By
            default the network is run with each, and the best is taken. Inputs that are no
            pictures stay as they are.
        loss: A loss as Keras takes it, in place of the one that fits.
        metric: The name of a score, or a function, as for `fr_bench.tasks.find_task`.
        most: The most validation rows on which the network is scored; by default all.

    Raises:
        ValueError: If the data do not fit the network, or an argument is invalid.

    Example:

    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> found = preflight(training.network(digits, seed=0), digits)
    >>> str(found.task), found.data.normalization[1]
    ('classification, 10 classes (integers), probabilities', 0.0)
    """
    check_inputs([tuple(one.shape[1:]) for one in model.inputs], data)
    ranges = ranges_to_try(data, scale)
    return _best(functools.partial(answers, model), data, ranges, loss, metric, most)


def preflight_file(
    content: bytes, data: Dataset, *, scale: str | None = None, metric: Metric | None = None
) -> Preflight:
    """Finds out the same about a .tflite file, on at most 1,000 of the validation rows.

    The way from pixels to inputs that `fr_keras.tflite.convert` stored in the file is tried, too.

    Args:
        content: The file.
        data: See `preflight`.
        scale: See `preflight`.
        metric: See `preflight`.

    Raises:
        ValueError: If the data do not fit the file, or an argument is invalid.
    """
    runner = tflite.Runner(content, THREADS)
    shapes = [runner.open_inputs.get(name, shape) for name, shape in runner.inputs.items()]
    check_inputs(shapes, data)
    stored = tflite.inspect(content).metadata.get("normalization")
    ranges = ranges_to_try(data, scale, stored)
    ask, most = functools.partial(file_answers, runner), _probed(data.validation)
    return _best(ask, data, ranges, None, metric, most)


def _best(
    ask: Ask,
    data: Dataset,
    ranges: dict[str, Range],
    loss: object,
    metric: Metric | None,
    most: int | None,
) -> Preflight:
    """Tries each range, and takes the best."""
    probe = spaced(len(data.validation), _probed(data.validation))
    labels, tried, tasks = _all_labels(data), {}, {}
    for name, one in ranges.items():
        split = in_range(data, one).validation
        outputs = ask(split, probe)
        task = tasks[name] = find_task(labels, outputs, loss, metric)
        tried[name] = task.value(task.prepared(taken(split.y, probe)), outputs)
    best = max(tried, key=lambda name: np.nan_to_num(tried[name], nan=-np.inf))
    first = next(iter(ranges))
    found = _found(ask, in_range(data, ranges[best]), tasks[best], best, tried, most)
    if found.is_at_chance and best != first:  # no range is better than another
        return _found(ask, in_range(data, ranges[first]), tasks[first], first, tried, most)
    return found


def _probed(split: Split) -> int:
    """How many rows a range is tried with."""
    return max(_FEWEST, min(_PROBED, _NUMBERS // split.row_numbers))


def check_plain(model: keras.Model) -> None:
    """Refuses an FR model where methods shall make a plain network smaller.

    Raises:
        ValueError: If the model has FR layers.
    """
    if frequency_layers(model):
        raise ValueError(
            "`model` must be a plain network, which each method makes smaller: give the network "
            f"before `regularize`, or `fr_keras.bake(model)`. Received: the FR model '{model.name}'"
        )


def check_trained(found: Preflight, advice: str = "") -> None:
    """Refuses a network that answers hardly better than always the same, with the likely cause.

    Args:
        found: What was found out about it.
        advice: What else the user can do.

    Raises:
        ValueError: If it does.
    """
    if found.is_at_chance:
        raise ValueError(
            "`model` must be trained for `data`, and answer better than always the same. Received: "
            f"{found.task.metric_name} {found.score} on the validation rows, where always the same "
            f"answer has {found.chance:.4f}. {_cause(found)}{advice}"
        )


def _found(
    ask: Ask, data: Dataset, task: Task, name: str, tried: dict, most: int | None
) -> Preflight:
    data = _prepared(data, task)
    split = data.validation
    if most is not None:
        split = split.thinned(-(-len(split) // most))
    outputs = ask(split, slice(None))
    score = task.score(split.y, outputs, split.sample_weight)
    chance = task.chance(split.y, outputs)
    return Preflight(data, split, score, chance, words(name, tried, data), tried, ask)


def _prepared(data: Dataset, task: Task) -> Dataset:
    splits = {
        name: dataclasses.replace(getattr(data, name), y=task.prepared(getattr(data, name).y))
        for name in ("train", "validation", "test")
    }
    return dataclasses.replace(data, **splits, task=task)


def _cause(found: Preflight) -> str:
    head = found.task.heads[0]
    if len(found.task.heads) == 1 and head.kind is Kind.CLASSES:
        y = found.rows.y
        order = _order(y, head.decided(found.ask(found.rows, slice(None))), head.classes)
        if order is not None:
            names = [found.data.labels[one] for one in order]
            return (
                "The classes stand in another order than in training: the network's first outputs "
                f"mean {', '.join(names[:5])}. Give the data the network's order."
            )
    if len(found.tried) == 1 and next(iter(found.tried)) in RANGES:
        return f"Without `scale`, ranges of pixels other than {next(iter(found.tried))} are tried."
    ranges = f"Pixels in {', '.join(found.tried)} were tried. " if len(found.tried) > 1 else ""
    return (
        f"{ranges}Is this the data set of the network, are its pictures prepared as in training, "
        "and is it the trained file?"
    )


def _order(y: np.ndarray, decided: np.ndarray, classes: int) -> list[int] | None:
    """The class that each output means, if the outputs mean classes in another order."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (decided, y), 1)
    order = counts.argmax(1)
    right = counts[np.arange(classes), order].sum() / len(y)
    return order.tolist() if len({*order}) == classes and right > 0.5 else None


def _all_labels(data: Dataset):
    """The labels of all splits; of masks, those of some rows."""
    splits = [one.y for one in (data.train, data.validation, data.test)]
    if isinstance(splits[0], tuple):
        return tuple(_joined(parts) for parts in zip(*splits, strict=True))
    return _joined(splits)


def _joined(parts) -> np.ndarray:
    some = [one if one.ndim < 3 else one[spaced(len(one), _LABELLED)] for one in parts]
    return np.concatenate(some)
