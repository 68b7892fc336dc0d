"""`quantize_kernels`: ordinary Keras models whose layers compute with levels."""

import keras
import numpy as np
import pytest
from backends import float64
from examples import telling
from keras import layers as kl
from networks import images, live, relative_difference, small_convnet

from fr_keras import bake, methods, regularize, tflite
from fr_keras.layers import QUANTIZED, QuantizedKernel
from fr_keras.methods import (
    AdaptiveFloat,
    KBit,
    RisingTemperature,
    SoftLevels,
    Ternary,
    quantize_kernels,
)
from fr_keras.models.walk import named_layers

# Every kind of layer by name, with the shape of its input.
LAYERS = {
    "Dense": (lambda **o: kl.Dense(6, activation="tanh", **o), (8,)),
    "EinsumDense": (lambda **o: kl.EinsumDense("abc,cd->abd", (5, 6), bias_axes="d", **o), (5, 4)),
    "Conv1D": (lambda **o: kl.Conv1D(6, 3, padding="causal", **o), (9, 4)),
    "Conv2D": (lambda **o: kl.Conv2D(6, (3, 2), strides=2, groups=2, **o), (9, 9, 4)),
    "Conv3D": (lambda **o: kl.Conv3D(6, 2, use_bias=False, **o), (4, 4, 4, 3)),
    "Conv1DTranspose": (lambda **o: kl.Conv1DTranspose(6, 2, strides=2, **o), (5, 4)),
    "Conv2DTranspose": (lambda **o: kl.Conv2DTranspose(6, 3, padding="same", **o), (5, 5, 4)),
    "Conv3DTranspose": (lambda **o: kl.Conv3DTranspose(4, 2, **o), (3, 3, 3, 4)),
    "DepthwiseConv1D": (lambda **o: kl.DepthwiseConv1D(3, **o), (9, 4)),
    "DepthwiseConv2D": (lambda **o: kl.DepthwiseConv2D(3, depth_multiplier=2, **o), (9, 9, 4)),
    "SeparableConv1D": (lambda **o: kl.SeparableConv1D(6, 3, **o), (9, 4)),
    "SeparableConv2D": (lambda **o: kl.SeparableConv2D(6, 3, **o), (9, 9, 4)),
    "Embedding": (lambda **o: kl.Embedding(12, 6, **o), (5,)),
}
_QUICK = ("Dense", "Conv2DTranspose", "SeparableConv2D", "Embedding")


def one_layer(name: str, **options) -> keras.Model:
    make, shape = LAYERS[name]
    inputs = keras.Input(shape, dtype="int32" if name == "Embedding" else None)
    model = keras.Model(inputs, make(name="it", **options)(inputs))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.5, one.shape) for one in model.get_weights()])
    return model


def rows(model: keras.Model) -> np.ndarray:
    shape = (3, *model.input_shape[1:])
    if model.inputs[0].dtype == "int32":
        return np.arange(np.prod(shape)).reshape(shape) % 12
    return images(3, shape[1:]) - 0.5


def network() -> keras.Model:
    """A network with a nested model and a shared layer, under names that occur twice."""
    fc = kl.Dense(6, activation="tanh", name="fc")
    inner = keras.Sequential([keras.Input((6,)), fc], name="left")
    inputs = keras.Input((7, 6))
    x = kl.TimeDistributed(kl.Dense(6, name="step"), name="steps")(inputs)
    x = kl.Flatten(name="flat")(x)
    x = kl.Dense(6, name="fc")(x)
    shared = kl.Dense(6, activation="relu", name="shared")
    x = shared(inner(shared(x)))
    return keras.Model(inputs, kl.Dense(3, name="logits")(x), name="net")


