"""`tucker` with a budget that is spent where it buys most."""

import itertools

import keras
import networks
import numpy as np
import pytest
from keras import layers

from fr_keras import summary
from fr_keras.methods import tucker, tucker_ranks
from fr_keras.methods._chain_costs import Cost
from fr_keras.methods._fitting import factored, whole_kernel
from fr_keras.methods._layer_ranks import found_layers
from fr_keras.methods._outputs import statistics
from fr_keras.methods._rank_sensitivity import sensitive
from fr_keras.methods._rank_shares import _grid, curve, spent
from fr_keras.methods._rows import batches


def tiny(groups: int = 1) -> keras.Model:
    """A network with so few ranks that all can be tried."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((4, 4, 4 * groups)), layers.Conv2D(6 * groups, 2, groups=groups, name="conv"),
         layers.GlobalAveragePooling2D(), layers.Dense(7, "relu", name="hidden"),
         layers.Dense(8, name="logits")]
    )  # fmt: skip


def curves_of(model: keras.Model, x: np.ndarray | None = None) -> dict:
    found, _ = found_layers(model)
    seen = {} if x is None else statistics(model, found, list(batches(model, x)))
    return {n: curve(one, seen.get(n), Cost(one.shape)) for n, one in found.items()}


def lost(one, pair: tuple[int, int]) -> float:
    """The share of a kernel that is lost, for two ranks the sum of what each of them loses."""
    kernel = one.kernel().astype(np.float64)
    whole = one.shape[2:]
    cuts = [(pair[0], whole[1]), (whole[0], pair[1])]
    errors = [kernel - whole_kernel(factored(one, cut)) for cut in cuts if cut != whole]
    return sum(np.square(error).sum() for error in errors) / np.square(kernel).sum()


def every_choice(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Costs and errors of all combinations of ranks."""
    costs, errors = [0], [0.0]
    for one in found_layers(model)[0].values():
        _, k, s, t = one.shape
        inner = [s] if k == 1 else range(1, s + 1)
        pairs = [*itertools.product(inner, range(1, t + 1)), (s, t)]
        price = [Cost(one.shape)(pair) for pair in pairs]
        error = [lost(one, pair) for pair in pairs]
        costs = np.add.outer(costs, price).ravel()
        errors = np.add.outer(errors, error).ravel()
    return costs, errors


def test_the_choice_is_as_near_to_the_best_one_as_is_promised():
    model = tiny()
    curves = curves_of(model)
    costs, errors = every_choice(model)
    changes = [
        (one.rate(*pair), one.costs[pair[1]] - one.costs[pair[0]])
        for one in curves.values()
        for pair in itertools.pairwise(one.corners())
    ]
    exact, paid = 0, sum(one.costs[0] for one in curves.values())
    on_the_hull = [paid := paid + price for _, price in sorted(changes, reverse=True)]
    budgets = np.linspace(on_the_hull[0] - 5, on_the_hull[-1], 40).astype(int)
    for budget in [*budgets, *on_the_hull]:
        at = spent(curves, budget)
        assert sum(curves[n].costs[number] for n, number in at.items()) <= budget
        found = sum(curves[n].errors[number] for n, number in at.items())
        best = errors[costs <= budget].min()
        left, most = budget - costs.min(), 0.0
        for rate, price in sorted(changes, reverse=True):
            if price > left:
                most = rate * price
                break
            left -= price
        assert best - 1e-9 <= found <= best + most + 1e-9
        exact += found <= best + 1e-9
        if budget in on_the_hull:
            assert found <= best + 1e-9
    assert exact > 20


def test_a_curve_has_the_errors_of_the_factors():
    for model in (tiny(), tiny(groups=2)):
        found, _ = found_layers(model)
        for name, one in curves_of(model).items():
            assert np.all(np.diff(one.costs) > 0)
            assert np.all(np.diff(one.errors) < 0)
            assert tuple(one.pairs[-1]) == found[name].shape[2:]
            for pair, error in zip(one.pairs, one.errors, strict=True):
                assert error == pytest.approx(lost(found[name], tuple(pair)), abs=1e-6)


def test_with_data_the_errors_of_a_curve_are_those_of_the_outputs():
    model, x = tiny(), networks.images(60, (4, 4, 4))
    kernel = model.get_layer("conv").kernel  # whose outputs vary along some directions more
    kernel.assign(kernel * [4.0, 3, 2, 1, 0.5, 0.1])
    one, expected = curves_of(model, x)["conv"], np.asarray(model.layers[0](x))
    variance = np.square(expected - expected.mean((0, 1, 2))).sum()
    pairs = [tuple(map(int, pair)) for pair in one.pairs]
    exact = [number for number, (r_in, r_out) in enumerate(pairs) if r_in == 4 and r_out < 6]
    assert len(exact) > 1
    for number in exact:
        small = tucker(model, {"conv": pairs[number]}, x).layers[0](x)
        share = np.square(small - expected).sum() / variance
        assert share == pytest.approx(one.errors[number], rel=1e-2)


