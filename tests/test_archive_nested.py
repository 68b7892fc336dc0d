"""Files of several networks: the third version of the format."""

import dataclasses
import io
import itertools
import json
import random
import tracemalloc
import zlib
from unittest import mock

import archive_page
import nested_cases
import numpy as np
import pytest
from make_archive_golden import FOLDER, described
from test_archive_format import DICTIONARY

import fr_archive
from fr_archive import (
    Archive,
    ArchiveError,
    Axis,
    GrownKernel,
    GrownVector,
    Kernel,
    Quantized,
    Reference,
    _growth_map,
    architecture,
    container,
    lz,
    nested,
    skeletons,
)
from fr_archive._axes import boxes, merged, shape
from fr_archive._frames import Kind, split, write_frame
from fr_archive.container import varint
from fr_archive.rangecoder import Decoder

HEAD = container.MAGIC + b"\x03"


def frames_of(data: bytes) -> list[nested.Frame]:
    return list(nested.frames(io.BytesIO(data)))


def net(share, vectors=(), kernels=(), skeleton=None) -> Archive:
    return Archive(Reference("net"), (), vectors, skeleton, kernels, {"share": share})


def ends(data: bytes) -> list[int]:
    """Where the frames of a file end."""
    return np.cumsum([4] + [one.bytes for one in frames_of(data)]).tolist()[1:]


@pytest.mark.parametrize("seed", range(24))
def test_round_trip(seed):
    networks = nested_cases.networks(seed)
    data = fr_archive.encode_nested(networks)
    assert list(fr_archive.stream(io.BytesIO(data))) == networks
    assert fr_archive.decode(data) == fr_archive.decode(data, capacity=1) == networks[-1]
    for one in networks:
        assert fr_archive.decode(data, capacity=one.profile["share"]) == one
        assert fr_archive.decode(data, min(1, one.profile["share"] + 1e-9)) == one
    found = frames_of(data)
    assert sum(one.bytes for one in found) + 4 == len(data)
    assert [sum(one.sections.values()) for one in found] == [one.bytes for one in found]


@pytest.mark.parametrize("seed", range(40))
def test_numbers_are_where_the_rule_says(seed):
    for network in nested_cases.networks(seed):
        for kernel in network.kernels:
            assert kernel.reals().tolist() == nested_cases.by_hand(kernel)
        for vector in network.vectors:
            if isinstance(vector, GrownVector):
                grown = fr_archive.rebuild(vector, vector.axis.length)
                is_new = vector.axis.is_new()
                old = fr_archive.rebuild(vector.before, vector.axis.old)
                assert grown[~is_new].tobytes() == old.tobytes()
                new = fr_archive.rebuild(vector.new, vector.axis.new)
                assert grown[is_new].tobytes() == new.tobytes()
                with pytest.raises(ArchiveError, match=r"has .* numbers"):
                    fr_archive.rebuild(vector, vector.axis.length + 1)


@pytest.mark.parametrize("seed", range(20))
def test_the_page_suffices(seed):
    networks = nested_cases.networks(seed)
    data = fr_archive.encode_nested(networks)
    for page, one in zip(
        archive_page.read_nested(data, DICTIONARY.read_bytes()), networks, strict=True
    ):
        assert page["architecture"] == [one.architecture.name, one.architecture.arguments]
        assert page["profile"] == one.profile
        text = None if one.skeleton is None else skeletons.text_of(one.skeleton)
        assert page["skeleton"] == text
        for found, kernel in zip(page["kernels"], one.kernels, strict=True):
            assert np.float32(found[0]).tolist() == kernel.reals().tolist()
            assert found[1] == kernel.columns
        for found, vector in zip(page["vectors"], one.vectors, strict=True):
            assert found == as_page(vector)


def as_page(vector):
    if isinstance(vector, Quantized):
        return vector.values, vector.step
    return as_page(vector.before), vector.axis.is_new().tolist(), as_page(vector.new)