def test_every_kind_of_layer_is_tried():
    assert {kind.__name__ for kind in QUANTIZED} == {*LAYERS}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_with_its_levels(name, tmp_path):
    """The oracle: the plain layer with the levels as its kernel."""
    model = one_layer(name)
    x, quantizer = rows(model), KBit(2)
    few = quantize_kernels(model, quantizer, exclude=[])
    it, plain = few.get_layer("it"), one_layer(name)
    for kernel in it.kernel_names:
        values = getattr(model.get_layer("it"), kernel).numpy()
        levels = keras.ops.convert_to_numpy(quantizer(keras.ops.array(values), {}, False))
        assert 1 < len(np.unique(levels)) <= 4
        np.testing.assert_array_equal(it.levels()[kernel], np.unique(levels))
        getattr(plain.get_layer("it"), kernel).assign(levels)
    np.testing.assert_array_equal(few(x), plain(x))
    assert relative_difference(model(x), few(x)) > 1e-2
    baked = bake(few)
    assert type(baked.get_layer("it")).__name__ == name
    for got, expected in zip(baked.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in _QUICK else [pytest.mark.slow]) for n in LAYERS],
)
def test_a_layer_is_an_ordinary_keras_layer(name, tmp_path):
    few = quantize_kernels(one_layer(name), Ternary(), exclude=[])
    x, it = rows(few), few.get_layer("it")
    graph = name in ("Dense", "SeparableConv2D")  # the others run eagerly, which is quicker
    few.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=not graph)
    before = few.get_weights()
    few.fit(x, np.ones(few(x).shape, "float32"), epochs=2, verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, few.get_weights(), strict=True)]
    assert all(moved), [one.name for one in few.weights]
    few.save(tmp_path / "m.keras")
    few.save_weights(tmp_path / "m.weights.h5")
    back = keras.models.load_model(tmp_path / "m.keras")
    assert back.get_layer("it").quantizer == it.quantizer == Ternary()
    clone = keras.models.clone_model(few)
    clone.load_weights(tmp_path / "m.weights.h5")
    for copy in (back, clone):
        np.testing.assert_array_equal(copy(x), few(x))
        assert [one.name for one in copy.weights] == [one.name for one in few.weights]


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "mixed_bfloat16", pytest.param("float64", marks=float64)]
)
def test_levels_are_exact_under_every_policy(policy, tmp_path):
    """Half precision is too coarse for the threshold, and would move the levels."""
    for name in ("Dense", "Embedding", "DepthwiseConv2D"):
        model = one_layer(name, dtype=policy)
        few = quantize_kernels(model, Ternary(), exclude=[])
        it, x = few.get_layer("it"), rows(few)
        assert few(x).dtype == model(x).dtype
        (kernel,) = it.kernel_names
        values = keras.ops.convert_to_numpy(getattr(model.get_layer("it"), kernel))
        first = Ternary().first(values)
        expected = keras.ops.convert_to_numpy(Ternary()(keras.ops.array(values), first, False))
        baked = keras.ops.convert_to_numpy(getattr(bake(few).get_layer("it"), kernel))
        np.testing.assert_array_equal(baked, expected)
        assert few(x).dtype == bake(few)(x).dtype
        np.testing.assert_array_equal(few(x), bake(few)(x))


GRAPHS = {
    "ternary": (Ternary(), "float32"),
    "greedy": (KBit(3), "float32"),
    "optimal": (KBit(2, "optimal"), "float32"),
    "soft": (SoftLevels(), "float32"),
    "soft, half": (SoftLevels(), "mixed_float16"),
    "floats": (AdaptiveFloat(4, 2), "float32"),
}


@pytest.mark.parametrize("case", telling(GRAPHS, "ternary", "optimal", "soft", "floats"))
def test_each_quantizer_trains_in_a_graph(case):
    one, policy = GRAPHS[case]
    few = quantize_kernels(one_layer("Dense", dtype=policy), one, exclude=[])
    few.compile(keras.optimizers.SGD(0.01), "mse")
    before = [weight.numpy() for weight in few.trainable_weights]
    few.fit(images(8, (8,)) - 0.5, np.ones((8, 6), "float32"), verbose=0)
    for weight, values in zip(few.trainable_weights, before, strict=True):
        assert np.isfinite(weight).all()
        assert not np.array_equal(weight, values), weight.name
    for values in few.get_layer("it").levels().values():
        assert 1 < len(values) <= one.most_levels


