"""Writes archives for the tests on the JVM, and the verdict of the Python implementation on each.

    PYTHONPATH=.:tests python tools/android/corpus.py build/android/corpus

`archives.zip` contains the files: the goldens, networks that are packed with their skeletons, the
hostile files of the tests, mutated files, kernels in space, and skeletons with random recipes.
`verdicts.tsv` has a line for each:

    name    "refused", or the SHA-256 of its contents    "none", "refused", or that of its .tflite

The folder `nested` has the same of files of several networks; see `corpus_nested.py`.
"""

import argparse
import dataclasses
import functools
import hashlib
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import corpus_kernels
import corpus_nested
import numpy as np
import test_archive_fuzz
import test_archive_hostile
import test_archive_kernels
import test_archive_seeds
import test_archive_skeleton
from corpus_recipes import random_skeleton

import fr_archive
from fr_archive import (
    Archive,
    ArchiveError,
    Codebook,
    Config,
    GrownKernel,
    GrownVector,
    Quantized,
    Reference,
    Signs,
    architecture,
    lz,
    nested,
    skeletons,
)
from fr_archive.rangecoder import Decoder

GOLDENS = Path(__file__).parents[2] / "tests" / "goldens"
#: These networks are packed once; their files are kept beside the others.
NETWORKS = (
    *("lenet5", "lenet5_bn", "unet", "biased", "mixed", "plain", "few_levels", "plain_unet"),
    "solved",
)
MUTATED = 4000
MUTATED_SMALL_SKELETONS = 1500
MUTATED_NETWORKS = 40
RANDOM_SKELETONS = 800


def verdict(data: bytes, decode: Callable[[bytes], Archive] = fr_archive.decode) -> tuple[str, str]:
    """Returns what decoding a file gives, and what expanding it gives."""
    try:
        return held(decode(data))
    except ArchiveError:
        return "refused", "none"


def held(archive: Archive) -> tuple[str, str]:
    """Returns what an archive holds, and what expanding it gives."""
    if archive.skeleton is None:
        return digest(archive), "none"
    try:
        # Hostile numbers overflow on their way to a refusal.
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            return digest(archive), hashlib.sha256(fr_archive.expand(archive)).hexdigest()
    except ArchiveError:
        return digest(archive), "refused"


def digest(archive: Archive) -> str:
    """The SHA-256 of what an archive holds, and of the real numbers that follow, as float32."""
    sha = hashlib.sha256(architecture.text(archive.architecture))
    for part in (archive.tensors, archive.vectors):
        for one in part:
            if isinstance(one, GrownVector):
                sha.update(_reals(fr_archive.rebuild(one, one.axis.length)))
                continue
            sha.update(_quantized(one))
            if len(one.values) <= 64:
                sha.update(fr_archive.rebuild(one, len(one.values) + 7).astype("<f4").tobytes())
    for one in archive.kernels:
        sha.update(struct.pack("<i", one.columns))
        if isinstance(one, GrownKernel):
            sha.update(_reals(one.reals()))
        else:
            sha.update(_in_space(one))
    if archive.profile is not None:
        sha.update(_canonical(archive.profile))
    return sha.hexdigest()


def _canonical(profile: dict) -> bytes:
    return architecture.text(Config(profile))


def _reals(reals: np.ndarray) -> bytes:
    return struct.pack("<i", len(reals)) + reals.astype("<f4").tobytes()


def _quantized(one: Quantized) -> bytes:
    numbers = np.asarray(one.values, "<i4").tobytes() + one.reals().astype("<f4").tobytes()
    return struct.pack("<ii", len(one.values), one.step) + numbers


def _in_space(one: fr_archive.Kernel | Codebook | Signs) -> bytes:
    if isinstance(one, Signs):
        return (
            struct.pack("<iQf", one.size, one.seed, one.scale) + one.reals().astype("<f4").tobytes()
        )
    return _codebook(one) if isinstance(one, Codebook) else _quantized(one)


def _codebook(one: Codebook) -> bytes:
    levels, places = np.asarray(one.levels, "<f4"), np.asarray(one.values, "<i4")
    head = struct.pack("<ii", len(one.values), len(one.levels))
    return head + levels.tobytes() + places.tobytes() + one.reals().astype("<f4").tobytes()


def networks(folder: Path) -> dict[str, bytes]:
    """Archives of small networks with their skeletons."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in NETWORKS if not (folder / f"{name}.fr").exists()]
    if missing:
        cases = test_archive_skeleton
        makers = {name: getattr(cases, name, None) for name in NETWORKS}
        makers["lenet5_bn"] = lambda: cases.lenet5(batch_norm=True)
        makers |= {name: getattr(test_archive_kernels, name) for name in ("plain", "few_levels")}
        makers["plain_unet"] = corpus_kernels.plain_unet
        makers["solved"] = test_archive_seeds.solved
        for name in missing:
            print(f"android: packing {name}", flush=True)
            with warnings.catch_warnings(action="ignore"):
                cases.saved(makers[name](), folder / f"{name}.fr")
    return {name: (folder / f"{name}.fr").read_bytes() for name in NETWORKS}


def cases(packed: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yields the archives, each with a name of its own."""
    for path in sorted(GOLDENS.glob("*.fr")):
        if not nested.is_nested(path.read_bytes()):
            yield f"golden-{path.stem}", path.read_bytes()
    yield from ((f"network-{name}", data) for name, data in packed.items())
    yield from ((f"seed-{i}", data) for i, data in enumerate(test_archive_fuzz.seeds()))
    yield from ((f"hostile-{i}", data) for i, data in enumerate(hostile()))
    mutator = test_archive_fuzz.Mutator(seed=7)
    yield from ((f"mutated-{i}", mutator.file()) for i in range(MUTATED))
    yield from corpus_kernels.files()
    for i in range(RANDOM_SKELETONS):
        yield f"recipes-{i}", random_skeleton(i)
    for name in ("lenet5_bn", "plain"):
        yield from ((f"program-{name}-{i}", data) for i, data in enumerate(programs(packed[name])))
    for name, data, count in (
        ("small", test_archive_fuzz.seeds()[1], MUTATED_SMALL_SKELETONS),
        *((name, data, MUTATED_NETWORKS) for name, data in packed.items() if name != "unet"),
    ):
        yield from (
            (f"skeleton-{name}-{i}", one) for i, one in enumerate(mutated_skeletons(data, count))
        )


