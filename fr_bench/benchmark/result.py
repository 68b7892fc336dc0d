"""One result schema for every target, and the JSON files that hold results.

A value that a target cannot give honestly, such as a time under emulation, is absent and never 0.
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
#: `browser` is what the page of `web/demo` measures; `fr-keras benchmark` runs the others.
TARGETS = ("host", "arm64", "gpu", "android", "browser")
DELEGATES = ("none", "xnnpack", "gpu", "nnapi", "npu")
#: `done`: it ran. `refused`: the target would not take the file. `failed`: it broke.
STATUSES = ("done", "refused", "failed")
#: Outputs are compared with those of this delegate on one thread of the host; it is LiteRT's
#: default. In int8, ARM64 and x86 round alike with XNNPACK; without it, either may be a step off.
REFERENCE = "xnnpack"


@dataclasses.dataclass(frozen=True)
class Times:
    """Times of one inference in microseconds; all but `init_us` and `first_us` follow the warm-up.

    Attributes:
        runs: How many inferences were timed.
        init_us: Loading the file and applying the delegate.
        first_us: The first inference.
        mean_us: The mean; older tools give no median.
        cpu_use: The CPU time of the process as a share of the time that passed; 2 is two busy
            cores. Absent where the tool does not tell it.
    """

    runs: int
    init_us: float | None = None
    first_us: float | None = None
    mean_us: float | None = None
    median_us: float | None = None
    p5_us: float | None = None
    p95_us: float | None = None
    cpu_use: float | None = None


@dataclasses.dataclass(frozen=True)
class Ops:
    """Which ops the delegate took.

    Attributes:
        total: The number of ops in the file.
        delegated: How many of them the delegate took.
        partitions: How many pieces of the graph these form.
        refused: Op name -> how many stayed on the CPU; absent if the tool does not say.
    """

    total: int
    delegated: int
    partitions: int | None = None
    refused: dict[str, int] | None = None


@dataclasses.dataclass(frozen=True)
class OpTime:
    """The time of all ops of one kind in one inference, in microseconds."""

    op: str
    count: int
    us: float


@dataclasses.dataclass(frozen=True)
class Deviation:
    """How far outputs are from the CPU reference, `REFERENCE` on the host, on the same rows.

    Attributes:
        rows: The number of rows compared.
        largest: The largest absolute difference.
        relative: The largest difference, relative to the range of the reference's outputs.
        steps: The largest difference, in steps of an integer output.
        argmax: The fraction of last-axis arg-maxes that agree; absent if an output is one number.
    """

    rows: int
    largest: float
    relative: float
    steps: float | None = None
    argmax: float | None = None


def deviation(found: np.ndarray, expected: np.ndarray, step: float | None) -> Deviation:
    """Returns how far outputs are from expected ones; `step` is the step of an integer output."""
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
    """The score of a file on labelled rows, such as `accuracy`.

    Attributes:
        name: Its name.
        value: The score.
        rows: The number of rows.
        interval: The ends of its 95 % confidence interval; absent in files of older versions.
    """

    name: str
    value: float
    rows: int
    interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a device before, during and after a measurement, as far as it tells it.

    Attributes:
        battery_percent: Before and after.
        battery_celsius: Before and after.
        charging: Whether it was plugged in.
        thermal_status: Android's, 0 (none) to 6 (shutdown), before and after.
        cpu_load: The load of all cores during the measurement, from 0 to 1.
        milliwatts: The power during the measurement: of a phone from the battery's current and
            voltage; of a computer that of the whole processor, whatever else it did, by its own
            counters (RAPL).
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
        file: The name of the file, without folders.
        bytes: The size of the file, or of the archive that it comes from.
        sha256: The SHA-256 of the flatbuffer that ran.
        download_bytes: The size of the file in a download, gzipped if that is smaller; absent in
            files of older versions.
        device_bytes: The size of the flatbuffer that ran; absent in files of older versions.
        target: One of `TARGETS`.
        device: The device: `name`, `abi`, `os`, ...; without serial numbers.
        tool: The program that ran the file, with its version.
        delegate: One of `DELEGATES`, the one that was requested.
        status: One of `STATUSES`.
        threads: The number of CPU threads.
        precision: The precision in which a GPU computed, `float32` or `float16`.
        message: Why the file was refused or failed.
        notes: What a reader must know, such as a fallback to the CPU.
        times: The times; absent under emulation.
        peak_memory_bytes: The memory that the process gained after the file began to load.
        ops: Which ops the delegate took.
        profile: Where the time goes, by kind of op.
        agreement: Output name -> agreement with the CPU reference; absent if no rows ran.
        metric: The score on labelled rows.
        state: The state of the device.
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
    download_bytes: int | None = None
    device_bytes: int | None = None

    def __post_init__(self):
        for name, known in (("target", TARGETS), ("delegate", DELEGATES), ("status", STATUSES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. Received: {getattr(self, name)}"
                )

    def to_dict(self) -> dict:
        """Returns plain types, ready for JSON, without absent fields."""
        return _present(dataclasses.asdict(self))


def document(results: list[Result]) -> dict:
    """Returns the contents of a result file."""
    return {"format": FORMAT, "version": VERSION, "results": [one.to_dict() for one in results]}


def save(results: list[Result], path: str | os.PathLike, overwrite: bool = False) -> None:
    """Writes a result file.

    Raises:
        FileExistsError: If the file exists and `overwrite` is false.
    """
    text = json.dumps(document(results), indent=1) + "\n"
    write_bytes(Path(path), text.encode(), overwrite=overwrite)


def load(path: str | os.PathLike) -> list[Result]:
    """Reads a result file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a result file of this version.
    """
    return parse(Path(path).read_bytes(), f"'{path}'")


def parse(content: bytes, name: str) -> list[Result]:
    """Returns the results in the content of a result file.

    Args:
        content: The content.
        name: The name of the file in errors.

    Raises:
        ValueError: If it is not a result file of this version.
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
    """Converts a JSON value to a field of this type; a wrong type is a TypeError."""
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