def test_nested_shared_and_wrapped_layers():
    model = network()
    x = images(4, (7, 6))
    few = quantize_kernels(model, KBit(1), exclude="left/fc")
    kinds = {name: type(one).__name__ for name, one in named_layers(few).items()}
    assert kinds["left/fc"] == "Dense"
    for name in ("step", "fc", "shared", "logits"):
        assert kinds[name] == "QuantizedDense", name
    assert [one.name for one in few.layers] == [one.name for one in model.layers]
    baked = bake(few)
    np.testing.assert_allclose(baked(x), few(x), rtol=1e-5, atol=1e-6)
    assert not any(isinstance(one, QuantizedKernel) for one in named_layers(baked).values())
    kernel = named_layers(baked)["shared"].kernel
    assert len(np.unique(kernel)) == 2


def test_the_first_and_the_last_layer_stay_exact_by_default():
    few = quantize_kernels(small_convnet(), Ternary())
    exact = [n for n, one in named_layers(few).items() if type(one) in QUANTIZED]
    assert exact == ["conv", "logits"]
    quantized = [n for n, one in named_layers(few).items() if isinstance(one, QuantizedKernel)]
    assert quantized == ["depthwise", "down", "hidden"]


def test_a_dict_quantizes_what_it_names():
    few = quantize_kernels(small_convnet(), {"conv": Ternary(), "logits": KBit(1)})
    found = {n: one.quantizer for n, one in named_layers(few).items() if hasattr(one, "quantizer")}
    assert found == {"conv": Ternary(), "logits": KBit(1)}


def test_frozen_layers_and_kernel_penalties_stay():
    model = small_convnet()
    model.get_layer("down").trainable = False
    model.get_layer("hidden").kernel_regularizer = keras.regularizers.L2(0.5)
    few = quantize_kernels(model, Ternary())
    assert not few.get_layer("down").trainable_weights
    exact = few.get_layer("hidden").exact_kernel("kernel").numpy()
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(few.losses[0]), 0.5 * np.square(exact).sum(), rtol=1e-5
    )
    assert len(few.losses) == 1


@pytest.fixture(scope="module")
def few():
    keras.utils.set_random_seed(0)
    model = live(small_convnet(), images())
    return quantize_kernels(model, {"down": Ternary(0.3), "hidden": KBit(2)})


def test_fr_and_quantized_layers_in_one_model():
    twin = regularize(live(small_convnet(), images()), include="hidden", start=0.2)
    few = quantize_kernels(twin, Ternary())
    assert isinstance(few.get_layer("down"), QuantizedKernel)
    for form in ("dense", "factored"):
        assert relative_difference(few(images()), bake(few, form)(images())) < 1e-3


def test_keras_cannot_adapt_or_quantize_a_quantized_layer(few):
    for name in ("down", "hidden"):
        with pytest.raises(NotImplementedError, match="bake"):
            few.get_layer(name).enable_lora(2)
        with pytest.raises(NotImplementedError, match="bake"):
            few.get_layer(name).quantize("int8")


def test_levels_that_collapse_warn():
    few = quantize_kernels(one_layer("Dense"), Ternary(), exclude=[])
    for one in few.get_layer("it").state_of("kernel").values():
        one.assign(0.0)
    with pytest.warns(UserWarning, match="levels of 'kernel' of layer 'it' have collapsed: .* 0"):
        bake(few)


def with_lora() -> keras.Model:
    model = one_layer("Dense")
    model.get_layer("it").enable_lora(2)
    return model


def with_attention() -> keras.Model:
    inputs = keras.Input((5, 8))
    return keras.Model(inputs, kl.MultiHeadAttention(2, 4, name="it")(inputs, inputs))


def of_zeros() -> keras.Model:
    model = one_layer("Dense")
    model.set_weights([np.zeros_like(one) for one in model.get_weights()])
    return model


def already() -> keras.Model:
    return quantize_kernels(one_layer("Dense"), Ternary(), exclude=[])


