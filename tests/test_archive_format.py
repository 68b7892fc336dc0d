"""The specification, the golden file and the code say the same."""

import json
import re
import zlib
from pathlib import Path

import archive_page
import numpy as np
import pytest
from archive_cases import archives, as_on_the_page
from hypothesis import given
from make_archive_golden import FOLDER, NAMES, described

import fr_archive
from fr_archive import (
    _codebooks,
    _integers,
    _kernels,
    _series,
    _steps,
    container,
    rangecoder,
)
from fr_archive._plain import DEEPEST
from fr_archive.architecture import MOST_TEXT

PAGE = (Path(__file__).parents[1] / "docs" / "archive-format.md").read_text()
DICTIONARY = Path(fr_archive.__file__).with_name("dictionary.txt")


def annotated(data: bytes) -> str:
    """The bytes of a file in hexadecimal, one line for each part."""
    parts = [(0, 4, "magic, version"), (4, 8, "CRC-32")]
    for kind, section in container.read(data).items():
        name = kind.name.lower()
        parts.append((section.begin, section.start, f"{name}: {section.size} bytes follow"))
        parts.append((section.start, section.start + section.size, ""))
    lines = (f"{data[start:end].hex(' ').upper():<36}{note}".rstrip() for start, end, note in parts)
    return "\n".join(lines)


def test_worked_example():
    example = PAGE[PAGE.index("## 9.") :]
    source, listing = re.findall(r"```(?:python)?\n(.*?)\n```", example, re.DOTALL)
    names = {}
    exec(source, names)
    assert annotated(names["data"]) == listing
    assert fr_archive.decode(names["data"]) == names["archive"]


@given(archives)
def test_the_page_suffices_to_read_an_archive(archive):
    found = archive_page.read(fr_archive.encode(archive), DICTIONARY.read_bytes())
    expected = archive.architecture
    if isinstance(expected, fr_archive.Reference):
        assert found["architecture"] == [expected.name, expected.arguments]
    else:
        assert found["architecture"] == expected.config
    assert found["tensors"] == [(one.values, one.step) for one in archive.tensors]
    assert found["vectors"] == [(one.values, one.step) for one in archive.vectors]
    assert found["skeleton"] == archive.skeleton
    assert found["kernels"] == list(map(as_on_the_page, archive.kernels))


def first_word(seed: int) -> str:
    return f"{int(np.random.Philox(key=seed).random_raw()):016X}"


def test_numbers_of_the_page():
    text = DICTIONARY.read_bytes()
    page = PAGE.replace(",", "")
    for fact in (
        f"{len(text)} bytes with the CRC-32 `{zlib.crc32(text):08X}`",
        " ".join(map(str, _steps.MANTISSAS)),
        " ".join(map(str, _integers._NOT_ZERO)),
        f"`{_steps.LOWEST} <= k <= {_steps.HIGHEST}`",
        f"| tensors; vectors; kernels in space | {_series.MOST_SERIES} each |",
        f"2^{MOST_TEXT.bit_length() - 1} bytes {DEEPEST} levels",
        f"({_integers._DIGIT} {_integers._PRIOR_WEIGHT})",
        f"min(max(one {rangecoder._FLOOR}) {rangecoder._CEILING})",
        f"the seed 0 the first is `{first_word(0)}`",
        f"the seed `2^64 - 1` it is `{first_word(2**64 - 1)}`",
    ):
        assert fact in " ".join(page.split()), fact
    assert _series.MOST_NUMBERS == 2**22
    assert _kernels.MOST_NUMBERS == 2**24
    assert _integers._UNKNOWN_MEAN == 512
    assert _codebooks.MOST_LEVELS == 16
    assert (_series.FREE_NUMBERS, _series.MOST_NUMBERS_A_BYTE) == (2**16, 2**6)
    assert container.MOST_SECTION_BYTES == 2**25 - 1
    assert _integers.LARGEST == 2**31 - 2


def test_mantissas_are_the_rounded_powers():
    assert tuple(round(2 ** (i / 8 + 15)) for i in range(8)) == _steps.MANTISSAS


@pytest.mark.parametrize("name", NAMES)
def test_golden_file_is_read_and_written_to_the_byte(name):
    data = (FOLDER / f"{name}.fr").read_bytes()
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    archive = fr_archive.decode(data)
    assert described(archive) == {"kernels": [], **expected}
    assert fr_archive.encode(archive) == data


@pytest.mark.parametrize("number", range(-24, 24))
def test_nearest_step_of_a_step_is_itself(number):
    assert fr_archive.nearest_step(fr_archive.step_value(number)) == number
    assert fr_archive.nearest_step(fr_archive.step_value(number) * 1.04) == number
    assert fr_archive.nearest_step(fr_archive.step_value(number) / 1.04) == number


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf"), 1e30])
def test_steps_out_of_range_are_refused(step):
    with pytest.raises(fr_archive.ArchiveError, match="`step` must lie between"):
        fr_archive.nearest_step(step)
