"""`WholeSteps`: the rounding, the estimate of bits, and the gradients of both."""

import math

import keras
import numpy as np
import pytest
from backends import gradients
from keras import ops

import fr_archive
from fr_archive import _kernels, _series
from fr_keras.layers import Columns
from fr_keras.layers._quantized_frequency import Bands
from fr_keras.methods import WholeSteps

NOISE = (-0.375, -0.125, 0.125, 0.375)


def probability(q, decay):
    """P(q) = F(q + 1/2) - F(q - 1/2), with the Laplace distribution of scale 1 / (2 decay)."""

    def below(x):
        return np.where(
            x < 0, np.exp(2 * decay * np.minimum(x, 0)) / 2, 1 - np.exp(-2 * decay * np.abs(x)) / 2
        )

    q = np.abs(q)
    return below(0.5 - q) - below(-0.5 - q)


def likeliest(whole) -> float:
    """The decay of the most likely distribution, by trying many; half a 0 and half a 1 belong to
    every group."""
    tried = np.exp(np.linspace(math.log(1e-3), math.log(20), 20001))
    with np.errstate(divide="ignore"):  # what a narrow distribution has no number for
        log = sum(np.log(probability(q, tried)) * np.sum(whole == q) for q in np.unique(whole))
    log = log + (np.log(probability(0, tried)) + np.log(probability(1, tried))) / 2
    return tried[np.argmax(log)]


