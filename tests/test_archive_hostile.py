"""Files that no writer wrote are refused: what is wrong, and where."""

import subprocess
import sys
import tracemalloc
import zlib

import pytest
from test_archive import lenet5

import fr_archive
from fr_archive import Archive, ArchiveError, Config, Quantized, Reference, _series, container, lz
from fr_archive._integers import Numbers
from fr_archive._plain import DEEPEST
from fr_archive.architecture import _DICTIONARY, MOST_TEXT
from fr_archive.container import HEADER_BYTES, Kind
from fr_archive.rangecoder import Encoder

DATA = fr_archive.encode(lenet5())


def framed(body: bytes, head: bytes = b"\xf7FR\x01") -> bytes:
    """A file with a right checksum."""
    return head + zlib.crc32(body).to_bytes(4, "big") + body


def with_text(text: bytes) -> bytes:
    payloads = {Kind.ARCHITECTURE: lz.compress(text, _DICTIONARY), Kind.COEFFICIENTS: EMPTY}
    return container.write(payloads)


def table(number: int, *entries: tuple[int, int]) -> bytes:
    """The table of a section, without its numbers: differences of counts and of steps."""
    encoder, numbers = Encoder(), _series._Table()
    numbers.number.magnitude(encoder, number)
    for count, step in entries:
        numbers.count.signed(encoder, count)
        numbers.step.signed(encoder, step)
    return encoder.finish()


EMPTY = table(0)
NAME = lz.compress(b'["net",{}]', _DICTIONARY)


def with_table(payload: bytes) -> bytes:
    return container.write({Kind.ARCHITECTURE: NAME, Kind.COEFFICIENTS: payload})


def test_every_truncation_is_refused():
    for end in range(len(DATA)):
        with pytest.raises(ArchiveError):
            fr_archive.decode(DATA[:end])
        body = framed(DATA[HEADER_BYTES:end])
        with pytest.raises(ArchiveError, match=r"cut|must begin with its kind"):
            fr_archive.decode(body)


def test_every_flipped_bit_is_refused():
    for place in range(8 * len(DATA)):
        flipped = bytearray(DATA)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(ArchiveError):
            fr_archive.decode(bytes(flipped))


def section(kind: int, payload: bytes) -> bytes:
    return bytes([8 * len(payload) + kind]) + payload


NET, LAST = section(0, NAME), section(7, EMPTY)


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "not a .fr archive", 0),
        (b"PK\x03\x04" + bytes(20), "not a .fr archive", 0),
        (DATA[:7], "not a .fr archive", 0),
        (framed(NET + LAST, b"\xf7FR\x04"), "versions 1 to 3 .* not 4", 3),
        (framed(NET + LAST, b"\xf7FR\x02"), "version 2 if it holds kernels", 3),
        (DATA[:-1] + bytes([DATA[-1] ^ 1]), "checksum", 4),
        (framed(NET + LAST + b"\0"), "Nothing may follow", None),
        (framed(NET + NET + LAST), "Section 0 must not follow section 0", None),
        (framed(section(1, b"") + NET + LAST), "Section 0 must not follow section 1", 9),
        (framed(NET), "cut before the coefficients", None),
        (framed(LAST), "architecture must come first", 8),
        (framed(NET + section(3, b"x") + LAST), "version 2 if it holds kernels", 3),
        (framed(NET + section(1, EMPTY) + LAST), "at least one", None),
        (framed(b"\x80\x00" + LAST), "as few bytes as possible", 8),
        (framed(b"\xff\xff\xff\xff\x01" + LAST), "as few bytes as possible", 8),
        (framed(b"\xf8\xff\xff\x7f" + LAST), "the file is cut", None),
        (framed(NET + section(7, EMPTY + b"\0\0")), "must end here", None),
        (framed(NET + section(7, EMPTY + b"\1")), "must end here|canonical", None),
    ],
)
def test_broken_frames_are_refused(data, message, offset):
    with pytest.raises(ArchiveError, match=message) as caught:
        fr_archive.decode(data)
    assert caught.value.offset is not None
    assert f"(at byte {caught.value.offset})" in str(caught.value)
    if offset is not None:
        assert caught.value.offset == offset


