"""What a file of several networks holds, and how many bytes each of them takes."""

import dataclasses
from collections.abc import Iterable

from rich import box
from rich.table import Table

from fr_archive.nested import Frame, share_of
from fr_keras._printing import Printed

_FIGURES = ("accuracy", "memory", "latency_ms")


@dataclasses.dataclass(frozen=True)
class Capacity:
    """One network of a file.

    Attributes:
        share: What it costs, as a share of the largest: its `capacity` for `load_archive`.
        bytes: The bytes of its part of the file, which is what is new in it.
        download: The bytes up to its end: what has to be there before it can be loaded.
        alone: The bytes of a file of this network alone, as `save_archive` writes it; `None` for a
            file that was read. Its skeleton is then that of this file.
        sections: The size of each section of its part in bytes, by name.
        profile: What the file says of it.
    """

    share: float
    bytes: int
    download: int
    alone: int | None
    sections: dict[str, int]
    profile: dict


@dataclasses.dataclass(frozen=True)
class NestedPacking(Printed):
    """What a file of several networks holds; printing it draws a table.

    Attributes:
        bytes: Size of the whole file.
        capacities: Its networks, from the smallest to the largest.
        whole: Whether the largest is there. If it is not, the file was cut.
    """

    bytes: int
    capacities: tuple[Capacity, ...]
    whole: bool

    def to_dict(self) -> dict:
        """Returns the fields as plain types, ready for JSON."""
        plain = dataclasses.asdict(self)
        return {**plain, "capacities": list(plain["capacities"])}

    def __rich__(self) -> Table:
        alone = sum(one.alone or 0 for one in self.capacities)
        notes = [f"in files of their own: {alone:,} bytes"] if alone else []
        if not self.whole:
            notes.append("The file was cut: its largest network is not there.")
        table = Table(
            title=f"{len(self.capacities)} capacities: {self.bytes:,} bytes",
            caption="\n".join(notes),
            box=box.SIMPLE,
            show_edge=False,
            padding=0,
        )
        figures = [name for name in _FIGURES if any(name in one.profile for one in self.capacities)]
        columns = ("capacity", "bytes", "up to here", *(["alone"] if alone else []), *figures)
        for column in columns:
            table.add_column(column, justify="right")
        for one in self.capacities:
            row = [f"{one.share:g}", f"{one.bytes:,}", f"{one.download:,}"]
            row += [f"{one.alone:,}"] if alone else []
            row += [_shown(one.profile.get(name)) for name in figures]
            table.add_row(*row)
        return table


def nested_packing(
    size: int, frames: Iterable[Frame], alone: Iterable[int] | None = None
) -> NestedPacking:
    """Returns what a file holds.

    Args:
        size: The bytes of the file.
        frames: Its networks.
        alone: The bytes of each in a file of its own.
    """
    frames = list(frames)
    sizes = iter(alone) if alone is not None else None
    found, end = [], 4
    for frame in frames:
        end += frame.bytes
        found.append(
            Capacity(
                share=share_of(frame.archive),
                bytes=frame.bytes,
                download=end,
                alone=None if sizes is None else next(sizes),
                sections=frame.sections,
                profile=frame.archive.profile,
            )
        )
    return NestedPacking(size, tuple(found), found[-1].share == 1)


def _shown(figure: object) -> str:
    # A file may contain anything.
    return f"{figure:,.6g}" if isinstance(figure, int | float) else ""
