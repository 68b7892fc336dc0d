import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from archive_cases import archives, series
from hypothesis import given, settings
from hypothesis import strategies as st

import fr_archive
from fr_archive import Archive, ArchiveError, Kernel, Quantized, Reference
from fr_archive._series import MOST_SERIES, interleaved
from fr_archive.archive import decode_with_sizes, with_skeleton


def lenet5(seed: int = 0) -> Archive:
    """As many numbers as a LeNet-5 of 776 coefficients, in typical sizes."""
    random = np.random.default_rng(seed)

    def numbers(count, scale, step):
        return Quantized(np.rint(random.laplace(size=count) * scale).astype(int), step)

    sizes = [(60, 12, -24), (310, 5, -25), (317, 2, -20), (89, 8, -22)]
    tensors = [numbers(*size) for size in sizes]
    vectors = [numbers(9, 9, -8) for _ in range(6)]
    kernels = [Kernel(numbers(72, 5, -30).values, -30, 8) for _ in range(2)]
    network = Reference("lenet5", {"batch_norm": True})
    return Archive(network, tensors, vectors, kernels=kernels)


@given(archives)
def test_round_trip(archive):
    data = fr_archive.encode(archive)
    assert fr_archive.decode(data) == archive
    assert fr_archive.decode_prefix(data) == archive
    assert fr_archive.encode(fr_archive.decode(data)) == data


@given(st.lists(st.integers(0, 30), max_size=8))
def test_interleaving_is_the_definition(counts):
    times = [
        (Fraction(2 * j + 1, 2 * count), tensor)
        for tensor, count in enumerate(counts)
        for j in range(count)
    ]
    assert interleaved(counts).tolist() == [tensor for _, tensor in sorted(times)]


def test_interleaving_compares_the_closest_times_exactly():
    counts = [2**21 - 1, 2**21]
    order = interleaved(counts)
    index = np.empty(sum(counts), np.int64)
    for tensor, count in enumerate(counts):
        index[order == tensor] = np.arange(count)
    # (2 j + 1) / n, compared by whole numbers: below 2 ** 44 here.
    first = (2 * index + 1)[:-1] * np.array(counts)[order[1:]]
    second = (2 * index + 1)[1:] * np.array(counts)[order[:-1]]
    assert ((first < second) | ((first == second) & (order[:-1] < order[1:]))).all()


def decided(cut: bytes) -> tuple[Quantized, ...] | None:
    """The tensors in a file that is cut; `None` where not even their counts are there."""
    try:
        return fr_archive.decode_prefix(cut).tensors
    except ArchiveError:
        return None


@given(series)
def test_every_prefix_decodes_to_a_prefix(tensors):
    archive = Archive(Reference("net"), tensors)
    whole = fr_archive.encode(archive)
    table = len(fr_archive.encode(Archive(Reference("net"), [])))
    order = interleaved([len(one.values) for one in tensors]).tolist()
    seen = 0
    for end in range(min(table, len(whole)), len(whole) + 1):
        found = decided(whole[:end])
        assert found is not None or not seen
        if found is None:
            continue
        counts = [len(one.values) for one in found]
        assert [one.values for one in found] == [
            one.values[:count] for one, count in zip(tensors, counts, strict=True)
        ]
        assert counts == [order[: sum(counts)].count(tensor) for tensor in range(len(tensors))]
        assert sum(counts) >= seen
        seen = sum(counts)
    assert seen == len(order)


def test_a_prefix_decides_nearly_all_that_its_bytes_hold():
    archive = lenet5()
    whole = fr_archive.encode(archive)
    spent = np.cumsum([0, *fr_archive.sizes(whole).tensors])[-1] / 8
    half = fr_archive.decode_prefix(whole[: len(whole) - int(spent / 2)])
    kept = sum(len(one.values) for one in half.tensors)
    assert 340 < kept < 430  # half of 776, and the first ones are no larger than the others
    # Unknown bytes cost at most what one of them holds: the coefficients of about 2 bytes.
    more = fr_archive.decode_prefix(whole[: len(whole) - int(spent / 2) + 2])
    assert sum(len(one.values) for one in more.tensors) > kept


@given(series, st.fractions(0, 1).filter(bool))
def test_capacity_is_the_first_part_of_each_tensor(tensors, capacity):
    data = fr_archive.encode(Archive(Reference("net"), tensors))
    capacity = capacity.limit_denominator(10**6) or Fraction(1)
    found = fr_archive.decode(data, capacity=capacity).tensors
    for whole, part in zip(tensors, found, strict=True):
        assert part.values == whole.values[: math.ceil(capacity * len(whole.values))]


