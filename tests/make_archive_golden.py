"""Writes the golden archive, if it is missing: one file a version of the format.

A golden is never rewritten: it is what an older version saved, and must load forever.
"""

import json
from pathlib import Path

import numpy as np

import fr_archive

FOLDER = Path(__file__).parent / "goldens"
NAMES = ("archive_v1", "archive_v2")


def contents(name: str) -> fr_archive.Archive:
    """Every section of a version, and numbers from 0 to the largest."""
    random = np.random.default_rng(5)

    def series(count, scale, step):
        decay = scale / np.sqrt(1 + np.arange(count))
        return fr_archive.Quantized(np.rint(random.laplace(size=count) * decay).astype(int), step)

    def kernel(rows, columns, scale, step):
        noise = random.laplace(size=rows * columns) * scale
        return fr_archive.Kernel(np.rint(noise).astype(int), step, columns)

    largest = fr_archive.Quantized((2**31 - 2, 0, 2 - 2**31, 1), -512)
    return fr_archive.Archive(
        fr_archive.Reference("lenet5", {"batch_norm": True, "note": "Zürich", "scale": 0.1}),
        [series(60, 30, -24), series(310, 8, -27), series(317, 3, -20), series(89, 50, -24)],
        [series(5, 40, -8), fr_archive.Quantized((), 0), series(9, 9, -12), largest],
        skeleton=bytes(range(0, 256, 5)),
        kernels=[
            kernel(27, 8, 20, -40),
            kernel(72, 16, 1, -36),
            kernel(0, 3, 1, 0),
            fr_archive.Kernel((2**31 - 2, 0, 2 - 2**31, 1), -512, 2),
        ]
        if name == "archive_v2"
        else [],
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
        "kernels": [{**series(one), "columns": one.columns} for one in archive.kernels],
    }


if __name__ == "__main__":
    for name in NAMES:
        golden = FOLDER / f"{name}.fr"
        if not golden.exists():
            golden.write_bytes(fr_archive.encode(contents(name)))
            text = json.dumps(described(contents(name)), separators=(",", ":"))
            golden.with_suffix(".json").write_text(text + "\n")
