import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

import fr_archive
from fr_archive import ArchiveError, Quantized
from fr_archive._cosines import quarter


def scalar_quarter(length: int) -> list[float]:
    """The page's procedure, one number at a time, as another language would."""
    table = []
    for k in range(length + 1):
        upper = 2 * k > length
        x = (3.141592653589793 * (length - k if upper else k)) / (2 * length)
        q, c = x * x, 1.0
        for i in range(8 if upper else 9, 0, -1):
            c = 1.0 - q / (2 * i * (2 * i + 1 if upper else 2 * i - 1)) * c
        table.append(x * c if upper else c)
    return table


def scalar_rebuild(vector: Quantized, length: int) -> list[float]:
    table = scalar_quarter(length)

    def cosine(place):
        place = min(place % (4 * length), -place % (4 * length))
        return table[place] if place <= length else -table[2 * length - place]

    out = []
    for i in range(length):
        total = 0.0
        for u, number in enumerate(vector.values):
            scale = math.sqrt((2.0 if u else 1.0) / length)
            total += number * fr_archive.step_value(vector.step) * (scale * cosine((2 * i + 1) * u))
        out.append(float(np.float32(total)))
    return out


@pytest.mark.parametrize("length", [1, 2, 3, 5, 16, 500, 800, 1024, 4096, 25_088, 50_001])
def test_cosines_are_accurate(length):
    reference = np.cos(np.pi * np.arange(length + 1) / (2 * length))
    # The argument of the reference is rounded to 2 ** -53 of pi / 2, and so is ours.
    assert np.abs(quarter(length) - reference).max() < 6e-16


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 501])
def test_matrix_is_scipy_s(length):
    reference = fft.dct(np.eye(length), norm="ortho", axis=0)
    assert np.abs(fr_archive.cosines(length, length) - reference).max() < 1e-15  # float64 rounding


def test_long_matrix_is_orthonormal():
    matrix = fr_archive.cosines(4097, 50)
    assert np.abs(matrix @ matrix.T - np.eye(50)).max() < 1e-13  # sums of 4,097 rounded products


@pytest.mark.parametrize("length", [1, 2, 9, 20, 333])
def test_table_has_the_bits_of_the_page(length):
    assert quarter(length).tolist() == scalar_quarter(length)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=12), st.integers(0, 20))
def test_vectors_have_the_bits_of_the_page(numbers, more):
    vector = Quantized(numbers, -13)
    length = len(numbers) + more
    assert fr_archive.rebuild(vector, length).tolist() == scalar_rebuild(vector, length)


@given(st.integers(1, 40))
def test_rebuild_inverts_the_transform(length):
    vector = np.random.default_rng(length).normal(size=length)
    step = fr_archive.nearest_step(1e-6)
    coded = fr_archive.quantize(fft.dct(vector, norm="ortho"), step)
    # Half a step for each coefficient, and float32.
    assert np.abs(fr_archive.rebuild(coded, length) - vector).max() < 5e-6


def test_a_vector_without_coefficients_is_zero():
    assert fr_archive.rebuild(Quantized((), 0), 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("length", "rows"), [(0, 0), (3, 4), (3, -1), (-1, 0)])
def test_more_rows_than_columns_are_refused(length, rows):
    with pytest.raises(ArchiveError, match="coefficients must be from 0 to `length`"):
        fr_archive.cosines(length, rows)