def test_sections_that_may_be_skipped_are():
    data = framed(NET + section(4, b"abc") + section(6, b"") + LAST)
    assert fr_archive.decode(data) == Archive(Reference("net"), [])


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (table(5000), "at most 4096 tensors"),
        (table(2**31 - 2), "at most 4096 tensors"),
        (table(1, (-1, 0)), "a count of at least 0"),
        (table(1, (3, 512)), "a step from -512 to 511, not . and 512"),
        (table(1, (3, -513)), "a step from -512 to 511, not . and -513"),
        (table(2, (3, 500), (0, 12)), "a step from -512 to 511, not . and 512"),
        (table(1, (2**31 - 2, 0)), "hold at most"),
        (table(1, (70_000, 0)), "hold at most"),
        (table(2, (2**22, 0), (0, 0)) + bytes(70_000), "hold at most 4194304 numbers, not 8388608"),
        (table(1, (1000, 0)), "ends too early|must end|canonical"),
        (b"\xff" * 30, "must end here"),
        (b"\0" * 30, "at most 4096 tensors"),
        (b"", "ends too early"),
    ],
)
def test_declared_sizes_are_refused_before_memory_is_taken(payload, message):
    data = with_table(payload)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=message):
            fr_archive.decode(data)
        with pytest.raises(ArchiveError, match=message):
            fr_archive.decode(data, capacity=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_zeros_are_nearly_free_up_to_a_bound():
    count = _series.FREE_NUMBERS
    zeros = [Quantized((0,) * count, 0)]
    payload = _series.write(zeros, _series.one_by_one)
    assert len(payload) < count / 300
    with pytest.raises(ArchiveError, match="nearly all of these are 0: keep fewer"):
        _series.write([Quantized((0,) * 2 * count, 0)], _series.one_by_one)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'["",{}]',
        b'["net"]',
        b'["net",[]]',
        b'["net",{},1]',
        b'["net", {}]',
        b'["net",{"b":1,"a":2}]',
        b'["net",{"a":1,"a":1}]',
        b'["net",{"a":NaN}]',
        b'["net",{"a":Infinity}]',
        b'["net",{"a":1e400}]',
        b'["net",{"a":1e5}]',
        b'["net",{"a":9223372036854775808}]',
        b'["net",{"a":"\\ud800"}]',
        b'["net",{"a":"\\u0041"}]',
        b'["net",{"a":"\xff"}]',
        b'["net",{}',
        b'["net",{}]\n',
        '["net",{}]'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 200 + b"0" + b"}" * 200,
        b'["net",{"a":' + b"9" * 5000 + b"}]",
    ],
    ids=range(24),
)
def test_architectures_that_are_no_canonical_json_are_refused(text):
    with pytest.raises(ArchiveError, match="architecture"):
        fr_archive.decode(with_text(text))


def test_a_bomb_of_text_is_refused():
    encoder = Encoder()
    Numbers(3 << 14).magnitude(encoder, MOST_TEXT + 1)
    payload = encoder.finish()
    with pytest.raises(ArchiveError, match=f"At most {MOST_TEXT} bytes"):
        fr_archive.decode(container.write({Kind.ARCHITECTURE: payload, Kind.COEFFICIENTS: EMPTY}))


def nested(levels: int) -> dict:
    data = {}
    for _ in range(levels - 1):
        data = {"a": data}
    return data


def test_the_deepest_config_comes_back_and_a_deeper_one_does_not():
    deepest = Archive(Config(nested(DEEPEST)), [])
    assert fr_archive.decode(fr_archive.encode(deepest)) == deepest
    with pytest.raises(ArchiveError, match="levels deep"):
        fr_archive.encode(Archive(Config(nested(DEEPEST + 1)), []))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((1, 2), "convert them first"),
        ({1: 2}, "JSON keys must be strings"),
        (float("nan"), "cannot hold nan"),
        (float("inf"), "cannot hold inf"),
        (2**63, "64 bits"),
        ("\ud800", "Unicode"),
        (b"x", "convert them first"),
    ],
)
def test_what_json_would_change_is_refused(value, message):
    with pytest.raises(ArchiveError, match=message):
        fr_archive.encode(Archive(Reference("net", {"a": value}), []))


@pytest.mark.parametrize("architecture", ["lenet5", Reference(""), Reference("net", []), None])
def test_what_is_no_architecture_is_refused(architecture):
    with pytest.raises(ArchiveError, match=r"architecture"):
        fr_archive.encode(Archive(architecture, []))


def test_tensorflow_is_not_needed():
    code = "import sys, fr_archive; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "fr_archive" in loaded
    assert not loaded & {"tensorflow", "keras", "fr_keras"}