def test_frozen_outputs_read_no_new_inputs():
    old = Kernel((1, 2, 3, 4), 0, 2)
    rows, columns = Axis.of([0, 0, 1], makes=False), Axis.of([0, 0, 1])
    grown = GrownKernel(old, (rows, columns), [Kernel((7, 8, 9), 0, 1)])
    assert grown.reals().reshape(3, 3).tolist() == [[1, 2, 7], [3, 4, 8], [0, 0, 9]]
    assert GrownKernel(old, (rows, Axis(((2, 0, 1),))), []).reals().tolist() == [1, 2, 3, 4, 0, 0]


@pytest.mark.parametrize("seed", range(200))
def test_runs_say_which_positions_are_new(seed):
    draw = np.random.default_rng(seed)
    marks = np.tile(draw.random(draw.integers(1, 9)) < 0.5, draw.integers(1, 5))
    if marks.all():
        with pytest.raises(ArchiveError, match="at least one of them old"):
            Axis.of(marks)
        return
    axis = Axis.of(marks)
    assert axis.is_new().tolist() == marks.tolist()
    assert (axis.old, axis.new) == ((~marks).sum(), marks.sum())
    assert (axis.length, Axis(axis.runs)) == (len(marks), axis)


def test_runs_have_one_form():
    """Of all short series of runs, exactly one for each axis is taken."""
    found = {}
    pairs = list(itertools.product(range(3), range(3), range(3)))
    for runs in itertools.chain([()], ([a] for a in pairs), itertools.product(pairs, pairs)):
        try:
            axis = Axis(runs)
        except ArchiveError:
            continue
        marks = tuple(axis.is_new().tolist())
        assert found.setdefault(marks, axis.runs) == axis.runs
        assert Axis.of(marks).runs == axis.runs
    assert len(found) == 94


def test_axes_of_a_kernel_have_one_form():
    still, one, grown = Axis(((3, 0, 1),)), Axis(((1, 0, 1),)), Axis.of([0, 1], makes=False)
    with pytest.raises(ArchiveError, match="grow along some"):
        GrownKernel(Kernel((1,) * 9, 0, 3), (still, still), [])
    for axes in ((still, still, grown), (one, grown), (still, one, grown)):
        old = [axis.old for axis in axes]
        before = Kernel((1,) * int(np.prod(old)), 0, old[-1])
        assert GrownKernel(before, axes, []).axes == merged(axes) != axes
        data = second(growth=growth([()], [axes]))
        with pytest.raises(ArchiveError, match="grow along some"):
            fr_archive.decode(data)
    for axes in ((still, grown), (grown, one)):
        assert merged(axes) == axes


def test_parts_cover_what_is_new_once():
    for makes in itertools.product([True, False], repeat=3):
        axes = [Axis.of([0, 1, 0, 1, 1][: 2 + n], make) for n, make in enumerate(makes)]
        covered = np.zeros([axis.length for axis in axes], int)
        for part in boxes(axes):
            places = [
                np.arange(axis.length) if chosen is None else axis.is_new() == chosen
                for axis, chosen in zip(axes, part, strict=True)
            ]
            covered[np.ix_(*places)] += 1
            assert covered[np.ix_(*places)].shape == tuple(shape(axes, part))
        new = np.zeros(covered.shape, bool)
        for at, (axis, make) in enumerate(zip(axes, makes, strict=True)):
            sides = [1, 1, 1]
            sides[at] = axis.length
            new |= make & axis.is_new().reshape(sides)
        assert (covered == new).all()


def test_a_file_that_is_cut_gives_its_last_whole_network():
    networks = nested_cases.networks(3, count=4)
    data = fr_archive.encode_nested(networks)
    bounds = ends(data)
    near = [bound + step for bound in bounds for step in (-1, 0, 1)]
    for end in sorted({*range(0, len(data), 31), *near} - {*range(len(data), len(data) + 9)}):
        whole = sum(bound <= end for bound in bounds)
        if not whole:
            for read in (fr_archive.decode, fr_archive.decode_prefix):
                with pytest.raises(ArchiveError):
                    read(data[:end])
            continue
        with pytest.warns(UserWarning, match=r"was cut.*share of"):
            assert fr_archive.decode(data[:end]) == networks[whole - 1]
        assert fr_archive.decode_prefix(data[:end]) == networks[whole - 1]
        for number, one in enumerate(networks[:whole]):
            assert fr_archive.decode(data[:end], capacity=one.profile["share"]) == one
            if number + 1 < whole:  # the next one shows that there is none between
                between = (one.profile["share"] + networks[number + 1].profile["share"]) / 2
                assert fr_archive.decode(data[:end], capacity=between) == one
    with pytest.warns(UserWarning, match="was cut"):
        fr_archive.decode(data[: bounds[1]], capacity=0.999)


