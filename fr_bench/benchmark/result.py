"""One result schema for every target, and the JSON files that hold results.

What a target cannot honestly say, such as a time under emulation, is absent, and never 0.
"""

import dataclasses
import json
import os
import types
import typing
from pathlib import Path

import numpy as np

from fr_archive.files import write_bytes

FORMAT, VERSION = "fr-keras-benchmark", 1
TARGETS = ("host", "arm64", "gpu", "android")
DELEGATES = ("none", "xnnpack", "gpu", "nnapi", "npu")
#: `done`: it ran. `refused`: the target would not take the file. `failed`: it broke.
STATUSES = ("done", "refused", "failed")
#: What outputs are compared with, on one thread of the host: LiteRT's default. In int8 ARM64 with
#: XNNPACK rounds as x86 with it; without it either may be a step off in a convolution.
REFERENCE = "xnnpack"


@dataclasses.dataclass(frozen=True)
class Times:
    """Of one inference, in microseconds, after the warm-up but for `init_us` and `first_us`.

    Attributes:
        runs: How many were timed.
        init_us: Loading the file and applying the delegate.
        first_us: The first inference.
        mean_us: The mean; older tools give no median.
    """

    runs: int
    init_us: float | None = None
    first_us: float | None = None
    mean_us: float | None = None
    median_us: float | None = None
    p5_us: float | None = None
    p95_us: float | None = None


@dataclasses.dataclass(frozen=True)
class Ops:
    """Which ops the delegate took.

    Attributes:
        total: Ops of the file.
        delegated: How many of them the delegate took.
        partitions: The pieces that they came in.
        refused: Op name -> how many stayed on the CPU; absent where the tool does not say.
    """

    total: int
    delegated: int
    partitions: int | None = None
    refused: dict[str, int] | None = None


@dataclasses.dataclass(frozen=True)
class OpTime:
    """The time of all ops of a kind in one inference, in microseconds."""

    op: str
    count: int
    us: float


@dataclasses.dataclass(frozen=True)
class Deviation:
    """Outputs against those of the CPU reference, `REFERENCE` on the host, on the same rows.

    Attributes:
        rows: Rows compared.
        largest: The largest absolute difference.
        relative: That, relative to the range of the reference's outputs.
        steps: That, in steps of an integer output.
        argmax: The fraction of last-axis arg-maxes that agree; absent for one output number.
    """

    rows: int
    largest: float
    relative: float
    steps: float | None = None
    argmax: float | None = None


def deviation(found: np.ndarray, expected: np.ndarray, step: float | None) -> Deviation:
    """Returns how far outputs are from expected ones; `step` is that of an integer output."""
    largest = float(np.max(np.abs(found.astype(np.float64) - expected)))
    scale = float(np.ptp(expected)) or 1.0
    return Deviation(
        rows=len(expected),
        largest=largest,
        relative=largest / scale,
        steps=None if step is None else round(largest / step, 3),
        argmax=(
            float(np.mean(found.argmax(-1) == expected.argmax(-1)))
            if expected.ndim > 1 and expected.shape[-1] > 1
            else None
        ),
    )


@dataclasses.dataclass(frozen=True)
class Metric:
    """What the file scores on labelled rows, such as `accuracy`."""

    name: str
    value: float
    rows: int


