"""`tucker`: layers as chains, in all kinds of models, and nearer to the outputs with data."""

import keras
import networks
import numpy as np
import pytest
from backends import float64, tensorflow_alone
from keras import layers

from fr_keras import bake, regularize, tflite
from fr_keras.methods import _outputs, tucker
from fr_keras.methods._layer_ranks import found_layers
from fr_keras.methods._outputs import statistics
from fr_keras.methods._rows import batches
from fr_keras.models.walk import all_layers, named_layers

Conv2D = layers.Conv2D


def convolved(rng, shape, groups: int = 1) -> np.ndarray:
    """A convolution's kernel of ranks 3 and 4 in each group."""
    *spatial, s, out = shape
    parts = [
        rng.normal(size=(s, 3)) @ rng.normal(size=(*spatial, 3, 4)) @ rng.normal(size=(4, t))
        for t in [out // groups] * groups
    ]
    return np.concatenate(parts, -1)


def transposed(rng, shape) -> np.ndarray:
    *spatial, t, s = shape
    return convolved(rng, (*spatial, s, t)).swapaxes(-1, -2)


def matrix(rows: int, columns: int):
    """Makes a kernel that is a matrix of rank 3."""
    sides = (rows, 3), (3, columns)
    return lambda rng, shape: np.matmul(*(rng.normal(size=one) for one in sides)).reshape(shape)


#: By name: the layer, the shape of a row, a kernel of these ranks, and the ranks.
CASES = {
    "strides": (Conv2D(10, 3, 2, "same", activation="relu"), (7, 8, 8), convolved, (3, 4)),
    "dilation": (Conv2D(10, 3, dilation_rate=2), (7, 8, 8), convolved, (3, 4)),
    "groups": (
        Conv2D(20, 3, groups=2, padding="same"),
        (5, 5, 16),
        lambda rng, shape: convolved(rng, shape, 2),
        (3, 4),
    ),
    "causal": (layers.Conv1D(10, 3, padding="causal", use_bias=False), (9, 8), convolved, (3, 4)),
    "3d": (layers.Conv3D(10, 2), (4, 4, 4, 8), convolved, (3, 4)),
    "colours": (Conv2D(32, 3), (5, 5, 3), convolved, 4),
    "transposed": (
        layers.Conv2DTranspose(10, 3, 2, "same", activation="relu"),
        (4, 5, 8),
        transposed,
        (3, 4),
    ),
    "transposed 1d": (layers.Conv1DTranspose(10, 3, 2), (6, 8), transposed, (3, 4)),
    "1x1": (Conv2D(10, 1, 2), (5, 5, 8), matrix(8, 10), 3),
    "dense": (layers.Dense(10, "relu"), (12,), matrix(12, 10), 3),
    "dense on steps": (layers.Dense(10, use_bias=False), (4, 12), matrix(12, 10), 3),
    "einsum": (
        layers.EinsumDense("abc,cde->adbe", (2, 5, 6), bias_axes="de"),
        (5, 12),
        matrix(12, 12),
        3,
    ),
    "einsum with dots": (
        layers.EinsumDense("...xy,xyd->...d", 12, bias_axes="d", activation="relu"),
        (5, 4, 3),
        matrix(12, 12),
        3,
    ),
}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network that no test changes."""
    return networks.small_convnet()


def model_of(layer, shape, make, name: str = "one") -> tuple[keras.Model, np.ndarray]:
    rng = np.random.default_rng(0)
    layer = type(layer).from_config({**layer.get_config(), "name": name})
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    layer.kernel.assign(make(rng, tuple(layer.kernel.shape)))
    if layer.bias is not None:
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    return model, rng.normal(size=(6, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_of_low_rank_becomes_a_chain_that_computes_the_same(name):
    layer, shape, make, ranks = CASES[name]
    model, x = model_of(layer, shape, make)
    small = tucker(model, {"one": ranks})
    assert networks.relative_difference(model(x), small(x)) < 1e-5
    assert small.count_params() < model.count_params()
    lower = 2 if isinstance(ranks, int) else (2, 2)
    assert networks.relative_difference(model(x), tucker(model, {"one": lower})(x)) > 1e-3
    chain = small.get_layer("one")
    assert chain.layers[-1].activation is model.get_layer("one").activation
    assert {one.name for one in chain.layers} <= {"one_in", "one_core", "one_out"}


SEEN = ("strides", "groups", "causal", "colours", "transposed", "1x1", "dense", "einsum with dots")


@pytest.mark.parametrize("name", SEEN)
def test_with_data_the_outputs_on_these_rows_are_never_farther(name):
    layer, shape, _, ranks = CASES[name]
    config = {**layer.get_config(), "activation": None}
    random = lambda rng, shape: rng.normal(size=shape)  # noqa: E731
    model, x = model_of(type(layer).from_config(config), shape, random)
    # Inputs that vary along some directions much more than along others.
    x = x * np.linspace(0.05, 2, shape[-1], dtype=np.float32) + 1
    errors, expected, sizes = [], model(x), set()
    for data in (None, x):
        small = tucker(model, {"one": ranks}, data)
        sizes.add(small.count_params())
        errors.append(float(np.square(keras.ops.convert_to_numpy(small(x) - expected)).sum()))
    assert len(sizes) == 1
    assert errors[1] <= errors[0] * (1 + 1e-5)
    if name not in ("dense", "colours"):  # with as many rows as directions, there is a best one
        assert errors[1] < errors[0]
    if model.get_layer("one").bias is not None and "einsum" not in name:
        shift = keras.ops.convert_to_numpy(small(x) - expected).mean(tuple(range(x.ndim - 1)))
        np.testing.assert_allclose(shift, 0, atol=1e-4)


def network() -> keras.Model:
    """Two inputs and outputs, a shared layer, nested models, a Dense behind a Flatten."""
    image, steps = keras.Input((8, 8, 3), name="image"), keras.Input((5, 16), name="steps")
    x = Conv2D(16, 3, padding="same", use_bias=False, name="conv")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(layers.ReLU(name="relu")(x))
    shared = Conv2D(16, 3, padding="same", activation="relu", name="conv_in")
    x = shared(shared(x))
    x = layers.Flatten(name="flatten")(x)
    for side in ("left", "right"):
        nested = keras.Input((x.shape[-1],))
        block = keras.Model(nested, layers.Dense(24, "relu", name="fc")(nested), name=side)
        x = block(x)
    y = layers.TimeDistributed(layers.Dense(16, name="step"), name="over")(steps)
    y = layers.GlobalAveragePooling1D(name="pool")(y)
    x = layers.Dense(20, name="first")(x)
    return keras.Model([image, steps], [x, layers.Dense(12, name="second")(y)], name="two")


def rows_of(model: keras.Model, count: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.random((count, *one.shape[1:]), np.float32) for one in model.inputs]


RANKS = {
    "conv": 3, "conv_in": (4, 5), "left/fc": 6, "right/fc": 5, "step": 4, "first": 4, "second": 3
}  # fmt: skip


def test_networks_of_all_kinds_keep_their_shape_and_stay_as_they_are(tmp_path):
    model = network()
    x = rows_of(model)
    before = [weight.numpy() for weight in model.weights]
    small = tucker(model, RANKS, [x])
    assert small.count_params() == tucker(model, RANKS).count_params()
    assert small.count_params() < 0.6 * model.count_params()
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [one.shape for one in small.outputs] == [one.shape for one in model.outputs]
    chained = {name.removesuffix("_core") for name in named_layers(small) if name.endswith("_core")}
    assert chained == {"conv", "conv_in", "left/fc/fc", "right/fc/fc", "step", "first", "second"}
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    for one, other in zip(small(x), loaded(x), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any("fr_keras" in type(one).__module__ for one in all_layers(loaded))


def test_a_dense_behind_a_flatten_is_factored_as_the_tensor():
    for reader in ({}, {"data_format": "channels_first"}):
        inputs = keras.Input((4, 3, 12) if not reader else (12, 4, 3))
        x = layers.Dropout(0.5)(layers.Flatten(**reader)(inputs))
        model = keras.Model(inputs, layers.Dense(20, name="fc")(x))
        rng = np.random.default_rng(0)
        low = rng.normal(size=(12, 3)) @ rng.normal(size=(12, 3, 4)) @ rng.normal(size=(4, 20))
        model.get_layer("fc").kernel.assign(low.reshape(144, 20))
        small = tucker(model, {"fc": (3, 4)})
        x = rng.random((5, *inputs.shape[1:]), np.float32)
        assert networks.relative_difference(model(x), small(x)) < 1e-5
        names = [one.name for one in small.get_layer("fc").layers]
        assert names == ["fc_tensor", "fc_in", "fc_flat", "fc_core", "fc_out"]
        assert small.get_layer("fc").count_params() == 12 * 3 + 12 * 3 * 4 + 4 * 20 + 20


def test_policies_penalties_and_frozen_layers_stay_as_they_are():
    inputs = keras.Input((6, 6, 8))
    conv = Conv2D(
        16, 3, name="conv", kernel_regularizer="l1", bias_regularizer="l2", dtype="mixed_float16"
    )
    x = layers.GlobalAveragePooling2D()(conv(inputs))
    model = keras.Model(inputs, layers.Dense(12, name="fc", dtype="float32")(x))
    conv.trainable = False
    model.compile("sgd", "mse")
    small = tucker(model, {"conv": (4, 5)})
    assert (model.compiled, small.compiled) == (True, False)
    chain = small.get_layer("conv")
    assert not chain.trainable_weights
    for one in chain.layers:
        assert (one.compute_dtype, one.variable_dtype) == ("float16", "float32")
        assert type(one.kernel_regularizer) is keras.regularizers.L1
    assert type(chain.layers[-1].bias_regularizer) is keras.regularizers.L2
    assert keras.models.clone_model(chain).layers[0].kernel_regularizer is not None


@float64
def test_double_precision_is_kept():
    layer = layers.Dense(10, dtype="float64")
    model, x = model_of(layer, (12,), matrix(12, 10))
    assert networks.relative_difference(model(x), tucker(model, {"one": 3})(x)) < 1e-12


def test_chains_are_joined_as_those_of_frequency_regularization():
    left, right = keras.Input((8, 8, 16)), keras.Input((4, 4, 24))
    up = layers.Conv2DTranspose(16, 2, strides=2, name="up")(right)
    both = layers.Concatenate(name="both")([left, up])
    out = Conv2D(24, 3, padding="same", activation="relu", name="conv")(both)
    model = keras.Model([left, right], out)
    twin = regularize(model)
    for layer in (twin.get_layer("up"), twin.get_layer("conv")):
        layer.truncate(33)
    corners = {"up": twin.get_layer("up").corner, "conv": twin.get_layer("conv").corner}
    small = tucker(
        model,
        {"up": (corners["up"][3], corners["up"][2]), "conv": corners["conv"][2:]},
        [rows_of(model)],
    )

    def shapes(model: keras.Model) -> dict[str, list]:
        found = {one.name: [tuple(w.shape) for w in one.weights] for one in all_layers(model)}
        return {name: one for name, one in found.items() if one or name == "conv_sum"}

    assert shapes(small) == shapes(bake(twin, form="factored"))
    assert "conv_sum" in shapes(small)
    x = rows_of(model)
    parts = tucker(keras.Model(model.inputs[1], model.get_layer("up").output), {"up": (4, 4)})
    assert parts(x[1]).shape == (8, 8, 8, 16)


@tensorflow_alone("it converts")
def test_the_file_of_chains_is_small():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), Conv2D(32, 3, name="first"), layers.BatchNormalization(),
         layers.ReLU(), Conv2D(32, 3, name="second"), layers.GlobalAveragePooling2D()]
    )  # fmt: skip
    small = tucker(model, 0.3)
    assert isinstance(small, keras.Sequential)
    content = tflite.convert(small).content
    assert len(content) < 0.7 * 4 * model.count_params()
    x = networks.images(4, (8, 8, 3))
    found = tflite.Runner(content).run(x)
    assert networks.relative_difference(small(x), found) < 1e-4


def test_one_row_and_constant_channels_are_enough_for_finite_factors(model):
    x = networks.images(1)
    x[..., 1] = 0.5
    small = tucker(model, {"conv": 3, "down": (3, 4), "hidden": (3, 4)}, x)
    assert keras.ops.all(keras.ops.isfinite(small(networks.images())))


def test_data_that_is_none_or_not_finite_is_refused(model):
    ranks = {"hidden": 3}
    with pytest.raises(ValueError, match="`data` must hold at least one batch"):
        tucker(model, ranks, iter(()))
    bad = networks.images(2)
    bad[0, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="must give finite activations"):
        tucker(model, ranks, bad)
    x = networks.images(4)
    batched = tucker(model, ranks, iter([(x[:2], np.zeros(2)), (x[2:], np.zeros(2))]))
    whole = tucker(model, ranks, x)
    assert networks.relative_difference(whole(x), batched(x)) < 1e-4


def test_covariances_that_would_be_too_large_are_left_out(model, monkeypatch):
    x, ranks = networks.images(8), {"down": (3, 4), "hidden": (3, 4)}
    expected = model(x)
    errors = [np.square(tucker(model, ranks, data)(x) - expected).mean() for data in (None, x)]
    monkeypatch.setattr(_outputs, "LONGEST", 7)  # "down" has 8 inputs and 6 outputs
    found, _ = found_layers(model)
    seen = statistics(model, found, list(batches(model, x)))
    sizes = {name: (one.roots is None, one.outputs is None) for name, one in seen.items()}
    assert sizes["down"] == (True, False)
    assert sizes["hidden"] == (False, True)
    errors.append(np.square(tucker(model, ranks, x)(x) - expected).mean())
    assert np.isfinite(errors).all()
    assert len({round(float(one), 9) for one in errors}) == 3