ALL = {"exclude": []}
MISTAKES = {
    "no quantizer": (small_convnet, "ternary", {}, "`quantizer` must be a quantizer"),
    "unknown": (small_convnet, {"x": Ternary()}, {}, "`quantizer` must name layers of the model"),
    "excluded": (small_convnet, Ternary(), {"exclude": ["x"]}, "`exclude` must name layers"),
    "both": (small_convnet, {"conv": Ternary()}, ALL, "`exclude` must be left out"),
    "no kernel": (small_convnet, {"relu": Ternary()}, {}, "'relu' .* must have a kernel.* ReLU"),
    "one layer": (lambda: one_layer("Dense"), Ternary(), {}, "With exclude=\\[\\], all are"),
    "lora": (with_lora, Ternary(), ALL, "'it' cannot be quantized.* `lora_rank` must be None"),
    "attention": (with_attention, Ternary(), ALL, "'it' .* must have a kernel: .*MultiHead"),
    "zeros": (of_zeros, KBit(1), ALL, "'it' cannot be quantized.* only zeros"),
    "twice": (already, {"it": Ternary()}, {}, "quantized already. Use `fr_keras.bake"),
    "no model": (lambda: None, Ternary(), {}, "`model` must be a keras.Model"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_bad_input_names_the_rule_and_the_way_out(case):
    make, quantizer, options, message = MISTAKES[case]
    with pytest.raises(ValueError, match=message):
        quantize_kernels(make(), quantizer, **options)


def soft_model() -> keras.Model:
    return quantize_kernels(one_layer("SeparableConv2D"), SoftLevels(), exclude=[])


def test_training_computes_with_the_soft_kernel_and_inference_with_steps(tmp_path):
    few = soft_model()
    it, x = few.get_layer("it"), rows(few)
    hard, soft = few(x), few(x, training=True)
    assert relative_difference(hard, soft) > 1e-2
    np.testing.assert_array_equal(hard, few(x))
    assert {len(one) for one in it.levels().values()} == {3}
    for name in it.kernel_names:
        it.state_of(name)["temperature"].assign(1e5)
    assert relative_difference(hard, few(x, training=True)) < 1e-3
    baked = bake(few)
    np.testing.assert_array_equal(baked(x), hard)
    few.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(x), hard)


def test_the_temperature_rises_with_the_epochs_of_fit():
    few = soft_model()
    x = rows(few)
    few.compile("sgd", "mse", run_eagerly=True)
    rising = RisingTemperature(per_epoch=30, highest=100)
    options = {"verbose": 0, "callbacks": [rising], "initial_epoch": 1, "epochs": 5}
    borders = few.get_layer("it").state_of("pointwise_kernel")["borders"].numpy()
    history = few.fit(x, np.zeros(few(x).shape), **options).history
    assert history["temperature"] == [60, 90, 100, 100]
    state = few.get_layer("it").state_of("pointwise_kernel")
    assert state["temperature"].numpy() == 100
    np.testing.assert_array_equal(state["borders"], borders)


def test_a_temperature_needs_soft_levels():
    few = quantize_kernels(one_layer("Dense"), Ternary(), exclude=[])
    few.compile("sgd", "mse")
    with pytest.raises(ValueError, match="needs a model with SoftLevels"):
        few.fit(rows(few), np.zeros((3, 6)), verbose=0, callbacks=[RisingTemperature()])
    with pytest.raises(ValueError, match=r"`per_epoch` must be above 0\. Received: 0"):
        RisingTemperature(per_epoch=0)


@pytest.mark.parametrize(
    "use",
    [
        lambda few: methods.tucker(few, 0.5),
        lambda few: methods.sparse_low_rank(few, 0.5),
        lambda few: few.fit(
            np.ones((2, 8)), np.ones((2, 3)), verbose=0,
            callbacks=[methods.MagnitudePruning(0.5, 1)],
        ),
        regularize,
        lambda few: quantize_kernels(few, KBit(1), exclude=[]),
        lambda few: methods.price_kernels(few),
        lambda few: tflite.quantization_aware(few, np.ones((4, 8), "float32")),
    ],
    ids=["tucker", "sparse", "magnitude", "regularize", "levels", "price", "aware"],
)  # fmt: skip
def test_other_methods_do_not_pass_over_levels(use):
    hidden = keras.layers.Dense(6, name="hidden")
    plain = [keras.Input((8,)), keras.layers.Dense(6, name="first"), hidden]
    few = quantize_kernels(keras.Sequential([*plain, keras.layers.Dense(3)]), Ternary())
    few.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"(?s)bake.*hidden|hidden.*bake"):
        use(few)


def test_methods_on_channels_name_the_way_out():
    few = quantize_kernels(small_convnet(), Ternary(), exclude=[])
    with pytest.raises(ValueError, match="bake"):
        methods.rank(few, None, "l1")
