"""Whether data have rows of every class that a network tells apart."""

import warnings

import keras
import numpy as np

from fr_bench.data import Dataset, Rows, taken
from fr_bench.tasks import Head, Task, find_task
from fr_bench.training import answers

_LISTED = 5  # names in a message


def check_calibration(model: keras.Model, data: Dataset, rows: np.ndarray) -> None:
    """Warns of classes of a network of which some training rows, those for calibration, have none.

    An int8 file gets ranges that fit the rows that it has seen. Labels of another kind than the
    network's tell nothing, and are no error.

    Args:
        model: A built Keras model.
        data: The data set, whose pictures have the network's shape.
        rows: The numbers of the rows.
    """
    try:
        task = find_task(taken(data.train.y, rows), answers(model, data.train, rows[:1]))
    except ValueError:
        return
    warn_of_missing(task, data, rows, "calibration rows")


def warn_of_missing(task: Task, data: Dataset, rows: Rows, what: str) -> None:
    """Warns of classes of which some training rows have none.

    Args:
        task: What the network solves.
        data: The data set, with labels as they came.
        rows: Which training rows.
        what: What these rows are, for the message.
    """
    y = task.prepared(taken(data.train.y, rows))
    for head, labels in zip(task.heads, y if isinstance(y, tuple) else (y,), strict=True):
        missing = head.missing(labels)
        if missing:
            warnings.warn(
                f"The {what} of '{data.name}' have {head.classes - len(missing)} of the "
                f"{head.classes} classes of the network: {_names(head, data.labels, missing)}. "
                "A file is only as good as its data: give rows of every class.",
                stacklevel=3,
            )


def _names(head: Head, labels: tuple[str, ...], missing: list[int]) -> str:
    """The missing classes by name; where names and outputs are not as many, those that are there.

    Classes that are numbered are the network's outputs in any case.
    """
    numbered = labels == tuple(map(str, range(len(labels))))
    if len(labels) != head.classes and not numbered:
        return f"only {_listed(labels)}"
    names = labels if len(labels) == head.classes else range(head.classes)
    return f"none of {_listed([str(names[one]) for one in missing])}"


def _listed(names) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"
