"""`tucker` and `tucker_ranks`: budgets, EVBMF, and what is refused or said."""

import json

import keras
import networks
import numpy as np
import pytest
from keras import layers

from fr_keras import summary
from fr_keras.methods import _tucker, tucker, tucker_ranks
from fr_keras.methods._layer_ranks import found_layers
from fr_keras.methods._outputs import statistics
from fr_keras.methods._rank_lines import equal_losses
from fr_keras.methods._rows import batches

Conv2D = layers.Conv2D


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network that no test changes."""
    return networks.small_convnet()


@pytest.mark.parametrize("share", [0.1, 0.35, 0.9])
def test_a_budget_is_kept_and_used_up(share, model):
    total = summary(model).total("kernel_weights")
    for budget in (np.float32(share), np.int64(share * total)):
        table = tucker_ranks(model, budget)
        kept = sum(one.chain_weights for one in table.values())
        assert kept <= (share + 1e-6) * total
        assert kept == summary(tucker(model, budget)).total("kernel_weights")
        assert sum(one.weights for one in table.values()) == total
    if share > 0.1:
        assert kept > 0.7 * share * total
    more = tucker_ranks(model, min(1.0, 1.3 * share))
    assert all(more[name].chain_weights >= one.chain_weights for name, one in table.items())


def test_with_data_a_budget_goes_where_outputs_vary():
    model = networks.live(networks.small_convnet(), networks.images())
    total = summary(model).total("kernel_weights")
    table = tucker_ranks(model, 0.4, networks.images())
    assert sum(one.chain_weights for one in table.values()) <= 0.4 * total
    assert summary(tucker(model, 0.4, networks.images())).total("kernel_weights") <= 0.4 * total
    # Channels that are always zero get no rank: behind the ReLU, one of eight stays.
    model.get_layer("bn").gamma.assign([1, *[0] * 7])
    model.get_layer("bn").beta.assign([0, *[-1] * 7])
    model.get_layer("depthwise").bias.assign([0] * 8)
    model.get_layer("depthwise").kernel.assign(np.ones((3, 3, 8, 1)))
    assert tucker_ranks(model, 0.4, sharing="equal")["down"].ranks[0] > 1
    x = networks.images()
    assert tucker_ranks(model, 0.4, x, "equal")["down"].ranks[0] == 1
    json.dumps([one.ranks for one in table.values()])  # plain numbers


def test_groups_of_unlike_inputs_share_the_rank_that_the_larger_one_needs():
    inputs = keras.Input((6, 6, 24))
    model = keras.Model(inputs, Conv2D(24, (2, 1), groups=2, name="conv")(inputs))
    x = networks.images(8, (6, 6, 24))
    x[..., :12] = x[..., :1]  # all channels of the first group are one
    found, _ = found_layers(model)

    def ranks() -> tuple[int, int]:
        """Those that lose a fiftieth of the variance."""
        seen = statistics(model, found, list(batches(model, x)))
        return equal_losses(found, seen)(round(250 * np.log10(50)))["conv"]

    assert min(ranks()) > 8
    x[..., 12:] = x[..., 12:13]
    assert ranks() == (1, 2)  # one channel, at two positions of the kernel
    assert np.isfinite(tucker(model, 0.2, x)(x)).all()


def test_the_whole_budget_leaves_the_model_whole(model):
    x = networks.images()
    np.testing.assert_array_equal(tucker(model, 1.0)(x), model(x))


def test_evbmf_finds_the_ranks_of_a_noisy_network():
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((6, 6, 24)), Conv2D(32, 3, groups=1, name="conv"), layers.Flatten(),
         layers.Dense(64, name="fc"), layers.Dense(3, name="few")]
    )  # fmt: skip
    low = rng.normal(size=(24, 3)) @ rng.normal(size=(3, 3, 3, 4)) @ rng.normal(size=(4, 32))
    model.get_layer("conv").kernel.assign(low + 0.05 * rng.normal(size=low.shape))
    with pytest.warns(UserWarning, match=r"finds nothing but noise in the kernels of \['fc'\]"):
        table = tucker_ranks(model)
    assert table["conv"].ranks == (3, 4)
    assert table["fc"].ranks[1] == 1
    assert table["conv"].reason is None
    assert table["conv"].chain_weights == 24 * 3 + 9 * 3 * 4 + 4 * 32
    assert "no fewer kernel weights" in table["few"].reason
    table = tucker_ranks(networks.small_convnet(), 0.5)
    assert "a layer of type DepthwiseConv2D has no chain" in table["depthwise"].reason


WRONG = {
    "zero": ({"conv": 0}, r"`ranks\['conv'\]` must be a pair of whole numbers from \(1, 1\) to"),
    "above": ({"logits": 6}, r"`ranks\['logits'\]` must be one .* 1 to 5, because .* Received: 6"),
    "above the axis": ({"down": (9, 2)}, r"to \(8, 6\), the channels .* Received: \(9, 2\)"),
    "one axis": ({"down": (2,)}, r"a pair of whole numbers .* Received: \(2,\)"),
    "a share": ({"down": 0.5}, r"a pair of whole numbers .* Received: 0.5"),
    "a truth": ({"down": True}, r"a pair of whole numbers .* Received: True"),
    "not there": ({"nothing": 2}, r"must name layers .*\['conv', .* Received: \['nothing'\]"),
    "no chain": ({"depthwise": 2}, r"must name layers .* Received: \['depthwise'\]"),
    "nobody": ({}, "Received: an empty dict"),
    "a word": ("vbmf", "`ranks` must be 'evbmf', a number from 1 in the unit of"),
    "nothing": (0, "`ranks` must be 'evbmf', a number from 1 in the unit of"),
    "true": (True, "`ranks` must be 'evbmf', a number from 1 in the unit of"),
    "twice": (1.5, "`ranks` must be 'evbmf', a number from 1 in the unit of"),
    "little": (0.001, r"`ranks` must be from \d+ kernel weights, .* Received: 0.001"),
    "much": (10**9, r"to the [\d,]+ of the model"),
}


@pytest.mark.parametrize("name", WRONG)
def test_ranks_that_cannot_be_are_refused(name, model):
    ranks, message = WRONG[name]
    for data in (None, networks.images(1)):
        with pytest.raises(ValueError, match=message):
            tucker_ranks(model, ranks, data)


def test_the_least_budget_that_is_named_can_be_met(model):
    with pytest.raises(ValueError, match="`ranks` must be from") as refused:
        tucker(model, 2)
    least = int(str(refused.value).split("from ")[1].split(" ")[0].replace(",", ""))
    assert summary(tucker(model, least)).total("kernel_weights") == least


def test_models_without_a_layer_for_it_are_refused():
    conv = lambda **more: keras.Sequential([keras.Input((6, 6, 8)), Conv2D(8, 3, **more)])  # noqa: E731
    with pytest.raises(ValueError, match="constraint on its kernel"):
        tucker(conv(kernel_constraint="non_neg"))
    with pytest.raises(ValueError, match="Received: no layer with a kernel"):
        tucker(keras.Sequential([keras.Input((6,)), layers.ReLU()]))
    batched = layers.EinsumDense("abc,bcd->abd", (5, 6))
    with pytest.raises(ValueError, match="is not one matrix product"):
        tucker(keras.Sequential([keras.Input((5, 4)), batched]))
    adapted = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="fc")])
    adapted.layers[0].enable_lora(2)
    with pytest.raises(ValueError, match="LoRA adapts its kernel"):
        tucker(adapted)
    broken = conv()
    broken.layers[0].kernel.assign(np.full((3, 3, 8, 8), np.nan))
    with pytest.raises(ValueError, match="`model` must have finite weights"):
        tucker(broken, 0.5)


def test_what_stays_whole_and_what_has_no_rank_is_said(monkeypatch):
    model = networks.small_convnet()
    with pytest.warns(UserWarning, match=r"these layers stay whole: 'conv' because its chain of "):
        tucker(model, {"conv": 7, "hidden": 2})
    for value in (0.0, 0.2):
        kernel = model.get_layer("hidden").kernel
        kernel.assign(np.full(kernel.shape, value))
        with pytest.warns(UserWarning, match=r"have one value only, .* 1: \['hidden'\]"):
            table = tucker_ranks(model, 0.5)
        assert table["hidden"].ranks == (1, 1)
    monkeypatch.setattr(_tucker, "is_randomized", lambda shape: shape == (9, 3, 8))
    with pytest.warns(UserWarning, match=r"kernels of \['conv'\] have two sides longer than 4096"):
        tucker(networks.small_convnet(), {"conv": 3})
