"""Squares of pictures and masks."""

import keras
import numpy as np
import pytest
from keras import layers
from solved_tasks import dataset

from fr_bench._crops import Crops, tiled
from fr_bench.data import Split
from fr_bench.recipes import Recipe
from fr_bench.train import train

RNG = np.random.default_rng(0)
# Each pixel tells its place, and its mask the same.
PLACES = np.arange(12 * 40 * 50).reshape(12, 40, 50)
SPLIT = Split(PLACES[..., None].astype("float32"), PLACES)


def test_tiles_are_the_pictures_cut():
    x = RNG.integers(0, 256, (8, 40, 50, 3)).astype("uint8")
    y = (x[..., 0] > 100).astype("uint8")
    found = tiled(dataset(x, y), 16).train
    assert len(found) == 4 * 2 * 3
    expected = [
        (slice(row, row + 16), slice(column, column + 16))
        for row in (0, 16)
        for column in (0, 16, 32)
    ]
    for number, picture in enumerate(x[:4]):
        for place, cut in enumerate(expected):
            np.testing.assert_array_equal(found.x[6 * number + place], picture[cut])
    np.testing.assert_array_equal(found.y, found.x[..., 0] > 100)


@pytest.mark.parametrize("turns", [False, True])
def test_masks_are_cut_as_their_pictures(turns):
    crops = Crops(SPLIT, 16, 8, None, 0, turns)
    assert len(crops) == 12 * 2 * 3 // 8
    seen = set()
    for x, y in (crops[number] for number in range(len(crops))):
        assert (x.shape, y.shape) == ((8, 16, 16, 1), (8, 16, 16))
        np.testing.assert_array_equal(x[..., 0], y)
        for mask in y:
            assert len(np.unique(mask)) == 256  # of one picture, no pixel twice
            seen.add(abs(mask[0, 1] - mask[0, 0]))
    assert seen == ({1, 50} if turns else {1})  # along a row, or a column


def test_each_epoch_has_its_own_squares_whichever_is_the_first():
    one, other = (Crops(SPLIT, 16, 4, 3, 7, True) for _ in range(2))
    assert len(one) == 3
    first = one[1][1]
    np.testing.assert_array_equal(other[1][1], first)
    one.on_epoch_end()
    other[0], other[2]  # what was asked for before does not matter
    other.on_epoch_end()
    assert not np.array_equal(one[1][1], first)
    np.testing.assert_array_equal(one[1][1], other[1][1])


def test_a_network_trains_on_squares_and_is_scored_on_tiles(tmp_path):
    x = RNG.integers(0, 256, (8, 40, 50, 1)).astype("uint8")
    data = dataset(x, 255 * (x[..., 0] > 100).astype("uint8"), ("0", "1"))
    stack = [keras.Input((16, 16, 1)), layers.Conv2D(8, 3, padding="same", activation="relu")]
    model = keras.Sequential([*stack, layers.Conv2D(2, 1, activation="softmax")])
    recipe = Recipe(epochs=1, keep=0.5, crop=16, turns=True, batch_size=4, steps=2)
    found = train(model, data, tmp_path / "m.keras", recipe)
    assert (found.test.n, found.to_dict()["metric"]) == (2 * 6, "dice")


@pytest.mark.parametrize(
    ("y", "side"), [(np.arange(8) % 4, 16), (np.zeros((8, 40, 50), int), 41), ((), 16)]
)
def test_what_cannot_be_cut_is_refused(y, side):
    x = np.zeros((8, 40, 50, 1), "uint8")
    y = (x, x) if isinstance(y, tuple) else y
    with pytest.raises(ValueError, match="`crop` must be at most the sides of pictures with masks"):
        tiled(dataset(x, y), side)
