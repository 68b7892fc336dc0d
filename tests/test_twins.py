"""Twins and their plain layers: exact weights, regularizers, and classes from outside."""

import keras
import numpy as np
import pytest
from layer_cases import CASES
from networks import bfloat16, relative_difference

from fr_keras import bake, layers, register_twin, regularize, spectral, summary
from fr_keras.layers import refusal

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def model_of(case, **kwargs):
    return case.model(case.layer(name="layer", **kwargs))


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@each_case
@pytest.mark.parametrize(
    "policy", [pytest.param("mixed_bfloat16", marks=bfloat16), "mixed_float16"]
)
def test_what_is_baked_under_mixed_precision_is_exact(case, policy):
    model = model_of(case, dtype=policy)
    layer = model.get_layer("layer")
    baked = bake(model).get_layer("layer")
    kernels = [weight for weight in baked.weights if "bias" not in weight.name]
    for part, kernel in zip(layer.parts(), kernels, strict=True):
        assert kernel.dtype == "float32"
        exact = as_numpy(spectral.idct_nd(part.kept_coefficients()))
        assert np.abs(exact.reshape(kernel.shape) - as_numpy(kernel)).max() < 1e-6


@bfloat16
@each_case
def test_a_twin_of_a_model_in_mixed_precision_and_back_has_its_weights(case):
    plain = bake(model_of(case, dtype="mixed_bfloat16"))
    again = bake(regularize(plain))
    for before, after in zip(plain.get_weights(), again.get_weights(), strict=True):
        assert np.abs(before - after).max() < 1e-6


def regularized(case, value):
    names = [name for name in case.layer().get_config() if name.endswith("_regularizer")]
    names = [name for name in names if "bias" not in name and "activity" not in name]
    return dict.fromkeys(names, value)


@each_case
def test_l1l2_without_l1_is_l2(case):
    """Old .h5 files store L2 so."""
    losses = []
    for l2 in (keras.regularizers.L1L2(l1=0.0, l2=0.1), keras.regularizers.L2(0.1)):
        layer = case.built(**regularized(case, l2))
        for part in layer.parts():
            part.set_coefficients(np.ones(part.coefficients.shape))
        losses.append(float(keras.ops.convert_to_numpy(sum(layer.losses))))
        again = type(layer).from_config(layer.get_config())
        assert refusal(again) is None
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] > 0


@each_case
@pytest.mark.parametrize(
    "value",
    [
        keras.regularizers.L1L2(l1=1e-9, l2=0.1),
        keras.regularizers.OrthogonalRegularizer(0.1),
        keras.regularizers.L1(0.1),
    ],
)
def test_other_penalties_are_refused(case, value):
    for name, regularizer in regularized(case, value).items():
        with pytest.raises(ValueError, match=f"`{name}` must be None or keras.regularizers.L2"):
            case.layer(**{name: regularizer})


@each_case
def test_a_bias_may_have_any_penalty(case):
    if "bias_regularizer" in case.layer().get_config():
        case.built(bias_regularizer=keras.regularizers.L1L2(0.1, 0.1))


