"""`tucker` of models that have FR layers among plain ones."""

import keras
import networks
import numpy as np
import pytest
import test_tucker
from backends import tensorflow_alone
from keras import layers

from fr_keras import bake, regularize, summary, tflite
from fr_keras.methods import tucker, tucker_ranks
from fr_keras.methods._chain_costs import Costs
from fr_keras.methods._cosines import without_twins
from fr_keras.methods._fitting import factored, whole_kernel
from fr_keras.methods._layer_ranks import found_layers
from fr_keras.models.walk import all_layers, named_layers
from fr_keras.tflite.converter import raw
from fr_keras.tflite.int8.ranges import calibrated
from fr_keras.tflite.int8.segments import reaches, segmented
from fr_keras.tflite.modes import INT8
from fr_keras.tflite.scopes import Scopes

Conv2D = layers.Conv2D

#: By name: a layer, the shape of a row, and how many coefficients it keeps.
CASES = {
    "groups": (*test_tucker.CASES["groups"][:2], 40),
    "valid": (Conv2D(30, 3, 2, activation="relu"), (8, 8, 30), 60),
    "transposed": (layers.Conv2DTranspose(24, 3, 2), (4, 5, 20), 60),
    "causal": (layers.Conv1D(30, 3, padding="causal"), (9, 28), 30),
    "dense on steps": (layers.Dense(30, use_bias=False), (4, 22), 12),
    "einsum": (layers.EinsumDense("abc,cde->adbe", (4, 5, 6), bias_axes="de"), (5, 30), 12),
}


def twin_of(layer, shape, kept: int) -> tuple[keras.Model, np.ndarray]:
    inputs = keras.Input(shape)
    layer = type(layer).from_config({**layer.get_config(), "name": "one"})
    twin = regularize(keras.Model(inputs, layer(inputs)))
    twin.get_layer("one").truncate(kept)
    return twin, networks.images(4, shape)


def flattened(kept: int) -> tuple[keras.Model, np.ndarray]:
    inputs = keras.Input((4, 3, 12))
    model = keras.Model(inputs, layers.Dense(30, name="one")(layers.Flatten()(inputs)))
    twin = regularize(model)
    twin.get_layer("one").truncate(kept)
    return twin, networks.images(4, (4, 3, 12))


@pytest.mark.parametrize("name", [*CASES, "flattened"])
def test_an_fr_layer_is_exact_as_cosines_and_as_factors_of_its_limit(name):
    twin, x = flattened(200) if name == "flattened" else twin_of(*CASES[name])
    plain, twins = without_twins(twin)
    one, expected = found_layers(plain)[0]["one"], twin(x)
    measure = "weights" if name in ("einsum", "causal", "flattened") else "multiply_adds"
    cost = Costs.counted(plain, {"one": one}, measure, twins).of["one"]
    cosines, small = cost.cosines, tucker(twin, 1.0, measure=measure)
    assert networks.relative_difference(expected, small(x)) < 1e-5
    total = summary(small).total("kernel_weights" if measure == "weights" else measure)
    assert cost.least(one.shape[2:]) == total
    # A Dense of cosines reads all that was flattened, which has more weights than factors have.
    assert (cosines.cost == total) == (name != "flattened")
    # One rank less is too few, and as many are enough.
    kernel = one.kernel()
    error = np.square(kernel - whole_kernel(factored(one, cosines.limit))).sum()
    assert error < 1e-10 * np.square(kernel).sum()
    lower = cosines.limit[0], cosines.limit[1] - 1
    error = np.square(kernel - whole_kernel(factored(one, lower))).sum()
    assert error > 1e-5 * np.square(kernel).sum()


def test_cosines_are_the_chain_of_bake():
    twin, _ = twin_of(*CASES["valid"])
    small, baked = tucker(twin, 1.0), bake(twin, form="factored")
    assert tucker_ranks(twin, 1.0)["one"].ranks == twin.get_layer("one").corner[2:]
    for ours, its in zip(small.get_weights(), baked.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, its)


