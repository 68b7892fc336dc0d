"""Three splits from those that a source has: what is missing is drawn, and all must be alike."""

import numpy as np

from fr_bench.data._labels import names_of
from fr_bench.data._split import Arrays, Dataset, Split, each, parts
from fr_bench.data._spool import taken

# The shares of the training rows that are drawn if a source has no such split, in this order.
_SHARES = {"test": 0.2, "validation": 0.1}


def complete(name: str, splits: dict[str, Split], labels: tuple[str, ...] | None) -> Dataset:
    """Returns a data set; splits that are missing are drawn from the training rows.

    They are drawn with a fixed seed, and the rows keep their order.

    Args:
        name: The name of the data set.
        splits: `"train"`, and perhaps `"validation"` and `"test"`.
        labels: The names of the classes; `None` numbers them.

    Raises:
        ValueError: If there are too few rows, or the splits do not fit together.
    """
    _check_alike(name, splits)
    missing = [one for one in _SHARES if one not in splits]
    if len(splits["train"]) <= len(missing):
        raise ValueError(
            f"`data` must have more rows, because {' and '.join(missing)} are drawn from those for "
            f"training. Received: '{name}' with {len(splits['train'])}"
        )
    if labels is None:
        labels = names_of([one.y for one in splits.values()])
    whole, rows, found = splits["train"], np.arange(len(splits["train"])), dict(splits)
    for one in missing:
        order = np.random.default_rng(0).permutation(len(rows))
        held_out = max(1, round(len(order) * _SHARES[one]))
        found[one] = _some(whole, rows[np.sort(order[:held_out])])
        rows = rows[np.sort(order[held_out:])]
    if missing:
        found["train"] = _some(whole, rows)
    return Dataset(name, **found, labels=labels, drawn=tuple(reversed(missing)))


def _some(split: Split, rows: np.ndarray) -> Split:
    def some(arrays: Arrays) -> Arrays:
        return each(arrays, lambda part: taken(part, rows))

    weight = None if split.sample_weight is None else some(split.sample_weight)
    return Split(some(split.x), some(split.y), weight, split.scale, split.offset)


def _check_alike(name: str, splits: dict[str, Split]) -> None:
    found = {one: _described(split) for one, split in splits.items()}
    for one, rows in found.items():
        if rows != found["train"]:
            raise ValueError(
                "`data` must have rows of the same shape and type in each split. Received: "
                f"'{name}' with {found['train']} in train, {rows} in {one}"
            )


def _described(split: Split) -> str:
    """The shapes and types of the rows; classes may be integers of any length."""
    inputs = [f"{part.shape[1:]} of {part.dtype}" for part in parts(split.x)]
    kinds = [
        f"{part.shape[1:]} of {'floats' if part.dtype.kind == 'f' else 'integers'}"
        for part in parts(split.y)
    ]
    return f"inputs {', '.join(inputs)} and labels {', '.join(kinds)}"