@dataclasses.dataclass(frozen=True)
class State:
    """A phone when a measurement began and ended, as far as it tells.

    Attributes:
        battery_percent: Before and after.
        battery_celsius: Before and after.
        charging: Whether it was plugged in.
        thermal_status: Android's, 0 (none) to 6 (shutdown), before and after.
        cpu_load: Of all cores while it ran, 0 to 1.
        milliwatts: Power while it ran, from the battery's current and voltage.
    """

    battery_percent: tuple[int, int] | None = None
    battery_celsius: tuple[float, float] | None = None
    charging: bool | None = None
    thermal_status: tuple[int, int] | None = None
    cpu_load: float | None = None
    milliwatts: float | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """One file on one target with one delegate.

    Attributes:
        file: Its name, without folders.
        bytes: Its size; of an archive that of the archive.
        sha256: Of the flatbuffer that ran.
        target: One of `TARGETS`.
        device: What it ran on: `name`, `abi`, `os`, ...; no serial numbers.
        tool: What ran it, with its version.
        delegate: One of `DELEGATES`: what was asked for.
        status: One of `STATUSES`.
        threads: CPU threads.
        precision: `float32` or `float16`, in which a GPU computed.
        message: Why it was refused or failed.
        notes: What a reader has to know, such as a fallback to the CPU.
        times: Absent under emulation.
        peak_memory_bytes: Growth of the process from before the file was loaded.
        ops: What the delegate took.
        profile: Where the time goes, by kind of op.
        agreement: Against the CPU reference, by output name; absent where no rows ran.
        metric: On labelled rows.
        state: Of a phone.
    """

    file: str
    bytes: int
    sha256: str
    target: str
    device: dict[str, str | int]
    tool: str
    delegate: str
    status: str = "done"
    threads: int | None = None
    precision: str | None = None
    message: str | None = None
    notes: tuple[str, ...] = ()
    times: Times | None = None
    peak_memory_bytes: int | None = None
    ops: Ops | None = None
    profile: tuple[OpTime, ...] | None = None
    agreement: dict[str, Deviation] | None = None
    metric: Metric | None = None
    state: State | None = None

    def __post_init__(self):
        for name, known in (("target", TARGETS), ("delegate", DELEGATES), ("status", STATUSES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. Received: {getattr(self, name)}"
                )

    def to_dict(self) -> dict:
        """Returns plain types, ready for JSON, without what is absent."""
        return _present(dataclasses.asdict(self))


def document(results: list[Result]) -> dict:
    """Returns what a result file holds."""
    return {"format": FORMAT, "version": VERSION, "results": [one.to_dict() for one in results]}


def save(results: list[Result], path: str | os.PathLike, overwrite: bool = False) -> None:
    """Writes a result file.

    Raises:
        FileExistsError: If it is there and `overwrite` is not set.
    """
    text = json.dumps(document(results), indent=1) + "\n"
    write_bytes(Path(path), text.encode(), overwrite=overwrite)


def load(path: str | os.PathLike) -> list[Result]:
    """Reads a result file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no result file of this version.
    """
    return parse(Path(path).read_bytes(), f"'{path}'")


def parse(content: bytes, name: str) -> list[Result]:
    """The results in the content of a result file, which errors call by this name.

    Raises:
        ValueError: If it is no result file of this version.
    """
    try:
        held = json.loads(content)
        if held["format"] != FORMAT or held["version"] != VERSION:
            raise ValueError(f"{held['format']} of version {held['version']}")
        return [_made(Result, one) for one in held["results"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{name} must be a result file of `fr-keras benchmark`, {FORMAT} of version {VERSION}. "
            f"Received: {error!r}"
        ) from error


def _present(value):
    if isinstance(value, dict):
        return {k: _present(v) for k, v in value.items() if v is not None and v != ()}
    if isinstance(value, (list, tuple)):
        return [_present(one) for one in value]
    return value


def _made(kind, value):
    """The value of JSON as a field of that type; a wrong type is a TypeError."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return _made_any(inner, value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(value, dict) or not {*value} <= {*hints}:
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return kind(**{name: _made(hints[name], one) for name, one in value.items()})
    if origin is tuple and isinstance(value, list):
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(_made(k, one) for k, one in zip(kinds, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {_made(inner[0], k): _made(inner[1], one) for k, one in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind}")
    return value


def _made_any(kinds, value):
    for kind in kinds:
        try:
            return _made(kind, value)
        except TypeError as error:
            last = error
    raise last