class Slow(io.RawIOBase):
    """A download that gives a few bytes at a time, and counts them."""

    def __init__(self, data: bytes):
        self._file, self.given = io.BytesIO(data), 0

    def read(self, size=-1):
        chunk = self._file.read(min(size, 3) if size >= 0 else 3)
        self.given += len(chunk)
        return chunk


def test_a_stream_gives_each_network_as_soon_as_it_is_there():
    networks = nested_cases.networks(5, count=4)
    data = fr_archive.encode_nested(networks)
    file = Slow(data)
    found = fr_archive.stream(file)
    for one, end in zip(networks, ends(data), strict=True):
        assert next(found) == one
        assert file.given == end
    assert next(found, None) is None


def test_a_stream_that_is_cut_says_so_after_the_last_whole_network():
    networks = nested_cases.networks(5, count=3)
    data = fr_archive.encode_nested(networks)
    for end in (len(data) - 1, ends(data)[1]):
        found = fr_archive.stream(io.BytesIO(data[:end]))
        assert [next(found), next(found)] == networks[:2]
        with pytest.warns(UserWarning, match="was cut"):
            assert next(found, None) is None


def test_a_stream_of_one_network_yields_it():
    archive = Archive(Reference("net"), [Quantized((1, 2), 0)])
    data = fr_archive.encode(archive)
    assert list(fr_archive.stream(Slow(data))) == [archive]
    with pytest.raises(ArchiveError):
        list(fr_archive.stream(io.BytesIO(data[:-1])))


def test_damage_is_told_after_the_networks_before_it():
    networks = nested_cases.networks(7, count=3)
    data = bytearray(fr_archive.encode_nested(networks))
    first, second, _ = ends(bytes(data))
    data[second - 1] ^= 1
    found = fr_archive.stream(io.BytesIO(data))
    assert next(found) == networks[0]
    with pytest.raises(ArchiveError, match="checksum") as caught:
        next(found)
    assert first <= caught.value.offset < second
    assert fr_archive.decode(bytes(data), networks[0].profile["share"]) == networks[0]
    with pytest.raises(ArchiveError, match="checksum"):
        fr_archive.decode(bytes(data))


def test_a_capacity_below_the_smallest_network_is_refused():
    data = fr_archive.encode_nested([net(0.25), net(1)])
    with pytest.raises(ArchiveError, match=r"at least the share of the smallest network, 0.25"):
        fr_archive.decode(data, capacity=0.2)
    for capacity in (0, 1.5, float("nan")):
        with pytest.raises(ArchiveError, match="`capacity` must be"):
            fr_archive.decode(data, capacity=capacity)


GROWN = GrownVector(Quantized((2,), 0), Axis.of([0, 1]), Quantized((5,), 0))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([], "1 to 64 networks"),
        ([net(n / 65) for n in range(1, 66)], "1 to 64 networks"),
        ([net(0.5)], "last network must have a `share` of 1"),
        ([net(0.5), net(0.5), net(1)], "no two of them may coincide"),
        ([net(0.5), net(0.4), net(1)], "shares that ascend"),
        ([net(1.5)], "a `share` above 0 and at most 1"),
        ([net(0)], "a `share` above 0"),
        ([net(True)], "a `share` above 0"),
        ([net(None)], "a `share` above 0"),
        ([net(float("nan"))], "JSON cannot hold nan"),
        ([dataclasses.replace(net(1), profile={"accuracy": 1})], "a `share` above 0"),
        ([dataclasses.replace(net(1), profile=None)], "must have a profile"),
        ([dataclasses.replace(net(1), tensors=(Quantized((1,), 0),))], "bake FR layers"),
        ([dataclasses.replace(net(1), profile={"share": 1, "x": "y" * 5000})], "at most 4096"),
        ([net(1, [GROWN])], "in the first network"),
        ([net(0.5, [Quantized((3,), 0)]), net(1, [GROWN])], "must contain what has its place"),
        ([net(0.5), net(1, [GROWN])], "must contain what has its place"),
        ([net(0.5, skeleton=b"x"), net(1, skeleton=b"x")], "must follow that"),
        ([net(0.5), net(1, skeleton=skeletons.Following(b"x", b"y"))], "must follow that"),
    ],
)
def test_networks_that_do_not_follow_one_another_are_refused(networks, message):
    with pytest.raises(ArchiveError, match=message):
        fr_archive.encode_nested(networks)


