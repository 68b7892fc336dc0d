"""What the page of a grid shows: its heat map, with a row for each method and rate."""

import dataclasses

_IN_TRAINING = "int8 in training"
# How strong the colour of the best score is, and how far below it there is none.
_STRONGEST, SPAN = 0.6, 0.1


@dataclasses.dataclass(frozen=True)
class Heat:
    """One square of the heat map.

    Attributes:
        cell: The cell as in `grid.json`; `None` if the method has no such file.
        strength: How strong its colour is: most at the best score, 0 at `SPAN` below it and less.
        us: The median time on the first target that gave times, in microseconds.
    """

    cell: dict | None
    strength: float = 0.0
    us: float | None = None


def heat_map(results: dict) -> tuple[list[str], dict[str, list[Heat]]]:
    """Returns the columns, and name of a method and rate -> its squares.

    Args:
        results: The contents of `grid.json`.
    """
    cells = results["cells"]
    columns = list(dict.fromkeys(_column(one) for one in cells if _column(one) != _IN_TRAINING))
    columns += [_IN_TRAINING] if any(_column(one) == _IN_TRAINING for one in cells) else []
    scores = [one["score"]["value"] for one in cells if one["score"] is not None]
    best, target = max(scores, default=0.0), first_timed(results)
    rows: dict[str, list[Heat]] = {}
    for one in cells:
        row = rows.setdefault(_row(one), [Heat(None)] * len(columns))
        strength = _strength(one["score"], best)
        row[columns.index(_column(one))] = Heat(one, strength, time_of(one, target))
    return columns, rows


def first_timed(results: dict) -> str | None:
    """The first target that gave a time."""
    return next(iter(timed(results)), None)


def timed(results: dict) -> list[str]:
    """The targets that gave times."""
    names, cells = results["arguments"]["targets"], results["cells"]
    return [name for name in names if any(time_of(one, name) is not None for one in cells)]


def time_of(cell: dict, target: str | None) -> float | None:
    """The median time of a cell on a target, in microseconds."""
    return cell["measured"].get(target, {}).get("median_us")


def devices(results: dict) -> dict[str, str]:
    """Target -> what is known about the device that measured there."""
    found = {}
    for cell in results["cells"]:
        for name, one in cell["measured"].items():
            if "device" in one:
                facts = [f"{k.replace('_', ' ')}: {v}" for k, v in one["device"].items()]
                found.setdefault(name, ", ".join([one["tool"], *facts]))
    return found


def _row(cell: dict) -> str:
    return f"{cell['method']} {100 * cell['rate']:g} %" if cell["rate"] else cell["method"]


def _column(cell: dict) -> str:
    return _IN_TRAINING if cell["quantized"] == "during" else cell["mode"]


def _strength(score: dict | None, best: float) -> float:
    if score is None:
        return 0.0
    return round(_STRONGEST * max(0.0, 1 - (best - score["value"]) / SPAN), 3)
