"""What the page is told about a network: one line of its index, and rows to compare outputs on."""

import gzip
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fr_archive
from fr_bench.benchmark import process
from fr_bench.benchmark.result import REFERENCE
from fr_keras import tflite

_FORMAT, _VERSION = "fr-keras-models", 1
#: The shares of the coefficients that the page takes as soon as they are there, before the whole.
_SHARES = (0.25, 0.5, 0.75)
_ROWS = 4
#: What the screen Draw makes of a drawing.
_DRAWING = (28, 28, 1)


@dataclass(frozen=True)
class Bundled:
    """A file of the page.

    Attributes:
        content: The file.
        line: Its line of the index.
        rows: Rows in float32, and behind them the outputs of LiteRT on this computer.
    """

    content: bytes
    line: dict
    rows: bytes


def bundled(name: str, content: bytes, form: str = "yours", x: np.ndarray | None = None) -> Bundled:
    """Returns what the page needs to run a file. Labels and scaling are those of its metadata.

    Args:
        name: The name of the file, which ends in `.fr` or `.tflite`.
        content: The file.
        form: How it is packed, for readers.
        x: Rows to compare outputs on; random ones if left out.

    Raises:
        fr_archive.ArchiveError: If the archive is damaged, or was packed without a skeleton.
        ValueError: If the page cannot run the file: it must have one input and one output, both in
            float32 and of a fixed size.
    """
    is_archive = Path(name).suffix == ".fr"
    runs = fr_archive.expand(fr_archive.decode(content)) if is_archive else content
    found = tflite.inspect(runs)
    _check(name, found)
    taken, given = found.inputs[0].shape, found.outputs[0].shape
    if x is None:
        x = np.random.default_rng(0).random((_ROWS, *taken[1:]), np.float32)
    outputs = process.work(runs, [x], REFERENCE).outputs
    line = {
        "file": name,
        "task": _task(taken[1:], given[1:]),
        "shape": list(map(int, taken[1:])),
        "form": form,
        "bytes": len(content),
        "download_bytes": min(len(content), len(gzip.compress(content))),
        "sha256": hashlib.sha256(runs).hexdigest(),
        "reference": f"{name}.rows",
        "labels": found.metadata.get("labels") or [],
        "normalization": found.metadata.get("normalization"),
        "capacities": _capacities(content) if is_archive else [],
    }
    return Bundled(content, line, b"".join(one.astype("<f4").tobytes() for one in (x, *outputs)))


def index(files: Iterable[Bundled]) -> bytes:
    """Returns the index of the page."""
    held = {"format": _FORMAT, "version": _VERSION, "files": [one.line for one in files]}
    return (json.dumps(held, indent=1) + "\n").encode()


def _check(name: str, found: tflite.Inspection) -> None:
    ends = (*found.inputs, *found.outputs)
    if any(end.is_open for end in ends):
        raise ValueError(
            f"'{name}' must have inputs and outputs of a fixed size, because LiteRT.js takes no "
            "other: `fr-keras convert` fixes the number of rows, and the other lengths are those "
            f"of the model. Received: {', '.join(map(str, ends))}"
        )
    if len(ends) != 2 or any(end.dtype != "float32" for end in ends):
        raise ValueError(
            f"'{name}' must have one input and one output in float32, because LiteRT.js takes no "
            "int8: `convert` and `pack` the model with --float-io (`float_io=True`). "
            f"Received: {', '.join(map(str, ends))}"
        )


def _task(taken: Sequence[int], given: Sequence[int]) -> str:
    """The screen of the page that the shapes of a row fit."""
    if tuple(taken) == _DRAWING and len(given) == 1:
        return "digits"
    is_square = len(taken) == 3 and taken[0] == taken[1] and taken[2] == 1
    return "segmentation" if is_square and tuple(given[:-1]) == tuple(taken[:-1]) else "other"


def _capacities(archive: bytes) -> list[dict]:
    """With how many bytes which share of the coefficients of each tensor is there."""
    counts = [len(one.values) for one in fr_archive.decode(archive).tensors]
    found = [
        {"share": share, "bytes": _enough(archive, [math.ceil(share * count) for count in counts])}
        for share in (_SHARES if counts else ())
    ]
    return [*found, {"share": 1.0, "bytes": len(archive)}]


def _enough(archive: bytes, wanted: Sequence[int]) -> int:
    """The fewest bytes with which so many coefficients of each tensor are there."""
    low, high = 0, len(archive)
    while low < high:
        middle = (low + high) // 2
        if _has(archive[:middle], wanted):
            high = middle
        else:
            low = middle + 1
    return low


def _has(beginning: bytes, wanted: Sequence[int]) -> bool:
    try:
        found = fr_archive.decode_prefix(beginning).tensors
    except fr_archive.ArchiveError:
        return False
    return all(len(one.values) >= count for one, count in zip(found, wanted, strict=True))
