"""Writes the golden archive, if it is missing: one file a version of the format.

A golden is never rewritten: it is what an older version saved, and must load forever.
"""

import json
from pathlib import Path

import nested_cases
import numpy as np

import fr_archive
from fr_archive import _codebooks, skeletons

FOLDER = Path(__file__).parent / "goldens"
NAMES = ("archive_v1", "archive_v2", "archive_v2_codebooks", "archive_v2_signs")
NESTED, NESTED_SEED = "archive_v3", 71


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
        else others(name),
    )


def others(name: str) -> list:
    """Kernels of other forms than whole numbers."""
    if name == "archive_v2_codebooks":
        return codebooks()
    return signs() if name == "archive_v2_signs" else []


def signs() -> list[fr_archive.Signs | fr_archive.Codebook | fr_archive.Kernel]:
    """Signs of the least and the largest seed and scale, of no numbers, and others between."""
    largest = np.finfo(np.float32).max
    return [
        fr_archive.Signs(0, 1, 1, 1),
        fr_archive.Kernel((1, 0, -2, 0), -20, 2),
        fr_archive.Signs((1 << 64) - 1, largest, 257, 257),
        fr_archive.Codebook((0, 1), (-0.5, 0.5), 1),
        fr_archive.Signs(0x9E3779B97F4A7C15, 1e-45, 64 * 9, 9),
        fr_archive.Signs(1, 0.1, 0, 5),
        fr_archive.Kernel((1, 0, -2, 0), -21, 2),
        fr_archive.Signs(1 << 63, 0.1, 64, 8),
    ]


def codebooks() -> list[fr_archive.Codebook | fr_archive.Kernel]:
    """Kernels of every number of levels, mirrored or not, few rows or none, and others between."""
    random = np.random.default_rng(6)
    kernels = []
    for count in range(1, _codebooks.MOST_LEVELS + 1):
        levels = np.sort(random.normal(size=count)).astype(np.float32)
        mirrored = (levels - levels[::-1]) / 2
        for some, rows, columns in ((levels, count, 3), (mirrored, count - 1, 5)):
            places = np.rint(random.beta(0.7, 0.7, (rows, columns)) * (count - 1)).astype(int)
            kernels.append(fr_archive.Codebook(places.ravel(), some, columns))
        kernels.append(fr_archive.Kernel(random.integers(-9, 9, 4), count, 2))
    largest = np.finfo(np.float32).max
    least = float(np.float32(1e-45))
    return [*kernels, fr_archive.Codebook((1, 0, 2), (-largest, least, largest), 1)]


def networks() -> list[fr_archive.Archive]:
    """Networks of the third version, with every way to grow."""
    return nested_cases.networks(NESTED_SEED, count=4)


def described(archive: fr_archive.Archive) -> dict:
    """The archive as JSON data, with the numbers that a reader rebuilds, as hexadecimal floats."""

    def series(one):
        if isinstance(one, fr_archive.GrownVector):
            reals = fr_archive.rebuild(one, one.axis.length)
            return {"grown": [float(real).hex() for real in reals]}
        reals = [float(real).hex() for real in one.reals()]
        if isinstance(one, fr_archive.Signs):
            return {"seed": one.seed, "scale": one.scale.hex(), "reals": reals}
        if isinstance(one, fr_archive.GrownKernel):
            return {"reals": reals}
        if isinstance(one, fr_archive.Codebook):
            return {"levels": len(one.levels), "values": list(one.values), "reals": reals}
        return {"step": one.step, "values": list(one.values), "reals": reals}

    def of_20(one):
        if isinstance(one, fr_archive.GrownVector):
            return {}
        return {"of_20": [float(x).hex() for x in fr_archive.rebuild(one, 20)]}

    vectors = [{**series(one), **of_20(one)} for one in archive.vectors]
    skeleton = archive.skeleton
    if archive.profile is not None:
        skeleton = None if skeleton is None else skeletons.text_of(skeleton)
    return {
        "name": archive.architecture.name,
        "arguments": archive.architecture.arguments,
        "tensors": [series(one) for one in archive.tensors],
        "vectors": vectors,
        "skeleton": None if skeleton is None else skeleton.hex(),
        **({} if archive.profile is None else {"profile": archive.profile}),
        "kernels": [{**series(one), "columns": one.columns} for one in archive.kernels],
    }


def write(name: str, data: bytes, described: object) -> None:
    golden = FOLDER / f"{name}.fr"
    if not golden.exists():
        golden.write_bytes(data)
        text = json.dumps(described, separators=(",", ":"))
        golden.with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    for name in NAMES:
        write(name, fr_archive.encode(contents(name)), described(contents(name)))
    write(NESTED, fr_archive.encode_nested(networks()), list(map(described, networks())))
