"""Weights that are known from a seed."""

import keras
import numpy as np
import pytest

from fr_keras.layers import SeededSigns

_WORD = (1 << 64) - 1


def philox(seed: int, blocks: int) -> list[int]:
    """The words of Philox4x64-10, written from the paper; its counters begin at 1, as numpy's."""
    words = []
    for block in range(1, blocks + 1):
        a, b, c, d = block, 0, 0, 0
        keys = [seed, 0]
        for _ in range(10):
            first, second = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
            a, b, c, d = (
                (second >> 64) ^ b ^ keys[0],
                second & _WORD,
                (first >> 64) ^ d ^ keys[1],
                first & _WORD,
            )
            keys = [
                (keys[0] + 0x9E3779B97F4A7C15) & _WORD,
                (keys[1] + 0xBB67AE8584CAA73B) & _WORD,
            ]
        words += [a, b, c, d]
    return words


@pytest.mark.parametrize("seed", [0, 1, 12345, _WORD])
def test_the_signs_are_the_bits_of_philox(seed):
    words = philox(seed, 2)
    expected = [0.25 if words[i // 64] >> (i % 64) & 1 else -0.25 for i in range(500)]
    found = keras.ops.convert_to_numpy(SeededSigns(seed, 0.25)((25, 20)))
    np.testing.assert_array_equal(found, np.float32(expected).reshape(25, 20))


def test_a_shape_may_be_empty_or_a_scalar():
    assert SeededSigns(3)((0, 4)).shape == (0, 4)
    assert abs(float(SeededSigns(3)(()))) == 1


def test_it_keeps_the_type_that_is_asked_for():
    made = SeededSigns(3)((2, 2), dtype="float16")
    assert keras.backend.standardize_dtype(made.dtype) == "float16"


def test_the_scale_is_one_that_float32_holds():
    assert SeededSigns(3, 0.1).get_config() == {"seed": 3, "scale": float(np.float32(0.1))}


def test_a_layer_makes_its_kernel_again_from_its_config():
    layer = keras.layers.Dense(7, kernel_initializer=SeededSigns(9, 0.5), trainable=False)
    again = keras.layers.Dense.from_config(keras.saving.serialize_keras_object(layer)["config"])
    layer.build((None, 5))
    again.build((None, 5))
    np.testing.assert_array_equal(again.kernel, layer.kernel)
    np.testing.assert_array_equal(layer.kernel, SeededSigns(9, 0.5).values((5, 7)))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1 << 64}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 1, "scale": 0}, "scale"),
        ({"seed": 1, "scale": 1e-60}, "scale"),
        ({"seed": 1, "scale": 1e60}, "scale"),
        ({"seed": 1, "scale": float("nan")}, "scale"),
        ({"seed": 1, "scale": "1"}, "scale"),
    ],
)
def test_bad_arguments_are_refused(arguments, named):
    with pytest.raises(ValueError, match=f"`{named}` must be .*Received"):
        SeededSigns(**arguments)