@pytest.mark.parametrize("sharing", ["error", "sensitivity"])
def test_a_budget_is_kept_and_goes_to_the_layers_that_need_it(sharing):
    model, x = tiny(), networks.images(40, (4, 4, 4))
    rng = np.random.default_rng(0)
    kernel = model.get_layer("logits").kernel
    kernel.assign(rng.normal(size=(7, 1)) @ rng.normal(size=(1, 8)))
    data = x if sharing == "sensitivity" else None
    for budget in (0.6, 100) if data is None else (0.6,):
        table = tucker_ranks(model, budget, data, sharing)
        kept = summary(tucker(model, budget, data, sharing)).total("kernel_weights")
        assert kept == sum(one.chain_weights for one in table.values())
        assert kept <= (budget if isinstance(budget, int) else budget * 194)
        assert table["logits"].ranks == (7, 1)  # has no error
    table = tucker_ranks(model, 1.0, data, sharing)
    assert {n for n, one in table.items() if one.ranks is None} == {"conv", "hidden"}
    assert networks.relative_difference(model(x), tucker(model, 1.0, data, sharing)(x)) < 1e-5


def test_sensitivity_cuts_what_the_outputs_hardly_depend_on():
    inputs = keras.Input((12,))
    sides = [layers.Dense(12, name=name)(inputs) for name in ("left", "right")]
    outputs = layers.Dense(3, name="logits")(layers.Concatenate()(sides))
    model, x = keras.Model(inputs, outputs), networks.images(60, (12,))
    scales = np.repeat([[1.0], [1e-3]], 12, 0)
    model.get_layer("logits").kernel.assign(scales * np.random.default_rng(0).normal(size=(24, 3)))
    ranks = {
        sharing: {n: one.ranks for n, one in tucker_ranks(model, 0.6, x, sharing).items()}
        for sharing in ("error", "sensitivity")
    }
    assert ranks["sensitivity"]["right"] == (12, 1)
    assert ranks["error"]["right"][1] > 1


def test_the_change_of_the_outputs_is_that_of_the_chain():
    model, x = networks.live(networks.small_convnet(), networks.images()), networks.images(8)
    found, _ = found_layers(model)
    rows = list(batches(model, x))
    seen = statistics(model, found, rows)
    before = [weight.numpy() for weight in model.weights]
    curves = {n: curve(one, seen.get(n), Cost(one.shape)) for n, one in found.items()}
    expected = np.asarray(model(x), np.float64)
    measured = sensitive(model, found, curves, seen, rows)
    assert all(one.errors[-1] == 0 for one in measured.values())
    for name in ("down", "hidden"):
        one = measured[name]
        pair = tuple(map(int, one.pairs[0]))
        small = tucker(model, {name: pair[1] if found[name].shape[1] == 1 else pair}, x)(x)
        change = np.square(small - expected).sum() / np.square(expected).sum()
        assert one.errors[0] == pytest.approx(change, rel=1e-3)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("sharing", ["error", pytest.param("sensitivity", marks=pytest.mark.slow)])
def test_one_row_and_kernels_of_one_value_are_enough(sharing):
    model, x = tiny(), networks.images(1, (4, 4, 4))
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.zeros(kernel.shape))
    with pytest.warns(UserWarning, match=r"have one value only, .* 1: \['hidden'\]"):
        table = tucker_ranks(model, 0.8, x, sharing)
    assert table["hidden"].ranks == (6, 1)
    with pytest.warns(UserWarning, match="have one value only"):
        assert np.isfinite(tucker(model, 0.8, x, sharing)(networks.images(4, (4, 4, 4)))).all()


def test_ranks_can_be_given_back():
    model = tiny()
    table = tucker_ranks(model, 0.6, sharing="error")
    given = {name: one.ranks for name, one in table.items() if one.ranks}
    assert {name for name in given if len(model.get_layer(name).kernel.shape) == 2}
    again = tucker_ranks(model, given)
    assert {name: one.ranks for name, one in again.items() if one.ranks} == given
    for pair in ((6, 0), (5, 2), (6, 2, 1), (6, True)):
        with pytest.raises(ValueError, match="because its kernel is a matrix, or a pair of 6 and"):
            tucker_ranks(model, {"hidden": pair})


def test_long_axes_are_looked_at_in_steps():
    assert [*_grid(5)] == [1, 2, 3, 4, 5]
    found = _grid(50_000)
    assert (found[0], found[-1]) == (1, 50_000)
    assert len(found) <= 512
    assert np.max(found[1:] / found[:-1]) <= 2


WRONG = [
    (0.5, "scope", r"`sharing` must be one of \('equal', 'error', 'sensitivity'\)"),
    (0.5, "sensitivity", "`data` must be rows if `sharing` is 'sensitivity'"),
    (0.001, "error", r"`ranks` must be from \d+ kernel weights, .* Received: 0.001"),
    (10**9, "error", "`ranks` must be from .* to the 194 of the model"),
]


def test_budgets_that_cannot_be_shared_so_are_refused():
    model = tiny()
    for ranks, sharing, message in WRONG:
        with pytest.raises(ValueError, match=message):
            tucker_ranks(model, ranks, sharing=sharing)