def groups_of(values: np.ndarray):
    """The numbers of columns, and of bands: each a list of places."""
    if values.ndim == 2:
        return [np.ravel_multi_index((range(len(values)), c), values.shape) for c in range(3)]
    return np.array_split(np.arange(len(values)), len(values) // 64)


def alike_of(values: np.ndarray):
    if values.ndim == 2:
        return Columns()
    return Bands(len(values), ops.convert_to_tensor(len(values), "int64"))


def brute_bits(values: np.ndarray, log2_step: float, noise=(0.0,), rounded=True, decays=None):
    parts = values.astype(np.float64).ravel() / 2**log2_step
    whole, total = np.rint(parts), 0.0
    for number, places in enumerate(groups_of(values)):
        decay = likeliest(whole[places]) if decays is None else decays[number]
        of_group = whole[places] if rounded else parts[places]
        for u in noise:
            total -= np.log2(probability(of_group + u, decay)).sum() / len(noise)
    return total


def state(log2_step=0.0, price=1.0):
    return {"log2_step": ops.convert_to_tensor(log2_step), "price": ops.convert_to_tensor(price)}


def laplace(*shape, scale=1.5, seed=0, dtype="float32"):
    return np.random.default_rng(seed).laplace(0, scale, shape).astype(dtype)


@pytest.mark.parametrize("scale", [0.1, 1.5, 40])
@pytest.mark.parametrize("shape", [(40, 3), (128,)])
def test_the_bits_are_those_of_the_likeliest_distribution(shape, scale):
    values = laplace(*shape, scale=scale)
    got = float(WholeSteps().bits(ops.array(values), alike_of(values), state()))
    assert got == pytest.approx(brute_bits(values, 0.0), rel=2e-4, abs=0.02)
    got = float(WholeSteps().penalty(ops.array(values), alike_of(values), state(price=0.5)))
    assert got == pytest.approx(brute_bits(values, 0.0, NOISE, rounded=False) / 2, rel=2e-4)


@pytest.mark.parametrize("scale", [0.3, 1.0, 8.0])
def test_many_numbers_take_their_entropy(scale):
    q = np.arange(-400, 401)
    p = probability(q, 0.5 / scale)
    entropy = -np.sum(p[p > 0] * np.log2(p[p > 0]))
    values = laplace(5000, 3, scale=scale)
    bits = float(WholeSteps().bits(ops.array(values), Columns(), state())) / values.size
    assert bits == pytest.approx(entropy, rel=0.04)


@pytest.mark.parametrize("scale", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("size", [600, 4000])
def test_an_archive_takes_about_as_many_bytes(size, scale):
    """Within 15 %, in space and in the DCT domain, also where the sizes fall along the zigzag."""
    whole = WholeSteps()
    values = laplace(size, scale=scale, seed=1)
    falling = values * 4 * np.exp(-3 * np.arange(size) / size).astype("float32")
    for numbers in (values, falling):
        estimate = float(whole.bits(ops.array(numbers), alike_of(numbers), state())) / 8
        written = _series.write([fr_archive.quantize(numbers, 0)], _series.interleaved)
        assert estimate == pytest.approx(len(written), rel=0.15)
    in_space = values.reshape(-1, 20)
    estimate = float(whole.bits(ops.array(in_space), Columns(), state())) / 8
    kernel = fr_archive.Kernel(fr_archive.quantize(values, 0).values, 0, 20)
    assert estimate == pytest.approx(len(_kernels.write([kernel])), rel=0.15)


@pytest.mark.parametrize("shape", [(40, 3), (128,)])
def test_the_gradients_of_the_penalty(shape):
    """By finite differences of the reference, whose distributions stay as they are."""
    values = laplace(*shape, dtype="float64")
    alike = alike_of(values)

    def penalty(kernel, log2_step):
        return WholeSteps().penalty(kernel, alike, {"log2_step": log2_step, "price": 1.0})

    step = np.float64(-1.0)  # of the archive's scale
    _, (by_kernel, by_step) = gradients(penalty, values, step)
    whole = np.rint(values.ravel() * 2)
    decays = [likeliest(whole[places]) for places in groups_of(values)]
    of = {"noise": NOISE, "rounded": False, "decays": decays}
    tiny = 1e-5
    slope = brute_bits(values, -1 + tiny, **of) - brute_bits(values, -1 - tiny, **of)
    assert float(by_step) == pytest.approx(slope / (2 * tiny), rel=2e-3)
    for place in range(0, values.size, 17):
        change = np.zeros(values.size)
        change[place] = tiny
        change = change.reshape(shape)
        slope = brute_bits(values + change, -1, **of) - brute_bits(values - change, -1, **of)
        got = by_kernel.ravel()[place]
        assert got == pytest.approx(slope / (2 * tiny), rel=2e-3, abs=1e-4)
    assert np.abs(by_kernel).max() > 0.5  # an all-zero gradient would not do


def test_the_numbers_are_those_of_an_archive():
    values = laplace(300)
    for log2_step in (-3.03, -0.4, 1.9):
        number = round(8 * log2_step)
        held = fr_archive.quantize(values, number).reals()
        got = ops.convert_to_numpy(WholeSteps()(ops.array(values), state(log2_step), True))
        np.testing.assert_array_equal(got, held)


def test_the_gradients_of_the_rounding():
    values = laplace(40, dtype="float64")
    along = np.random.default_rng(3).normal(size=40)

    def rounded(kernel, log2_step):
        return WholeSteps()(kernel, {"log2_step": log2_step}, True)

    _, (by_kernel, by_step) = gradients(rounded, values, np.float64(-1.0), upstream=along)
    np.testing.assert_allclose(by_kernel, along, rtol=1e-6)
    rest = np.rint(values * 2) - values * 2
    assert float(by_step) == pytest.approx(np.sum(along * rest) * 0.5 * math.log(2), rel=1e-4)


def test_one_number_stays_however_coarse_the_step():
    values = np.array([0.02, -0.5, 0.3], "float32")

    def rounded(log2_step):
        return WholeSteps()(ops.array(values), {"log2_step": log2_step}, False)

    got, (by_step,) = gradients(rounded, np.float32(30.0))
    assert np.count_nonzero(got) == 1
    assert got[1] < 0
    assert by_step == 0
    # And zeros are zeros.
    assert not ops.any(WholeSteps()(ops.zeros((4,)), state(0.0), False))


def test_cut_coefficients_cost_nothing():
    values = np.concatenate([laplace(100), 50 * laplace(100)])
    kept = Bands(200, ops.convert_to_tensor(100, "int64"))
    short = Bands(100, ops.convert_to_tensor(100, "int64"))
    alone = float(WholeSteps().bits(ops.array(values[:100]), short, state()))
    assert float(WholeSteps().bits(ops.array(values), kept, state())) == pytest.approx(
        alone, rel=0.05
    )


def test_the_first_step_and_a_wrong_one():
    first = WholeSteps(step=0.5).first(np.array([3, -4], "float32"))
    assert 2 ** first["log2_step"] == pytest.approx(0.5 * math.sqrt(12.5))
    assert first["price"] == 0
    assert np.isfinite(WholeSteps().first(np.zeros(3, "float32"))["log2_step"])
    for step in (0, 2, True, "1"):
        with pytest.raises(ValueError, match=r"`step` must be a number from 0.001 to 1"):
            WholeSteps(step)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(WholeSteps(0.5))
    )
    assert again == WholeSteps(0.5)