def hostile() -> Iterator[bytes]:
    """The files of `test_archive_hostile.py`, and the kernels of `test_archive_kernels.py`."""
    tests = test_archive_hostile
    yield from (data for data, _, _ in _parameters(tests.test_broken_frames_are_refused))
    declared = tests.test_declared_sizes_are_refused_before_memory_is_taken
    yield from (tests.with_table(payload) for payload, _ in _parameters(declared))
    sections = test_archive_kernels.test_hostile_sections
    yield from (corpus_kernels.with_section(payload) for payload, _ in _parameters(sections))
    texts = tests.test_architectures_that_are_no_canonical_json_are_refused
    yield from (tests.with_text(text) for text in _parameters(texts))
    yield from (tests.with_text(text) for text in accepted_texts())
    yield from (tests.DATA[:end] for end in range(len(tests.DATA)))
    head, body = tests.DATA[:4], tests.DATA[tests.HEADER_BYTES :]
    for place in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[place // 8] ^= 1 << place % 8
        yield tests.framed(bytes(flipped), head)


def accepted_texts() -> Iterator[bytes]:
    """Texts on both sides of what is canonical, above all numbers."""
    values = [0.1, 1e16, 1e15, 123456789012345680.0, 2.0**-44, 5e-324, 1.7976931348623157e308]
    values += [-0.0, 1e-4, 1e-5, 1e22, 1e23, 9007199254740993.0, 0.3, 2 / 3, 1e100, 3e-310]
    values += np.random.default_rng(1).normal(size=20).tolist()
    values += np.random.default_rng(2).integers(1, 2**63 - 1, 40).view(np.float64).tolist()
    values += [0, -1, 2**63 - 1, -(2**63), True, None, "é", "\U0001f600", "\x01\x1f\x7f", '\\"/']
    yield from (architecture.text(Reference("net", {"a": value})) for value in values)
    numbers = "0.10 1E5 1e+5 5e-323 4e-324 -0 01 1. .5 1e16 1e+16 1e400 5.684341886080801e-14 "
    numbers += "0.30000000000000004 0.30000000000000003 0.1000000000000000055 1e-400 5e-05"
    for number in numbers.split():
        yield f'["net",{{"a":{number}}}]'.encode()
    yield '["net",{"\ue000":1,"\U0001f600":2}]'.encode()
    yield '["net",{"\U0001f600":2,"\ue000":1}]'.encode()
    yield b'["net",{"a":"\\/"}]'
    yield b'["net",{"a":"\\u001F"}]'
    yield b'["net",{"a":"\x01"}]'


def programs(network: bytes) -> Iterator[bytes]:
    """The hostile skeletons of `test_archive_skeleton.py`, in the archive of a network."""
    archive = fr_archive.decode(network)
    for payload, _ in _parameters(test_archive_skeleton.test_hostile_skeletons):
        yield _with_skeleton(archive, payload)
    if archive.kernels:
        for payload in corpus_kernels.programs(archive):
            yield _with_skeleton(archive, payload)


def mutated_skeletons(network: bytes, count: int) -> Iterator[bytes]:
    """An archive with mutations of the text of its skeleton, most of them of the program."""
    archive = fr_archive.decode(network)
    payload = archive.skeleton
    text = lz.decompress(Decoder(payload, 0, len(payload)), skeletons.MOST_TEXT)
    mutator = test_archive_fuzz.Mutator(seed=11)
    for number in range(count):
        head = 400 if number % 4 else len(text)
        yield _with_skeleton(archive, lz.compress(mutator.mutated(text[:head]) + text[head:]))


def _with_skeleton(archive: Archive, payload: bytes) -> bytes:
    return fr_archive.encode(dataclasses.replace(archive, skeleton=payload))


def _parameters(test) -> list:
    """What a test is run with."""
    (mark,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
    return mark.args[1]


def write(folder: Path) -> None:
    """Writes the two files."""
    count = write_files(folder, cases(networks(folder / "networks")), verdict)
    (folder / "nested").mkdir(exist_ok=True)
    several = corpus_nested.cases(GOLDENS, folder / "networks")
    judge = functools.partial(corpus_nested.verdict, held=held)
    count += write_files(folder / "nested", several, judge)
    print(f"android: {count} archives with their verdicts in {folder}")


def write_files(
    folder: Path,
    named: Iterable[tuple[str, bytes]],
    judge: Callable[[bytes], tuple[str, str]],
) -> int:
    """Writes archives and the verdicts on them, and returns how many there are."""
    lines = []
    with zipfile.ZipFile(folder / "archives.zip", "w") as archives:
        for name, data in named:
            archives.writestr(name, data)
            lines.append("\t".join((name, *judge(data))) + "\n")
    (folder / "verdicts.tsv").write_text("".join(lines))
    return len(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
    sys.exit(0)