def test_a_network_of_several_is_no_file_of_its_own():
    for one in (net(1), Archive(Reference("net"), (), [GROWN])):
        with pytest.raises(ArchiveError, match="encode_nested"):
            fr_archive.encode(one)
    data = fr_archive.encode_nested([net(1)])
    with pytest.raises(ArchiveError, match="several networks"):
        fr_archive.sizes(data)


def payloads(data: bytes, number: int) -> dict[Kind, bytes]:
    """The sections of a frame."""
    start, end = [4, *ends(data)][number : number + 2]
    _, length = container.read_varint(data, start)
    body = data[length + 4 : end]
    return {kind: body[at.start : at.start + at.size] for kind, at in split(body).items()}


def frame(body: bytes) -> bytes:
    return varint(len(body)) + zlib.crc32(body).to_bytes(4, "big") + body


def raw(kind: int, payload: bytes) -> bytes:
    return varint(8 * len(payload) + kind) + payload


def growth(vectors=(), kernels=()) -> bytes:
    """A section of growth, also with more axes or other runs than a writer writes."""
    with mock.patch.multiple(
        _growth_map, _MOST_AXES=(99, 99), Axis=Unchecked, check_axes=lambda axes: None
    ):
        return _growth_map.write(vectors, kernels)


class Unchecked(Axis):
    """Runs that no writer writes."""

    def __post_init__(self):
        pass


KERNEL, VECTOR = Kernel((1, 2, 3, 4), 0, 2), Quantized((1, 2), 0)
SMALL = fr_archive.encode_nested([net(0.5, [VECTOR], [KERNEL]), net(1, [VECTOR], [KERNEL])])
FIRST = SMALL[: ends(SMALL)[0]]
SAME = payloads(SMALL, 1)
NEW = payloads(fr_archive.encode_nested([net(1, [GROWN.new], [Kernel((9, 9), 0, 2)])]), 0)
ROWS, COLUMNS = Axis.of([0, 0, 1]), Axis(((2, 0, 1),))


