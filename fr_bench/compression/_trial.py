"""One trial: a method at a budget, trained for a rung, and the files that it gives."""

import dataclasses

from fr_bench.tasks import Scored

#: Trials that train nothing, each with the mode of its .tflite file; one is an archive.
WHOLE = {"plain float32": "float32", "plain int8": "int8", "plain archive": None}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A method at a budget.

    Attributes:
        method: The name of the candidate.
        keep: How much it keeps, as in `fr_bench.training.Regime`.
    """

    method: str
    keep: int | float

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.method} {self.keep:g}"


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a trial gave; stored as `trial.json` beside its files.

    Attributes:
        name: The name in tables.
        method: The name of the candidate, or `"plain"`.
        keep: How much it was asked to keep; `None` if all.
        rung: The number of the round of training; -1 if nothing was trained.
        kept: Kernel weights or coefficients that are not zero.
        device_bytes: The size of the .tflite file.
        download_bytes: The size of what is downloaded: the archive, or the gzipped .tflite file.
        download: Which of the two it is: `"fr"` or `"tflite.gz"`.
        score: The score of the .tflite file on validation rows.
        seconds: Seconds of training and searching.
        note: What the user should know of these files; may be empty.
    """

    name: str
    method: str
    keep: int | float | None
    rung: int
    kept: int
    device_bytes: int
    download_bytes: int
    download: str
    score: Scored
    seconds: float
    note: str = ""

    def to_dict(self) -> dict:
        """The trial as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict) -> "Trial":
        """The trial of `to_dict`."""
        return cls(**{**data, "score": Scored(**data["score"])})
