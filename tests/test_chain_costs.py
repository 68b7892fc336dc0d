"""`tucker` with a budget of multiply-adds."""

import keras
import networks
import numpy as np
import pytest
import test_tucker
from keras import layers

from fr_keras import summary
from fr_keras.methods import tucker, tucker_ranks
from fr_keras.methods._chain_costs import Costs
from fr_keras.methods._layer_ranks import found_layers

Conv2D = layers.Conv2D
COUNTED = {"weights": "kernel_weights", "multiply_adds": "multiply_adds"}

LAYERS = ("strides", "groups", "1x1")
#: By name: a layer, the shape of a row, and ranks that leave no stage out.
CASES = {
    **{name: (*test_tucker.CASES[name][:2], test_tucker.CASES[name][3]) for name in LAYERS},
    "valid": (Conv2D(30, 3, 2), (8, 8, 30), (3, 4)),
    "transposed valid": (layers.Conv2DTranspose(30, 3, 2), (4, 5, 30), (3, 4)),
    "steps": (layers.TimeDistributed(Conv2D(30, 3, 2, name="one")), (5, 7, 8, 30), (3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cost_of_a_chain_is_that_of_the_model_with_it(name):
    layer, shape, ranks = CASES[name]
    inputs = keras.Input(shape)
    layer = type(layer).from_config({**layer.get_config(), "name": "one"})
    model = keras.Model(inputs, layer(inputs))
    small = tucker(model, {"one": ranks})
    table = tucker_ranks(model, {"one": ranks})
    found, _ = found_layers(model)
    for measure, total in COUNTED.items():
        costs = Costs.counted(model, found, measure, {})
        assert costs.fixed == 0
        assert costs.of["one"].whole == summary(model).total(total)
        assert costs.of["one"](table["one"].ranks) == summary(small).total(total)


def layered() -> keras.Model:
    """Shared layers, nested models, and a Dense behind a Flatten."""
    inputs = keras.Input((9, 9, 3))
    x = Conv2D(16, 3, name="first")(inputs)
    shared = Conv2D(16, 3, padding="same", name="shared")
    x = layers.AveragePooling2D(2)(shared(shared(x)))
    nested = keras.Input((3, 3, 16))
    block = keras.Model(nested, Conv2D(16, 2, padding="same", name="conv")(nested), name="block")
    x = layers.Flatten()(block(block(x)))
    return keras.Model(inputs, layers.Dense(40, name="fc")(x))


@pytest.mark.parametrize("sharing", ["equal", "error"])
def test_a_budget_of_multiply_adds_is_kept(sharing):
    model = layered()
    total = summary(model).total("multiply_adds")
    for budget in (0.4, int(0.6 * total)):
        small = tucker(model, budget, sharing=sharing, measure="multiply_adds")
        most = budget * total if isinstance(budget, float) else budget
        assert 0.8 * most < summary(small).total("multiply_adds") <= most


def test_a_layer_that_is_called_on_two_sizes_costs_what_both_calls_do():
    inputs, shared = keras.Input((8, 8, 16)), Conv2D(16, 3, padding="same", name="shared")
    model = keras.Model(inputs, shared(layers.AveragePooling2D(2)(shared(inputs))))
    costs = Costs.counted(model, found_layers(model)[0], "multiply_adds", {})
    assert costs.of["shared"].positions == (64 + 16,) * 3
    assert costs.of["shared"].whole == summary(model).total("multiply_adds")


def test_what_is_counted_says_where_a_chain_pays():
    # The stage before a core with strides runs at the larger resolution.
    inputs = keras.Input((12, 12, 24))
    model = keras.Model(inputs, Conv2D(24, 2, 2, name="conv")(inputs))
    by = {m: tucker_ranks(model, {"conv": (18, 24)}, measure=m)["conv"] for m in COUNTED}
    assert by["weights"].ranks == (18, 24)
    assert by["multiply_adds"].reason.endswith("(18, 24) would have no fewer multiply-adds")
    lower = tucker_ranks(model, {"conv": (18, 4)}, measure="multiply_adds")["conv"]
    assert lower.ranks == (24, 4)  # without the stage


def test_measures_that_are_not_known_are_refused():
    model = networks.small_convnet()
    with pytest.raises(ValueError, match=r"must be one of \['weights', 'multiply_adds'\]. .* 'ms'"):
        tucker(model, 0.5, measure="ms")
    with pytest.raises(ValueError, match=r"`ranks` must be from [\d,]+ multiply-adds, which are"):
        tucker(model, 10, measure="multiply_adds")
    inputs = keras.Input((None, None, 8))
    model = keras.Model(inputs, Conv2D(16, 3, name="conv")(inputs))
    with pytest.raises(ValueError, match=r'"multiply_adds" must be known .* \'conv\' \(Conv2D\)'):
        tucker(model, 0.5, measure="multiply_adds")
    x = np.ones((2, 5, 5, 8), np.float32)
    assert np.isfinite(tucker(model, 0.5, measure="weights")(x)).all()
    inputs = keras.Input((6, 8))
    model = keras.Model(inputs, layers.EinsumDense("abc,cd->abd", (6, 9), name="product")(inputs))
    with pytest.raises(ValueError, match=r"must be known .* 'product' \(EinsumDense\)"):
        tucker(model, 0.5, measure="multiply_adds")