def second(**sections: bytes) -> bytes:
    """A file whose second frame has other sections."""
    changed = {Kind[name.upper()]: payload for name, payload in sections.items()}
    found = {kind: one for kind, one in {**SAME, **changed}.items() if one is not None}
    return FIRST + write_frame(found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEAD, "cut within its first network"),
        (HEAD + frame(b""), "must hold an architecture"),
        (HEAD + b"\x80\x00" + bytes(9), "as few bytes as possible"),
        (HEAD + b"\xff\xff\xff\xff\x01", "as few bytes as possible"),
        (HEAD + b"\xff\xff\xff\x7f" + bytes(99), "cut within its first network"),
        (HEAD + frame(raw(7, b"")), "Section 7 must not follow"),
        (HEAD + frame(raw(1, b"") + raw(0, b"")), "Section 0 must not follow section 1"),
        (HEAD + frame(varint(8 * 50)), "must end where its frame ends"),
        (HEAD + frame(raw(0, SAME[Kind.ARCHITECTURE])), "must hold an architecture and a profile"),
        (SMALL + b"\0", "Nothing may follow"),
        (second(profile=None), "must hold an architecture and a profile"),
        (second(architecture=None), "must hold an architecture"),
        (second(growth=None), "must hold an architecture"),
        (HEAD + write_frame({**payloads(SMALL, 0), Kind.GROWTH: growth()}), "after the first"),
        (FIRST + FIRST[4:], "must hold an architecture"),
        (second(profile=payloads(SMALL, 0)[Kind.PROFILE]), "no two of them may coincide"),
        (second(vectors=NEW[Kind.VECTORS]), "nothing that its growth does not place"),
        (second(kernels=NEW[Kind.KERNELS]), "nothing that its growth does not place"),
        (second(growth=growth([None], [()])), "must hold what its growth says"),
        (second(growth=growth([()], [None])), "must hold what its growth says"),
        (second(growth=growth([(), ()], [()])), "Number 1 cannot have grown"),
        (second(growth=growth([()], [(), (ROWS, COLUMNS)])), "Number 1 cannot have grown"),
        (second(growth=growth([()] * 5000, [()])), "at most 4096 vectors or kernels"),
        (second(growth=growth([()], [(ROWS, COLUMNS)])), "must hold what its growth says"),
        (
            second(growth=growth([()], [(Axis.of([0, 1]), COLUMNS)]), kernels=NEW[Kind.KERNELS]),
            "must have the old positions",
        ),
        (
            second(growth=growth([()], [(ROWS, Axis.of([0, 0, 1]))]), kernels=NEW[Kind.KERNELS]),
            "must hold what its growth|must have the shapes",
        ),
        (second(growth=growth([()], [(COLUMNS, COLUMNS)])), "grow along some"),
        (second(growth=growth([()], [(ROWS,) * 9])), "grows along 9 axes"),
        (second(growth=growth([(ROWS, ROWS)], [()])), "grows along 2 axes"),
        (
            second(growth=growth([(Axis.of([0, 1]),)], [()]), vectors=NEW[Kind.VECTORS]),
            "must grow to at most",
        ),
        (second(growth=growth([(COLUMNS,)], [()]), vectors=NEW[Kind.VECTORS]), "must grow to"),
        (
            second(growth=growth([(Axis(((2, 4095, 1),)),)], [()]), vectors=NEW[Kind.VECTORS]),
            "at most 4096 numbers",
        ),
        (
            second(growth=growth([(Unchecked(((2, 1 << 24, 1),)),)], [()])),
            "1 to 16777216 positions",
        ),
        (
            second(
                growth=growth([()], [None]),
                kernels=payloads(fr_archive.encode_nested([net(1, kernels=[KERNEL])]), 0)[
                    Kind.KERNELS
                ],
            ),
            "is the one before",
        ),
        (second(growth=SAME[Kind.GROWTH] + b"\1"), "must end here|canonical"),
        (second(growth=b""), "ends too early"),
        (second(growth=b"\0" * 30), "at most 4096"),
        (second(growth=b"\xff" * 30), "must hold what|must end|canonical"),
    ],
)
def test_broken_files_are_refused(data, message):
    with pytest.raises(ArchiveError, match=message) as caught:
        fr_archive.decode(data)
    assert 0 <= caught.value.offset <= len(data)
    assert f"(at byte {caught.value.offset})" in str(caught.value)


@pytest.mark.parametrize(
    "runs",
    [
        ((1, 1, 1), (1, 1, 1)),
        ((2, 0, 1), (1, 1, 1)),
        ((1, 1, 1), (0, 2, 1)),
        ((0, 1, 2), (2, 1, 1)),
        ((1, 0, 2),),
        ((0, 3, 1),),
        ((0, 0, 1), (2, 1, 1)),
    ],
)
def test_runs_in_another_form_are_refused(runs):
    data = second(growth=growth([()], [(Unchecked(runs), COLUMNS)]))
    with pytest.raises(ArchiveError, match=r"as `Axis.of` writes|of them old"):
        fr_archive.decode(data)


def test_an_axis_is_described_once(monkeypatch):
    monkeypatch.setattr(_growth_map._Map, "_learn", lambda self, runs: self._known.append(runs))
    payload = growth([(Axis.of([0, 1, 1]),)] * 2)
    monkeypatch.undo()
    networks = [net(0.5, [Quantized((1,), 0)] * 2), net(1, [Quantized((1,), 0)] * 2)]
    data = fr_archive.encode_nested(networks)
    changed = {**payloads(data, 1), Kind.GROWTH: payload}
    with pytest.raises(ArchiveError, match="described where it occurs first"):
        fr_archive.decode(data[: ends(data)[0]] + write_frame(changed))


