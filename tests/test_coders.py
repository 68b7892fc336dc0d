"""`benchmarks/coders.py`: every coder gets the same numbers, and a coder that loses one is told."""

import importlib.util
import json
from pathlib import Path

import coders
import numpy as np
import pytest

from fr_archive import Archive, Codebook, Kernel, Quantized

ROOT = Path(__file__).parent.parent
ROWS = json.loads((ROOT / "benchmarks" / "results" / "coders.json").read_text())["rows"]
IN_SPACE = Archive(
    coders.ANY,
    (),
    kernels=(
        Kernel((3, -1, 0, 200, 5, -7), step=-16, columns=2),
        Codebook((0, 1, 2, 1, 1, 1), (-0.5, 0.0, 0.25), columns=3),
    ),
)
FREQUENCY = Archive(coders.ANY, (Quantized((9, -4, 0, 1, -2), -24), Quantized((3, -1), -20)))


def test_the_numbers_of_codebooks_are_0_where_levels_are():
    kernel, places = coders.numbers(IN_SPACE)
    np.testing.assert_array_equal(kernel, [3, -1, 0, 200, 5, -7])
    np.testing.assert_array_equal(places, [-1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(coders.numbers(FREQUENCY)[0], [9, -4, 0, 1, -2])


@pytest.mark.parametrize("archive", [IN_SPACE, FREQUENCY], ids=["in space", "frequency"])
@pytest.mark.parametrize("number", [1, 2])
def test_both_coders_of_archives_take_all_numbers(archive, number):
    assert coders.by_archive(coders.numbers(archive), archive, number) > 0


def test_other_numbers_are_told():
    other = Archive(coders.ANY, (Quantized((9, -4, 0, 1, -3), -24), FREQUENCY.tensors[1]))
    with pytest.raises(AssertionError, match="archive 2 gives other numbers"):
        coders.by_archive(coders.numbers(other), FREQUENCY, 2)


def test_xz_takes_the_smallest_type_of_each_tensor():
    """Bytes at random cannot be made fewer, and the number that needs more has its own type."""
    random = np.random.default_rng(0).integers(-128, 128, 5000)
    assert 5000 < coders.by_xz([random, np.array([40_000])]) < 5100


@pytest.mark.skipif(not importlib.util.find_spec("nncodec"), reason="needs nncodec")
def test_nncodec_gives_the_numbers_back():
    assert coders.by_nncodec(coders.numbers(IN_SPACE), [(3, 1, 1, 2), (2, 3)]) > 0
    assert coders.by_nncodec(coders.numbers(FREQUENCY), [(5,), (2,)]) > 0


def test_the_page_has_the_table():
    assert coders.table(ROWS) in (ROOT / "docs" / "results.md").read_text()


def test_the_file_has_the_coder_of_its_version():
    for row in ROWS:
        section = {1: "coefficients", 2: "kernels"}[row["version"]]
        assert row["bytes"][f"archive {row['version']}"] == row["sections"][section], row["network"]