@pytest.fixture(scope="module")
def mixed() -> keras.Model:
    """FR layers and plain ones, with chains that meet at a concatenation; no test changes it."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 3))
    left = Conv2D(24, 3, padding="same", name="left")(inputs)
    left = layers.ReLU()(layers.BatchNormalization(name="bn")(left))
    low = layers.MaxPooling2D()(left)
    low = Conv2D(32, 3, padding="same", activation="relu", name="low")(low)
    up = layers.Conv2DTranspose(24, 2, strides=2, name="up")(low)
    both = layers.Concatenate(name="both")([left, up])
    right = Conv2D(24, 3, padding="same", activation="relu", name="right")(both)
    right = layers.DepthwiseConv2D(3, name="depthwise")(right)
    nested = keras.Input((24,))
    block = keras.Model(nested, layers.Dense(30, "relu", name="fc")(nested), name="block")
    x = block(layers.GlobalAveragePooling2D()(right))
    model = keras.Model(inputs, layers.Dense(20, name="fc")(x), name="mixed")
    networks.live(model, networks.images(8, (8, 8, 3)))
    twin = regularize(model, exclude=["left", "low", "fc"])
    for name, kept in {"up": 40, "right": 60, "depthwise": 50, "block/fc": 20}.items():
        named_layers(twin)[name].truncate(kept)
    return twin


X = networks.images(8, (8, 8, 3))


@tensorflow_alone("it converts")
def test_a_mixed_model_becomes_one_of_chains_that_are_joined_and_converted(mixed):
    before = [weight.numpy() for weight in mixed.weights]
    small = tucker(mixed, 0.3, sharing="equal")
    table = tucker_ranks(mixed, 0.3, sharing="equal")
    assert {name for name, one in table.items() if one.cosines} == {"up", "right", "block/fc"}
    assert {name for name, one in table.items() if one.ranks and not one.cosines} == {"low"}
    assert not any("fr_keras" in type(one).__module__ for one in all_layers(small))
    # The chains of cosines meet: nothing is concatenated.
    names = {one.name for one in all_layers(small)}
    assert {"right_in_0", "right_sum", "low_in", "low_out"} <= names
    assert not names & {"both", "right_in_1"}
    # All layers but the one of learnt factors compute what they did.
    assert networks.relative_difference(mixed(X), small(X)) > 1e-2
    parts = bake(mixed)
    one = found_layers(parts)[0]["low"]
    kernel = whole_kernel(factored(one, table["low"].ranks))
    named_layers(parts)["low"].kernel.assign(one.like(kernel).kernel)
    assert networks.relative_difference(parts(X), small(X)) < 1e-4
    content = tflite.convert(small).content
    assert networks.relative_difference(small(X), tflite.Runner(content).run(X)) < 1e-4
    for weight, value in zip(mixed.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_learnt_factors_and_cosines_meet(mixed):
    ranks = {"low": (4, 4), "up": (2, 2)}
    table = tucker_ranks(mixed, ranks)
    assert (table["up"].cosines, table["right"].cosines) == (False, True)
    names = {one.name for one in all_layers(tucker(mixed, ranks))}
    assert {"right_in_0", "right_sum", "up_in"} <= names
    assert "both" not in names


@tensorflow_alone("it converts")
@pytest.mark.slow
def test_bottlenecks_of_factors_and_of_cosines_can_have_segments(mixed):
    small = tucker(mixed, {"low": (4, 4), "up": (2, 2)}, X)
    content = calibrated(raw(Scopes(small), INT8), [X])
    reach = reaches(content, [X])
    split, count, _ = segmented(content, reach, 0)
    assert 4 < count <= len(reach)  # the parts of a sum are one
    for one in (content, split):
        assert networks.relative_difference(small(X), tflite.Runner(one).run(X)) < 1e-2


@pytest.mark.parametrize(
    ("sharing", "budget"),
    [
        ("equal", 0.5),
        ("error", 0.03),
        pytest.param("sensitivity", 0.03, marks=pytest.mark.slow),
    ],
)
def test_a_budget_says_which_fr_layers_stay_cosines(mixed, sharing, budget):
    table = tucker_ranks(mixed, budget, X, sharing)
    found = {name for name, one in table.items() if one.cosines}
    # None of their chains would save enough for a budget of a half.
    assert (found == {"up", "right", "block/fc"}) == (budget == 0.5)
    total = summary(bake(mixed)).total("kernel_weights")
    assert sum(one.chain_weights for one in table.values()) <= budget * total
    assert table["depthwise"].reason == "a layer of type DepthwiseConv2D has no chain"


def test_layers_that_are_not_named_and_evbmf_keep_cosines(mixed):
    table = tucker_ranks(mixed, {"low": 4, "right": 20})
    assert table["low"].ranks == (4, 4)
    # No rank above the corner.
    assert table["right"].cosines
    assert table["right"].ranks == named_layers(mixed)["right"].corner[2:]
    assert table["up"].cosines
    assert table["left"].reason == "`ranks` does not name it"
    with pytest.warns(UserWarning, match="finds nothing but noise"):
        table = tucker_ranks(mixed)
    assert {name for name, one in table.items() if one.cosines} == {"up", "right", "block/fc"}
    with pytest.raises(ValueError, match=r"must name layers .* Received: \['depthwise'\]"):
        tucker_ranks(mixed, {"depthwise": 2})


def test_ranks_of_cosines_can_be_given_back(mixed):
    # The corner of a Dense may be longer along its outputs: its first stage is then the narrow one.
    inputs = keras.Input((40,))
    wide = keras.Model(inputs, layers.Dense(40, name="fc")(inputs))
    wide = regularize(wide, axis_weights={"fc": (3.0, 1.0)})
    wide.get_layer("fc").truncate(100)
    for model in (mixed, wide):
        table = tucker_ranks(model, 0.7, sharing="error")
        given = {name: one.ranks for name, one in table.items() if one.ranks}
        again = tucker_ranks(model, given)
        assert {name: again[name] for name in given} == {name: table[name] for name in given}
    assert table["fc"].cosines
    chain = tucker(wide, given).get_layer("fc")
    assert [tuple(one.kernel.shape) for one in chain.layers] == [(40, 8), (8, 40)]


def test_the_last_coefficient_is_a_layer_of_one_value():
    twin, x = twin_of(*CASES["causal"][:2], 1)
    for ranks in ("evbmf", 0.5):
        assert tucker_ranks(twin, ranks)["one"].ranks == (1, 1)
    assert networks.relative_difference(twin(x), tucker(twin, 0.5)(x)) < 1e-5


def test_batch_normalizations_of_a_started_model_become_plain():
    model = networks.live(networks.small_convnet(), networks.images())
    twin, x = regularize(model, start=0.2), networks.images()
    small = tucker(twin, 1.0)
    assert not any("fr_keras" in type(one).__module__ for one in all_layers(small))
    assert networks.relative_difference(twin(x), small(x)) < 1e-4