def test_growth_takes_no_memory_before_it_is_checked():
    """Few bytes may declare a huge kernel of zeros."""
    rows = Axis(((2, (1 << 24) - 2, 1),), makes=False)
    data = second(growth=growth([()], [(rows, COLUMNS)]))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="kernels in so many bytes"):
            fr_archive.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    grown = GrownKernel(KERNEL, (rows, COLUMNS), [])
    networks = [net(0.5, [VECTOR], [KERNEL]), net(1, [VECTOR], [grown])]
    with pytest.raises(ArchiveError, match="kernels in so many bytes"):
        fr_archive.encode_nested(networks)


def test_limits_hold_for_all_networks_together(monkeypatch):
    monkeypatch.setattr(architecture, "MOST_TEXT", 4000)
    text = {"a": "x" * 3000}
    networks = [
        dataclasses.replace(net(share), architecture=Reference("net", text)) for share in (0.5, 1)
    ]
    with pytest.raises(ArchiveError, match="bytes of JSON in all"):
        fr_archive.encode_nested(networks)
    monkeypatch.setattr(skeletons, "MOST_TEXT", 4000)
    after = skeletons.Following(lz.compress(bytes(3000), bytes(3001)), lz.compress(bytes(3000)))
    archive = net(1, skeleton=after)
    with pytest.raises(ArchiveError, match="bytes may be packed here"):
        fr_archive.expand(archive)


def mutated(data: bytes, draw: random.Random) -> bytes:
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0 | 1 if place < len(data):
                data[place] ^= 1 << draw.randrange(8)
            case 2:
                data[place:place] = draw.randbytes(draw.randrange(1, 4))
            case 3:
                del data[place : place + draw.randrange(1, 4)]
            case _:
                del data[place:]
    return bytes(data)


def mutations(seed: int, count: int):
    """Files with right frames and one wrong section, or with a wrong frame."""
    draw = random.Random(seed)
    for number in range(count):
        data = nested_cases.file(draw.randrange(12))
        if number % 8 == 0:
            yield mutated(data, draw)
            continue
        all_of = [payloads(data, at) for at in range(len(ends(data)))]
        wrong = draw.choice(all_of)
        kind = Kind.GROWTH if Kind.GROWTH in wrong and draw.random() < 0.6 else None
        kind = kind or draw.choice(list(wrong))
        wrong[kind] = mutated(wrong[kind], draw)
        yield HEAD + b"".join(map(write_frame, all_of))


def accepted(data: bytes) -> int:
    """How many networks of a file are taken; each is what a writer writes."""
    found, offset = [], 0
    try:
        for one in nested.frames(io.BytesIO(data)):
            found.append(one.archive)
    except ArchiveError as error:
        offset = error.offset
    assert 0 <= offset <= len(data)
    for before, after in itertools.pairwise(found):
        assert before.profile["share"] < after.profile["share"]
    for one in found:
        for kernel in one.kernels:
            assert len(kernel.reals()) == kernel.size
            assert not len(kernel.reals()) % kernel.columns
    return len(found)


def test_a_few_mutated_files():
    assert {0, 1} <= {accepted(data) for data in mutations(0, 30)}


@pytest.mark.slow
def test_many_mutated_files():
    assert {0, 1, 2, 3} <= {accepted(data) for data in mutations(1, 500)}


def test_the_growth_of_a_file_is_coded_as_a_writer_codes_it():
    draw, coded = random.Random(1), 0
    for seed in range(100):
        data = nested_cases.file(seed % 12, 2)
        payload = mutated(payloads(data, 1)[Kind.GROWTH], draw)
        try:
            entries = _growth_map.read(Decoder(payload, 0, len(payload)))
        except ArchiveError:
            continue
        assert _growth_map.write(*entries) == payload
        coded += 1
    assert coded


def test_golden_file_is_read_and_written_to_the_byte():
    data = (FOLDER / "archive_v3.fr").read_bytes()
    expected = json.loads((FOLDER / "archive_v3.json").read_text())
    networks = list(fr_archive.stream(io.BytesIO(data)))
    assert [described(one) for one in networks] == expected
    assert fr_archive.encode_nested(networks) == data
