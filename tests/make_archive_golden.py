"""Writes the golden archive, if it is missing: one file a version of the format.

A golden is never rewritten: it is what an older version saved, and must load forever.
"""

import json
from pathlib import Path

import numpy as np

import fr_archive

FOLDER = Path(__file__).parent / "goldens"
NAME = "archive_v1"


def contents() -> fr_archive.Archive:
    """Every section, and numbers from 0 to the largest."""
    random = np.random.default_rng(5)

    def series(count, scale, step):
        decay = scale / np.sqrt(1 + np.arange(count))
        return fr_archive.Quantized(np.rint(random.laplace(size=count) * decay).astype(int), step)

    largest = fr_archive.Quantized((2**31 - 2, 0, 2 - 2**31, 1), -512)
    return fr_archive.Archive(
        fr_archive.Reference("lenet5", {"batch_norm": True, "note": "Zürich", "scale": 0.1}),
        [series(60, 30, -24), series(310, 8, -27), series(317, 3, -20), series(89, 50, -24)],
        [series(5, 40, -8), fr_archive.Quantized((), 0), series(9, 9, -12), largest],
        skeleton=bytes(range(0, 256, 5)),
    )


def described(archive: fr_archive.Archive) -> dict:
    """The archive as JSON data, with the numbers that a reader rebuilds, as hexadecimal floats."""

    def series(one):
        reals = [float(real).hex() for real in one.reals()]
        return {"step": one.step, "values": list(one.values), "reals": reals}

    vectors = [
        {**series(one), "of_20": [float(x).hex() for x in fr_archive.rebuild(one, 20)]}
        for one in archive.vectors
    ]
    return {
        "name": archive.architecture.name,
        "arguments": archive.architecture.arguments,
        "tensors": [series(one) for one in archive.tensors],
        "vectors": vectors,
        "skeleton": archive.skeleton.hex(),
    }


if __name__ == "__main__":
    golden = FOLDER / f"{NAME}.fr"
    if not golden.exists():
        golden.write_bytes(fr_archive.encode(contents()))
        text = json.dumps(described(contents()), separators=(",", ":"))
        golden.with_suffix(".json").write_text(text + "\n")
