"""`order_channels`: the same function, and more energy where FR keeps it."""

import itertools

import keras
import numpy as np
import pytest
from channel_graphs import Builder, difference, inputs_of, lively, outputs_of
from examples import telling
from keras import layers

from fr_keras import order_channels, regularize
from fr_keras.models._ordering import shortest_path
from fr_keras.models.walk import named_kernels


def length(distances, path) -> float:
    return sum(distances[a, b] for a, b in itertools.pairwise(path))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7])
def test_a_path_beside_the_best_one(n):
    for seed in range(5):
        points = np.random.default_rng(seed).normal(size=(n, 2)).astype("float32")
        distances = np.linalg.norm(points[:, None] - points, axis=-1)
        path = shortest_path(distances)
        assert sorted(path.tolist()) == list(range(n))
        best = min(length(distances, one) for one in itertools.permutations(range(n)))
        # 2-opt ends where no turn helps; on so few points it is near the best.
        assert length(distances, path) <= 1.3 * best


def test_points_on_a_line_come_in_their_order():
    places = np.random.default_rng(0).permutation(60).astype("float32")
    path = shortest_path(np.abs(places[:, None] - places))
    along = places[path]
    assert np.array_equal(along, np.sort(along)) or np.array_equal(along, np.sort(along)[::-1])


def test_no_turn_makes_the_path_shorter():
    points = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    path = shortest_path(distances).tolist()
    for i in range(40):
        for j in range(i + 2, 41):
            turned = path[:i] + path[i:j][::-1] + path[j:]
            assert length(distances, turned) > length(distances, path) - 1e-4


@pytest.mark.parametrize("seed", telling(range(100, 106), 101, 104))
def test_the_function_stays(seed):
    keras.utils.set_random_seed(seed)
    model = lively(Builder(seed).model())
    x = inputs_of(model)
    before = outputs_of(model, x)
    assert difference(before, outputs_of(order_channels(model), x)) < 1e-5
    assert difference(before, outputs_of(model, x)) == 0


def energy(model: keras.Model, name: str, share: float) -> float:
    layer = named_kernels(regularize(model))[name]
    whole = np.square(layer.kept_coefficients()).sum()
    layer.truncate(round(share * layer.kept))
    return np.square(layer.kept_coefficients()).sum() / whole


def smooth_but_shuffled() -> keras.Model:
    """Kernels that are smooth along their channels, but for the order of these."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(24, 3, use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(32, 3, name="second")(layers.ReLU()(x))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    model = keras.Model(inputs, layers.Dense(10, name="logits")(x))
    rng = np.random.default_rng(0)
    orders = {"first": rng.permutation(24), "second": rng.permutation(32)}

    def waves(shape, axis):
        place = np.linspace(0, 1, shape[axis]).reshape([-1 if i == axis else 1 for i in range(4)])
        rest = [1 if i == axis else n for i, n in enumerate(shape)]
        return sum(np.cos(np.pi * k * place) * rng.normal(size=rest) for k in (1, 2))

    first, second = model.get_layer("first"), model.get_layer("second")
    first.kernel.assign(waves((3, 3, 3, 24), 3)[..., orders["first"]])
    kernel = waves((3, 3, 24, 32), 2) + waves((3, 3, 24, 32), 3)
    second.kernel.assign(kernel[:, :, orders["first"]][..., orders["second"]])
    return lively(model)


def test_energy_goes_to_the_low_frequencies():
    model = smooth_but_shuffled()
    ordered = order_channels(model)
    for name in ("first", "second"):
        assert energy(ordered, name, 0.2) > 1.5 * energy(model, name, 0.2)
    x = inputs_of(model)
    assert difference(outputs_of(model, x), outputs_of(ordered, x)) < 1e-5


def test_zeros_and_small_groups_do_no_harm():
    inputs = keras.Input((4,))
    x = layers.Dense(1, name="one")(inputs)
    x = layers.Dense(2, name="two", kernel_initializer="zeros")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(5, kernel_initializer="zeros")(x)))
    x = inputs_of(model)
    assert np.array_equal(outputs_of(model, x), outputs_of(order_channels(model), x))


def test_a_compiled_model_comes_back_not_compiled():
    model = smooth_but_shuffled()
    model.compile("adam", "mse")
    assert not order_channels(model).compiled
    assert model.compiled


def test_nothing_to_order_is_refused():
    inputs = keras.Input((4,))
    x = layers.Lambda(lambda x: x)(layers.Dense(6, name="fc")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    with pytest.raises(ValueError, match=r"put in another order.*'fc': 'lambda.*'out': the model"):
        order_channels(model)
    with pytest.raises(ValueError, match="no layer that makes channels"):
        order_channels(keras.Model(inputs, layers.ReLU()(inputs)))