def test_a_tenth_of_ten_is_one():
    """As a float, 0.1 is more than a tenth."""
    data = fr_archive.encode(Archive(Reference("net"), [Quantized(range(10), 0)]))
    assert fr_archive.decode(data, capacity=0.1).tensors[0].values == (0,)


@pytest.mark.parametrize("capacity", [0, -0.5, 1.01, float("nan"), float("inf"), 1e-9])
def test_capacities_out_of_range_are_refused(capacity):
    with pytest.raises(ArchiveError, match="`capacity` must be"):
        fr_archive.decode(fr_archive.encode(lenet5()), capacity=capacity)


def test_sizes_add_up():
    archive = lenet5()
    data = fr_archive.encode(archive)
    sizes = fr_archive.sizes(data)
    assert sizes.total == len(data) == sizes.header + sum(sizes.sections.values())
    assert len(sizes.tensors) == 4
    assert len(sizes.vectors) == 6
    assert len(sizes.kernels) == 2
    # A section has 2 bytes of header here, and at most 1 byte behind the last bit.
    names = ("coefficients", "vectors", "kernels")
    parts = (sizes.tensors, sizes.vectors, sizes.kernels)
    for name, bits, table in zip(names, parts, sizes.tables, strict=True):
        assert 0 <= 8 * (sizes.sections[name] - 1) - sum(bits) - table <= 16


def test_a_skeleton_is_added_without_coding_again():
    archive = lenet5()
    data, skeleton = fr_archive.encode(archive), bytes(range(99))
    whole = dataclasses.replace(archive, skeleton=skeleton)
    found = with_skeleton(data, skeleton)
    assert found == fr_archive.encode(whole)
    assert with_skeleton(found, skeleton) == found
    assert fr_archive.sizes(data).of(found) == fr_archive.sizes(found)


def test_the_frame_takes_little():
    sizes = fr_archive.sizes(fr_archive.encode(lenet5()))
    headers = sum(sizes.sections.values()) + sizes.header
    numbers = (*sizes.tensors, *sizes.vectors, *sizes.kernels)
    payload = (sum(numbers) + sum(sizes.tables)) / 8
    assert headers - payload < 28  # the frame, and the architecture in 6 bytes
    assert sizes.sections["architecture"] == 7


def test_laplacian_coefficients_take_little_more_than_their_entropy():
    random = np.random.default_rng(1)
    scale, counts = 4.0, (60, 310, 317, 89)
    tensors = [Quantized(np.rint(random.laplace(size=n) * scale).astype(int), -24) for n in counts]
    values = np.concatenate([one.values for one in tensors])
    cell = np.exp(-(np.abs(values) - 0.5) / scale) - np.exp(-(np.abs(values) + 0.5) / scale)
    chances = np.where(values == 0, 1 - np.exp(-0.5 / scale), cell / 2)
    entropy = -np.log2(chances).sum()
    data = fr_archive.encode(Archive(Reference("lenet5"), tensors))
    coded = sum(fr_archive.sizes(data).tensors)
    assert coded < 1.04 * entropy  # the coder has to learn the scale: 2 % when this was written


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_numbers_are_refused(bad):
    with pytest.raises(ArchiveError, match="`reals` must be finite"):
        fr_archive.quantize([1.0, bad], step=0)


def test_numbers_beyond_the_largest_are_refused():
    with pytest.raises(ArchiveError, match="choose a larger step"):
        fr_archive.quantize([1e30], step=0)
    with pytest.raises(ArchiveError, match="`step` must lie"):
        Quantized((1,), 512)
    with pytest.raises(ArchiveError, match="whole numbers"):
        Quantized((1.5,), 0)


def test_too_many_tensors_are_refused():
    with pytest.raises(ArchiveError, match="keep fewer"):
        fr_archive.encode(Archive(Reference("net"), [Quantized((), 0)] * (MOST_SERIES + 1)))


def test_reals_are_rounded_once():
    numbers = (2**31 - 2, -16777217, 1)
    found = Quantized(numbers, -23).reals()
    exact = [Fraction(q) * Fraction(35734, 32768) / 8 for q in numbers]
    assert found.tolist() == [float(np.float32(float(x))) for x in exact]
    assert all(Fraction(float(x)) == x for x in exact)  # float64 held them exactly


@settings(max_examples=10)
@given(archives)
def test_one_reading_gives_contents_and_sizes(archive):
    data = fr_archive.encode(archive)
    assert decode_with_sizes(data) == (fr_archive.decode(data), fr_archive.sizes(data))