@keras.saving.register_keras_serializable(package="tests")
class Doubled(keras.layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


@keras.saving.register_keras_serializable(package="tests")
class FRDoubled(layers.FrequencyKernel, Doubled):
    pass


@keras.saving.register_keras_serializable(package="tests")
class MyDense(keras.layers.Dense):
    pass


@keras.saving.register_keras_serializable(package="tests")
class FRMyDense(layers.FRDense, MyDense):
    pass


def with_own_layers():
    stack = [keras.Input((4, 4, 3)), keras.layers.Flatten(), MyDense(40, name="mine")]
    return keras.Sequential([*stack, Doubled(5, name="doubled"), keras.layers.Dense(3)])


def test_a_twin_from_outside_trains_and_is_baked(tmp_path):
    model, x = with_own_layers(), np.random.default_rng(0).normal(size=(8, 4, 4, 3))
    assert [type(one).__name__ for one in regularize(model).layers[1:]] == [
        "MyDense",  # a subclass is a layer of its own
        "Doubled",
        "FRDense",
    ]
    register_twin(Doubled, FRDoubled)
    register_twin(MyDense, FRMyDense)
    register_twin(MyDense, FRMyDense)  # twice is once
    twin = regularize(model)
    assert twin.get_layer("mine").coefficients.shape == (4, 4, 3, 40)
    expected = model(x)
    assert relative_difference(expected, twin(x)) < 1e-5
    assert [row.converted for row in summary(twin).rows] == [True, True, True]
    assert summary(model).total("kernel_weights") == summary(twin).total("kernel_weights")
    for layer in (twin.get_layer("mine"), twin.get_layer("doubled")):
        layer.truncate(10)
    twin.compile("sgd", "mse")
    twin.fit(x, np.zeros((8, 3)), verbose=0)
    twin.save(tmp_path / "twin.keras")
    twin = keras.models.load_model(tmp_path / "twin.keras")
    expected = twin(x)
    for form, kind in (("dense", MyDense), ("factored", keras.Sequential)):
        baked = bake(twin, form)
        assert type(baked.get_layer("doubled")) is Doubled
        assert type(baked.get_layer("mine")) is kind
        assert relative_difference(expected, baked(x)) < 1e-4


def test_what_no_twin_can_be_is_refused():
    register_twin(Doubled, FRDoubled)

    class FROther(layers.FrequencyKernel, Doubled):
        pass

    class Doubled2(keras.layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    class FRDoubled2(layers.FRDense, Doubled2):
        pass

    for plain, twin, match in (
        ("Dense", FROther, "`plain` must be a class of plain Keras layers"),
        (keras.Model(*[keras.Input((2,))] * 2), FROther, "`plain` must be a class"),
        (FRMyDense, FROther, "`plain` must be a class of plain Keras layers"),
        (MyDense, keras.layers.Dense, "`twin` must be a class .*FrequencyTwin"),
        (MyDense, layers.FrequencyKernel, "`twin` must be a class of Keras layers"),
        (MyDense, FRMyDense(3), "`twin` must be a class"),
        (Doubled, FROther, "`plain` must have only one twin, and Doubled already has FRDoubled"),
        (keras.layers.Dense, FROther, "Dense already has FRDense"),
        (
            Doubled2,
            FRDoubled2,
            "Doubled2 does not compute the same as Dense, whose chains FRDoubled2",
        ),
        (MyDense, FRDoubled, "`twin` must be the twin of only one layer, and FRDoubled already is"),
    ):
        with pytest.raises(ValueError, match=match):
            register_twin(plain, twin)


def test_a_twin_that_is_not_registered_is_named():
    model = keras.Sequential([keras.Input((8,)), FRMyDense(4)])
    with pytest.raises(ValueError, match=r"register_twin\(PlainLayer, FRMyDense\)"):
        bake(model)


def test_a_loaded_layer_has_the_boundary_of_what_it_keeps(tmp_path):
    model = regularize(keras.Sequential([keras.Input((8,)), keras.layers.Dense(40)]))
    layer = model.layers[0]
    layer.truncate(10)
    boundary = layer.truncation["boundary"]
    layer.limit(3)  # as a callback does while it trains, or another version's keys
    model.save(tmp_path / "model.keras")
    assert layer.truncation["boundary"] < boundary
    again = keras.models.load_model(tmp_path / "model.keras").layers[0]
    assert again.truncation == {**layer.truncation, "boundary": boundary}


@keras.saving.register_keras_serializable(package="tests")
class NotCalled(keras.initializers.Initializer):
    """An initializer whose values only the plain model needs."""

    calls = 0

    def __call__(self, shape, dtype=None):
        NotCalled.calls += 1
        return keras.random.normal(shape, dtype=dtype, seed=NotCalled.calls)

    def get_config(self):
        return {}


@pytest.mark.parametrize("start", [None, 20])
def test_regularize_makes_no_random_kernels_first(start):
    model = keras.Sequential([keras.Input((6, 6, 3))])
    model.add(keras.layers.Conv2D(4, 3, kernel_initializer=NotCalled(), dtype="mixed_float16"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(5, kernel_initializer=NotCalled()))
    before = NotCalled.calls
    twin = regularize(model, start=start)
    assert NotCalled.calls == before
    for plain, layer in zip(model.layers, twin.layers, strict=True):
        if layer.weights:
            other = type(layer).from_config(layer.get_config())
            other.build(layer.input.shape)
            other.load_plain(plain)
            other.truncate(layer.kept)
            assert np.array_equal(as_numpy(other.coefficients), as_numpy(layer.coefficients))
            assert layer.beginning is None  # it would keep the plain model in memory


class LoadsItself(layers.FRDense):
    """A twin that takes over a kernel in its own way."""

    def load_plain(self, plain):
        super().load_plain(plain)
        self.set_kernel(2 * as_numpy(plain.kernel))


def test_a_twin_with_a_way_of_its_own_to_load_keeps_it(monkeypatch):
    monkeypatch.setitem(layers.TWINS, keras.layers.Dense, LoadsItself)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    twin = regularize(model).layers[0]
    assert np.allclose(as_numpy(twin.kernel), 2 * as_numpy(model.layers[0].kernel), atol=1e-6)
