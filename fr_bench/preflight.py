"""Whether a network scores on a data set as it stands, before any work begins.

Pixels that are scaled twice, classes in another order and labels in another form give a network
that answers at random, and a comparison of such networks is worth nothing.
"""

import dataclasses

import keras
import numpy as np

from fr_bench.data import Dataset, spaced, taken
from fr_bench.missing import warn_of_missing
from fr_bench.tasks import Kind, Metric, Scored, Task, find_task
from fr_bench.training import answers
from fr_keras.models.walk import frequency_layers

#: Ranges of pixels that networks take, each with its scale and offset for pixels from 0 to 1.
RANGES = {"0..1": (1.0, 0.0), "0..255": (255.0, 0.0), "-1..1": (2.0, -1.0)}
_PROBED = 1_000
_TWICE = 1 / 255  # a white pixel that was divided by 255 twice
# A network that closes less than this share of the gap between chance and 1 knows nothing of use.
_LEAST = 0.05


@dataclasses.dataclass(frozen=True)
class Preflight:
    """What was found out about a network and its data.

    Attributes:
        data: The data set, with inputs in the range that the network takes, prepared labels, and
            the task.
        score: The score of the network on the validation rows.
        chance: The score of the best answer that is always the same.
        scaling: What becomes of the inputs, in words.
        tried: The score of some rows for each range of pixels that was tried.
    """

    data: Dataset
    score: Scored
    chance: float
    scaling: str
    tried: dict[str, float]

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

    Raises:
        ValueError: If the data do not fit the network, or an argument is invalid.

    Warns of classes of the network of which there is no row to train on.

    Example:

    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> found = preflight(training.network(digits, seed=0), digits)
    >>> str(found.task), found.data.normalization[1]
    ('classification, 10 classes (integers), probabilities', 0.0)
    """
    check_inputs(model, data)
    scalings = _scalings(data, scale)
    probe = spaced(len(data.validation), _PROBED)
    tried, tasks = {}, {}
    for name, (factor, offset) in scalings.items():
        split = data.scaled(factor, offset).validation
        outputs = answers(model, split, probe)
        task = tasks[name] = find_task(_all_labels(data), outputs, loss, metric)
        tried[name] = task.score(task.prepared(taken(split.y, probe)), outputs).value
    best = max(tried, key=lambda name: np.nan_to_num(tried[name], nan=-np.inf))
    first = next(iter(scalings))
    warn_of_missing(tasks[best], data, slice(None), "training rows")
    found = _found(model, data, tasks[best], scalings[best], best, tried)
    if found.is_at_chance and best != first:  # no range is better than another
        return _found(model, data, tasks[first], scalings[first], first, tried)
    return found


def usual_scale(data: Dataset) -> str | None:
    """The range of pixels for a network that is not trained, so that its answers tell nothing.

    Returns:
        `"0..1"`, or `None` if the inputs are no pictures, or are prepared already.
    """
    x = data.train.x
    is_picture = isinstance(x, np.ndarray) and x.ndim == 4
    return "0..1" if is_picture and x[spaced(len(x), _PROBED)].min() >= 0 else None


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


def check_trained(found: Preflight, model: keras.Model) -> None:
    """Refuses a network that answers hardly better than always the same, with the likely cause.

    Raises:
        ValueError: If it does.
    """
    if found.is_at_chance:
        raise ValueError(
            "`model` must be trained for `data`, and answer better than always the same. Received: "
            f"{found.task.metric_name} {found.score} on the validation rows, where always the same "
            f"answer has {found.chance:.4f}. {_cause(found, model)}"
        )


def _found(model, data, task: Task, scaling, name: str, tried: dict) -> Preflight:
    data = _prepared(data.scaled(*scaling), task)
    if name in RANGES:
        factor, offset = RANGES[name]
        data = dataclasses.replace(data, pixels=(factor / 255, offset))
    split, outputs = data.validation, answers(model, data.validation)
    score = task.score(split.y, outputs, split.sample_weight)
    return Preflight(data, score, task.chance(split.y, outputs), _words(name, tried, data), tried)


def _prepared(data: Dataset, task: Task) -> Dataset:
    splits = {
        name: dataclasses.replace(getattr(data, name), y=task.prepared(getattr(data, name).y))
        for name in ("train", "validation", "test")
    }
    return dataclasses.replace(data, **splits, task=task)


def _scalings(data: Dataset, scale: str | None) -> dict[str, tuple[float, float]]:
    """Scale and offset for each range that is tried, the usual one first."""
    if scale is not None and scale not in RANGES:
        raise ValueError(f"`scale` must be one of {tuple(RANGES)}. Received: {scale!r}")
    x = data.train.x
    is_picture = isinstance(x, np.ndarray) and x.ndim == 4
    if not is_picture:
        if scale is not None:
            raise ValueError(
                "`scale` must be left out for inputs that are no pictures (rows, height, width, "
                f"channels). Received: {scale!r}"
            )
        return {"as they are": (1.0, 0.0)}
    some = x[spaced(len(x), _PROBED)]
    if some.min() < 0:  # they were prepared for this network already
        if scale is not None:
            raise ValueError(
                f"`scale` must be left out for pixels below 0. Received: {scale!r} for pixels "
                f"from {some.min():.3g} to {some.max():.3g}"
            )
        return {"as they are": (1.0, 0.0)}
    full = _full(some)
    chosen = RANGES if scale is None else {scale: RANGES[scale]}
    return {name: (factor / full, offset) for name, (factor, offset) in chosen.items()}


def _full(pixels: np.ndarray) -> float:
    """What a white pixel is in the data."""
    if pixels.dtype == np.uint8 or pixels.max() > 2:
        return 255.0
    return _TWICE if 0 < pixels.max() <= 2 * _TWICE else 1.0


def _words(name: str, tried: dict[str, float], data: Dataset) -> str:
    if name not in RANGES:
        return f"inputs {name}"
    words = f"pixels in {name}"
    if len(tried) > 1:
        others = ", ".join(f"{value:.3f} in {one}" for one, value in tried.items() if one != name)
        words += f" ({tried[name]:.3f}; {others})"
    x = data.train.x
    if _full(x[spaced(len(x), _PROBED)]) == _TWICE:
        words += ", made of pixels that were divided by 255 twice"
    return words


def _cause(found: Preflight, model: keras.Model) -> str:
    head = found.task.heads[0]
    if len(found.task.heads) == 1 and head.kind is Kind.CLASSES:
        y = found.data.validation.y
        order = _order(y, head.decided(answers(model, found.data.validation)), head.classes)
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


def check_inputs(model: keras.Model, data: Dataset) -> None:
    """Refuses data of another shape than a network takes.

    Raises:
        ValueError: If they have one.
    """
    x = data.train.x if isinstance(data.train.x, tuple) else (data.train.x,)
    wanted = [tuple(one.shape[1:]) for one in model.inputs]
    given = [one.shape[1:] for one in x]
    fits = len(wanted) == len(given) and all(
        len(a) == len(b) and all(n in (None, m) for n, m in zip(a, b, strict=True))
        for a, b in zip(wanted, given, strict=False)
    )
    if not fits:
        raise ValueError(
            f"`data` must have inputs that `model` takes, of shape {_shapes(wanted)}. Received: "
            f"'{data.name}' with inputs of shape {_shapes(given)}{_way_out(wanted, given)}"
        )


def _shapes(shapes: list) -> str:
    return ", ".join(map(str, shapes))


def _way_out(wanted: list, given: list) -> str:
    """What to do about pictures of another size or with other channels."""
    if len(wanted) != 1 or len(given) != 1 or len(wanted[0]) != 3 or len(given[0]) != 3:
        return ""
    (height, width, channels), (rows, columns, colors) = wanted[0], given[0]
    advice = []
    if (height, width) != (rows, columns) and None not in (height, width):
        advice.append(f"`image_size=({height}, {width})`")
    if channels not in (colors, None):
        advice.append(f"`channels={channels}`")
    if not advice:
        return ""
    return (
        f". A folder can be loaded with {' and '.join(advice)}; change arrays with "
        "`keras.ops.image.resize`, `keras.ops.image.rgb_to_grayscale` or, from grey to colour, "
        "`np.repeat(x, 3, axis=-1)`"
    )


def _all_labels(data: Dataset):
    """The labels of all splits; of masks, those of some rows."""
    splits = [one.y for one in (data.train, data.validation, data.test)]
    if isinstance(splits[0], tuple):
        return tuple(_joined(parts) for parts in zip(*splits, strict=True))
    return _joined(splits)


def _joined(parts) -> np.ndarray:
    some = [one if one.ndim < 3 else one[spaced(len(one), _PROBED)] for one in parts]
    return np.concatenate(some)
