"""Whether data have rows of every class that a network tells apart."""

import warnings

from fr_bench.data import Dataset, Rows, taken
from fr_bench.tasks import Head

_LISTED = 5  # names in a message


def warn_of_missing(data: Dataset, rows: Rows = slice(None), what: str = "training rows") -> None:
    """Warns of classes of a network of which some training rows have none.

    An int8 file, too, gets ranges that fit the rows that it has seen.

    Args:
        data: The data set, as `fr_bench.preflight` has prepared it.
        rows: Which training rows.
        what: What these rows are, for the message.
    """
    y = taken(data.train.y, rows)
    for head, labels in zip(data.task.heads, y if isinstance(y, tuple) else (y,), strict=True):
        missing = head.missing(labels)
        if missing:
            warnings.warn(
                f"The {what} of '{data.name}' show {head.classes - len(missing)} of the "
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
    word = "class" if len(missing) == 1 else "classes"
    return f"none of {word} {_listed([repr(names[one]) for one in missing])}"


def _listed(names) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"
