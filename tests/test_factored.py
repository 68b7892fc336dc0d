import keras
import numpy as np
import pytest
from backends import float64, tensorflow_alone
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keras import layers as kl
from networks import (
    bfloat16,
    halved,
    images,
    live,
    relative_difference,
    small_convnet,
    truncated_twin,
)

from fr_keras import bake, layers, regularize, tflite, zoo
from fr_keras.layers import FactoredKernel
from fr_keras.models.walk import all_layers, frequency_layers

pytestmark = pytest.mark.usefixtures("stepwise_module")

CHAINS = (("core",), ("core", "out"), ("in", "core"), ("in", "core", "out"))


def randomized(layer, kept: float):
    """Random coefficients and bias, cut to a fraction of them."""
    rng = np.random.default_rng(0)
    layer.set_coefficients(rng.normal(size=layer.coefficients.shape))
    layer.truncate(max(1, round(kept * layer.kept)))
    if layer.bias is not None:
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    return layer


def applied(layer, roles, x):
    """The stages as plain Keras layers, filled from the corner."""
    kernels = layer.corner_kernels(roles)
    for (role, kernel), stage in zip(
        kernels.items(), layer.stage_layers(roles, kernels), strict=True
    ):
        stage.build(x.shape)
        stage.kernel.assign(kernel)
        if role == roles[-1] and layer.bias is not None:
            stage.bias.assign(layer.bias)
        x = stage(x)
    return x


