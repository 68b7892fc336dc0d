"""The verdict of a run, in words: which file, and whether compression paid."""

import dataclasses

from fr_bench._words import against
from fr_bench.compression._plan import Goal
from fr_bench.compression._trial import Trial
from fr_bench.tasks import Scored


@dataclasses.dataclass(frozen=True)
class Row:
    """A trial of the final table.

    Attributes:
        trial: The trial.
        test: The score of its .tflite file on the test rows.
        latency_us: Median time for one row on one thread of this machine, in microseconds.
        on_front: Whether no other file is both smaller as a download and better on the validation
            rows.
    """

    trial: Trial
    test: Scored
    latency_us: float
    on_front: bool

    def to_dict(self) -> dict:
        """The row as plain data."""
        rest = {"latency_us": self.latency_us, "on_front": self.on_front}
        return {**self.trial.to_dict(), "test": dataclasses.asdict(self.test), **rest}


def verdict(rows: list[Row], chosen: Row, goal: Goal, reference: Scored) -> list[str]:
    """Sentences about the chosen file.

    Args:
        rows: The final table.
        chosen: The chosen row.
        goal: What the chosen file must hold.
        reference: The score of the network itself on the test rows.
    """
    whole = next(row for row in rows if row.trial.name == "plain int8")
    words = [_choice(chosen, goal), _scores(chosen, whole, reference)]
    if chosen is not whole:
        words.append(_beside_whole(chosen, whole))
    if chosen.trial.method == "plain":
        words.append(_no_better(rows, chosen))
    else:
        narrow = [row for row in rows if row.trial.method == "narrow"]
        words += [_beside_narrow(chosen, narrow, goal)] if narrow else []
    larger = [one.trial for one in rows if one.trial.device_bytes > whole.trial.device_bytes]
    names = [one.name for one in larger if one.method != "plain"]
    if names:
        words.append(f"On the device, {', '.join(names)} is larger than plain int8.")
    return words


def _choice(chosen: Row, goal: Goal) -> str:
    trial = chosen.trial
    size = f"{trial.download_bytes:,} bytes as a download, {trial.device_bytes:,} on the device"
    if goal.holds(trial):
        return f"Take {trial.name}: {size}."
    if goal.budget is not None:
        return f"No file fits into {goal.budget:,} bytes; the smallest is {trial.name}: {size}."
    return (
        f"No file keeps the validation score above {goal.least:.4f}; {trial.name} comes nearest, "
        f"with {trial.score.value:.4f}: {size}. Give more --minutes, or allow a larger --max-drop."
    )


def _scores(chosen: Row, whole: Row, reference: Scored) -> str:
    return (
        f"On the test rows it has {chosen.test}; the network itself has {reference.value:.4f}, and "
        f"plain int8 {whole.test.value:.4f}."
    )


def _no_better(rows: list[Row], whole: Row) -> str:
    """That the network stays whole, and what a smaller file would cost."""
    if all(row.trial.method == "plain" for row in rows):
        return "No method gave a file, so nothing is known of compression."
    words = "No method gave a smaller file within the goal: training a smaller network did not pay."
    smaller = [
        row
        for row in rows
        if row.trial.download_bytes < whole.trial.download_bytes
        and row.on_front
        and row.trial.method != "plain"
    ]
    if not smaller:
        return words
    best = max(smaller, key=lambda row: row.trial.score.value)
    return f"{words} The nearest is {best.trial.name}: {_against(best, whole)}."


def _beside_whole(chosen: Row, whole: Row) -> str:
    return f"Beside plain int8 it is {_against(chosen, whole)}."


def _against(row: Row, other: Row) -> str:
    return against(
        *(row.trial.download_bytes, row.test.value),
        *(other.trial.download_bytes, other.test.value),
    )


def _beside_narrow(chosen: Row, narrow: list[Row], goal: Goal) -> str:
    """Whether a plain network with fewer channels, trained as long here, does as well."""
    held = [row for row in narrow if goal.holds(row.trial)]
    best = min(held or narrow, key=lambda row: row.trial.download_bytes)
    numbers = f"{best.trial.name}, {best.trial.download_bytes:,} bytes, {best.test.value:.4f}"
    if chosen in narrow:
        return (
            "It is the plain network with fewer channels, trained from the start: no method of "
            "compression beat it."
        )
    holds = "which holds the goal, too" if held else "which does not hold the goal"
    return (
        f"It beat a plain network with fewer channels from the start, {holds} ({numbers}). "
        "That was trained for as long as the others here, and perhaps for less than the network "
        "itself."
    )