def assert_close(expected, found) -> None:
    """Equal to 1e-4 of the largest value; a ReLU may leave nothing but zeros."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(np.abs(expected).max(), 1e-2))


def check_every_chain(layer, x, kept: float) -> None:
    """As plain layers, and in the layer itself when it stores the corner alone."""
    expected = layer(x)
    randomized(layer, kept)
    expected = layer(x)
    config = {**layer.get_config(), "stored": layer.corner}
    small = type(layer).from_config(config)
    small.build(x.shape)
    small.set_coefficients(layer.kept_coefficients()[tuple(slice(n) for n in layer.corner)])
    small.truncate(layer.kept)
    if layer.bias is not None:
        small.bias.assign(layer.bias)
    assert_close(expected, small(x))
    for chain in layer.chains(layer.corner):
        assert_close(expected, applied(layer, chain.roles, x))
        small._roles_of_stored_corner = lambda roles=chain.roles: roles
        assert_close(expected, small(x))


settings.register_profile(
    "networks", deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow]
)


@settings(settings.get_profile("networks"))
@given(
    rank=st.sampled_from([1, 2, 2, 3]),
    channels=st.integers(1, 5),
    filters=st.integers(1, 5),
    groups=st.integers(1, 3),
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same", "causal"]),
    bias=st.booleans(),
    activation=st.sampled_from([None, "relu"]),
    kept=st.floats(0.02, 1),
)
def test_convolutions(
    rank, channels, filters, groups, size, stride, dilation, padding, bias, activation, kept
):
    assume(stride == 1 or dilation == 1)
    assume(padding != "causal" or rank == 1)
    layer = getattr(layers, f"FRConv{rank}D")(
        filters * groups,
        size,
        strides=stride,
        dilation_rate=dilation,
        padding=padding,
        groups=groups,
        use_bias=bias,
        activation=activation,
        name="layer",
    )
    x = np.random.default_rng(1).normal(size=(2, *(7,) * rank, channels * groups))
    check_every_chain(layer, x.astype(np.float32), kept)


@settings(settings.get_profile("networks"))
@given(
    rank=st.sampled_from([1, 2, 2, 3]),
    channels=st.integers(1, 6),
    filters=st.integers(1, 6),
    size=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    output_padding=st.sampled_from([None, 1]),
    bias=st.booleans(),
    kept=st.floats(0.02, 1),
)
def test_transposed_convolutions(
    rank, channels, filters, size, stride, padding, output_padding, bias, kept
):
    assume(output_padding is None or stride > 1)  # plain Keras fails on the CPU without a stride
    layer = getattr(layers, f"FRConv{rank}DTranspose")(
        filters,
        size,
        strides=stride,
        padding=padding,
        output_padding=output_padding,
        use_bias=bias,
        name="layer",
    )
    x = np.random.default_rng(1).normal(size=(2, *(4,) * rank, channels)).astype(np.float32)
    check_every_chain(layer, x, kept)


@settings(settings.get_profile("networks"))
@given(
    axes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    units=st.integers(1, 9),
    bias=st.booleans(),
    activation=st.sampled_from([None, "tanh"]),
    kept=st.floats(0.02, 1),
)
def test_dense(axes, units, bias, activation, kept):
    layer = layers.FRDense(
        units, input_axes=axes, use_bias=bias, activation=activation, name="layer"
    )
    x = np.random.default_rng(1).normal(size=(3, int(np.prod(axes)))).astype(np.float32)
    check_every_chain(layer, x, kept)


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "input_shape"),
    [
        pytest.param("ab,bc->ac", 6, "c", (5,), marks=pytest.mark.slow),
        pytest.param("abc,cd->abd", (4, 6), "d", (4, 5), marks=pytest.mark.slow),
        ("abc,cde->abde", (4, 2, 6), "de", (4, 5)),
        ("abcd,cde->abe", (4, 6), None, (4, 2, 5)),
        pytest.param("abc,bcd->abd", (4, 6), "d", (4, 5), marks=pytest.mark.slow),
        pytest.param("...x,xy->...y", 6, "y", (3, 4, 5), marks=pytest.mark.slow),
        ("ab...,bc->ac...", 6, None, (5, 3, 4)),
    ],
)
def test_einsum(equation, output_shape, bias_axes, input_shape):
    x = images(2, input_shape)
    for kept in (0.05, 0.3, 0.9):
        layer = layers.FREinsumDense(equation, output_shape, bias_axes=bias_axes, name="layer")
        check_every_chain(layer, x, kept)


@pytest.mark.parametrize(
    "policy",
    [pytest.param("mixed_bfloat16", marks=bfloat16), pytest.param("float64", marks=float64)],
)
def test_chains_under_other_policies(policy):
    layer = layers.FRConv2D(6, 3, dtype=policy, stored=(3, 3, 2, 2), name="layer")
    x = images(2, (6, 6, 4))
    dtype = keras.backend.standardize_dtype(layer(x).dtype)
    assert dtype == keras.DTypePolicy(policy).compute_dtype
    assert layer._roles_of_stored_corner() == ("in", "core", "out")
    same = layers.FRConv2D(6, 3, stored=(3, 3, 2, 2), name="same")
    same.build(x.shape)
    same.set_weights(layer.get_weights())
    difference = relative_difference(same(x), keras.ops.cast(layer(x), "float32"))
    assert difference < (2e-2 if "bfloat16" in policy else 1e-5)


# What a chain costs


def test_costs_are_those_of_the_design():
    layer = layers.FRConv2D(64, 3)
    layer.build((None, None, None, 32))
    three = layer.chains((3, 3, 4, 5))[-1]
    assert three.multiply_adds == three.weights == 32 * 4 + 9 * 4 * 5 + 5 * 64
    strided = layers.FRConv2D(64, 3, strides=2)
    strided.build((None, None, None, 32))
    assert strided.chains((3, 3, 4, 5))[-1].multiply_adds == 4 * 32 * 4 + 9 * 4 * 5 + 5 * 64
    up = layers.FRConv2DTranspose(64, 2, strides=2)
    up.build((None, None, None, 32))
    assert up.chains((2, 2, 5, 4))[-1].multiply_adds == 32 * 4 + 4 * 4 * 5 + 4 * 5 * 64


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_are_what_the_stages_hold(groups):
    layer = layers.FRConv2D(12, 3, groups=groups)
    layer.build((None, 8, 8, 8))
    layer.truncate(40)
    for chain in layer.chains(layer.corner):
        kernels = layer.corner_kernels(chain.roles)
        assert chain.weights == sum(np.prod(kernel.shape) for kernel in kernels.values())
        assert tuple(kernels) == chain.roles
    assert [chain.roles for chain in layer.chains(layer.corner)] == list(CHAINS)


# Models


def chains_of(model):
    return {
        layer.name: [stage.name for stage in layer.layers if hasattr(stage, "kernel")]
        for layer in model.layers
        if isinstance(layer, keras.Model)
    }


@pytest.mark.parametrize("form", ["factored", "auto"])
def test_a_baked_model_is_the_same_function(form):
    twin = truncated_twin(live(small_convnet(), images(64)), 0.05)
    x = images(32, seed=5)
    expected = twin(x)
    baked = bake(twin, form=form)
    assert relative_difference(expected, baked(x)) < 1e-4
    assert [layer.name for layer in baked.layers] == [layer.name for layer in twin.layers]
    assert not frequency_layers(baked)
    assert baked.count_params() < 0.5 * bake(twin).count_params()
    stage = baked.get_layer("hidden").layers[0]
    stage.kernel.assign(stage.kernel * 0.5)
    assert relative_difference(expected, baked(x)) > 1e-3


def test_names_tell_where_a_stage_came_from():
    baked = bake(truncated_twin(small_convnet(), 0.05), form="factored")
    found = chains_of(baked)
    assert set(found) == {"conv", "down", "hidden", "logits"}
    for name, stages in found.items():
        assert set(stages) <= {f"{name}_in", f"{name}_core", f"{name}_out"}
        assert f"{name}_core" in stages
    assert type(baked.get_layer("depthwise")) is kl.DepthwiseConv2D


def test_auto_never_costs_more_than_dense():
    twin = truncated_twin(small_convnet(), 0.3)
    for layer in frequency_layers(twin):
        if isinstance(layer, FactoredKernel):
            dense, *_ = layer.chains(layer.corner)
            chosen = bake_choice(layer)
            assert chosen.multiply_adds * chosen.weights <= dense.multiply_adds * dense.weights
    whole = regularize(small_convnet())
    assert chains_of(bake(whole, form="auto")) == {}


def bake_choice(layer):
    from fr_keras.layers.forms import chooser

    return chooser("auto")(layer)


def shared_nested_and_timed() -> keras.Model:
    dense = kl.Dense(8, activation="relu", name="shared")
    inner = keras.Sequential([keras.Input((8,)), kl.Dense(6, name="inner_dense")], name="inner")
    inputs = keras.Input((5, 8), name="steps")
    x = kl.TimeDistributed(dense, name="timed")(inputs)
    first = kl.Lambda(lambda t: t[:, 0], output_shape=(8,), name="first")(x)
    y = kl.Concatenate()([inner(dense(first)), inner(first)])
    return keras.Model(inputs, kl.Dense(3, name="logits")(y))


def test_shared_nested_and_time_distributed_layers():
    twin = regularize(shared_nested_and_timed())
    for layer in frequency_layers(twin):
        layer.truncate(3)
    x = images(4, (5, 8))
    baked = bake(twin, form="factored")
    assert relative_difference(twin(x), baked(x)) < 1e-4
    names = [layer.name for layer in all_layers(baked)]
    assert [name for name in names if name.startswith("shared")] == ["shared_core", "shared_out"]


def test_frozen_layers_stay_frozen():
    twin = truncated_twin(small_convnet(), 0.05)
    twin.get_layer("conv").trainable = False
    baked = bake(twin, form="factored")
    assert not any(stage.trainable for stage in baked.get_layer("conv").layers)
    assert all(stage.trainable for stage in baked.get_layer("down").layers)


@pytest.mark.parametrize("form", ["Dense", None, "sparse"])
def test_an_unknown_form_is_named(form):
    with pytest.raises(ValueError, match=r"`form` must be one of \('dense', 'factored', 'auto'\)"):
        bake(regularize(small_convnet()), form=form)


def test_custom_layers_pass_through():
    class Doubled(kl.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = keras.Sequential([keras.Input((9,)), kl.Dense(9), Doubled(name="doubled")])
    twin = truncated_twin(model, 0.1)
    baked = bake(twin, form="factored")
    assert type(baked.get_layer("doubled")) is Doubled
    x = images(3, (9,))
    assert relative_difference(twin(x), baked(x)) < 1e-5


# Files


@tensorflow_alone("it converts")
def test_batch_norm_folds_into_the_last_stage():
    """One op a stage: no MUL or ADD is left of the batch normalizations."""
    inputs = x = keras.Input((8, 8, 3))
    for convolution in (kl.Conv2D(16, 3, name="conv"), kl.Conv2DTranspose(16, 2, 2, name="up")):
        x = kl.ReLU()(kl.BatchNormalization()(convolution(x)))
    twin = regularize(live(keras.Model(inputs, x), images(8, (8, 8, 3))))
    for layer in frequency_layers(twin):
        layer.truncate(12)
    baked = bake(twin, form="factored")
    x = images(8, (8, 8, 3), seed=2)
    done = tflite.convert(baked, calibration=x)
    ops = tflite.inspect(done.content).ops
    assert set(ops) == {"CONV_2D", "TRANSPOSE_CONV"}
    assert ops["TRANSPOSE_CONV"] == 1
    assert sum(ops.values()) == sum(len(stages) for stages in chains_of(baked).values()) > 2
    assert relative_difference(twin(x), tflite.run(done.content, x)) < 1e-4


@pytest.mark.slow
@tensorflow_alone("it converts")
def test_a_network_has_one_op_a_stage():
    """No MUL or ADD is left of the batch normalizations.

    Each of the four concatenations is a sum of frequencies, and the only ADD.
    """
    unet = zoo.unet((32, 32, 3), filters=8, classifier_activation=None)
    twin = regularize(live(unet, images(8, (32, 32, 3))))
    for layer in frequency_layers(twin):
        layer.truncate(min(33, layer.kept))
    baked = bake(twin, form="factored")
    x = images(8, (32, 32, 3), seed=2)
    done = tflite.convert(baked, calibration=x)
    ops = tflite.inspect(done.content).ops
    assert not {"MUL", "SUB", "SHAPE", "PACK", "CONCATENATION"} & set(ops)
    assert ops["ADD"] == 4
    transposed = sum("up" in name and "conv" not in name for name in chains_of(baked))
    stages = sum(len(stages) for stages in chains_of(baked).values())
    dense = sum(isinstance(layer, kl.Conv2D) for layer in baked.layers)
    assert ops["TRANSPOSE_CONV"] == transposed == 4
    assert ops["CONV_2D"] + ops["TRANSPOSE_CONV"] == stages + dense
    assert relative_difference(twin(x), tflite.run(done.content, x)) < 1e-4
    assert len(done.content) < 0.5 * len(tflite.convert(twin, form="dense").content)


@tensorflow_alone("it converts")
def test_dense_chains_convert_to_fully_connected():
    twin = truncated_twin(live(zoo.lenet5(batch_norm=True), images(32, (28, 28, 1))), 0.01)
    x = images(20, (28, 28, 1), seed=3)
    for mode in ("float32", "int8"):
        done = tflite.convert(bake(twin, form="auto"), quantize=mode, calibration=x)
        ops = tflite.inspect(done.content).ops
        assert not {"MUL", "ADD", "SUB", "BATCH_MATMUL"} & set(ops)
        assert ops["FULLY_CONNECTED"] >= 3


@tensorflow_alone("it converts")
def test_convert_takes_the_form():
    twin = truncated_twin(live(zoo.lenet5(batch_norm=True), images(32, (28, 28, 1))), 0.01)
    dense, auto = (tflite.convert(twin, form=form).content for form in ("dense", "auto"))
    assert len(auto) < 0.1 * len(dense)
    assert tflite.convert(twin).content == auto
    with pytest.raises(ValueError, match="`form` must be one of"):
        tflite.convert(twin, form="sparse")


# A stored corner


def test_a_stored_corner_is_all_that_is_held():
    layer = layers.FRConv2D(64, 3, stored=(3, 3, 4, 5))
    layer.build((None, 8, 8, 32))
    assert layer.coefficients.shape == (3, 3, 4, 5)
    assert layer.spectrum_shape == (3, 3, 32, 64)
    assert tuple(layer.kernel.shape) == (3, 3, 32, 64)
    assert all(a <= b for a, b in zip(layer.corner, (3, 3, 4, 5), strict=True))
    assert layer.get_config()["stored"] == (3, 3, 4, 5)
    # One more coefficient would not fit.
    from fr_keras import zigzag

    assert zigzag.corner((3, 3, 32, 64), layer.kept + 1) > (3, 3, 4, 5)


@pytest.mark.parametrize("stored", [(3, 3, 4), (3, 3, 4, 99), (3, 3, 0, 4), (3, 3, 4, 2.5)])
def test_a_corner_that_does_not_fit_is_named(stored):
    layer = layers.FRConv2D(64, 3, stored=stored)
    with pytest.raises(ValueError, match="`stored` must hold a length for each axis"):
        layer.build((None, 8, 8, 32))


def test_a_stored_corner_round_trips_and_trains_like_the_whole(tmp_path):
    """The same kept coefficients give the same gradients, stored whole or as a corner."""
    x, y = images(16, (6, 6, 8)), images(16, (12,), seed=2)

    def network(stored):
        keras.utils.set_random_seed(1)
        conv = layers.FRConv2D(12, 3, stored=stored, name="conv")
        model = keras.Sequential([keras.Input((6, 6, 8)), conv, kl.GlobalAveragePooling2D()])
        return model, conv

    corner = (3, 3, 3, 3)
    small, conv = network(corner)
    whole, full = network(None)
    values = np.zeros(full.coefficients.shape, np.float32)
    values[tuple(slice(n) for n in corner)] = conv.kept_coefficients()
    full.set_coefficients(values)
    full.truncate(conv.kept)
    for model in (small, whole):
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(x, y, epochs=3, verbose=0, shuffle=False)
    trained = full.kept_coefficients()[tuple(slice(n) for n in corner)]
    np.testing.assert_allclose(conv.kept_coefficients(), trained, atol=1e-5)
    assert np.abs(trained - values[tuple(slice(n) for n in corner)]).max() > 1e-3
    small.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(small(x), loaded(x))


def test_the_check_sees_another_chain():
    """A chain with one stage spoiled is another function."""
    model = bake(truncated_twin(small_convnet(), 0.05))
    expected = model(images(4))
    assert relative_difference(expected, halved(model, "conv")(images(4))) > 1e-4
