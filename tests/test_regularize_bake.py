import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers as kl
from networks import (
    assert_same_function,
    halved,
    images,
    live,
    relative_difference,
    small_convnet,
    truncated_twin,
)

from fr_keras import TailTruncation, bake, layers, regularize, zoo
from fr_keras.models.walk import all_layers, frequency_layers, named_kernels, named_layers


@pytest.fixture
def plain():
    return live(small_convnet(), images(64))


def test_the_twin_is_the_same_function(plain):
    assert_same_function(plain, regularize(plain), images(32, seed=5))


def test_baking_the_twin_is_the_same_function(plain):
    baked = bake(regularize(plain))
    assert_same_function(plain, baked, images(32, seed=5))
    assert not frequency_layers(baked)
    assert [type(a) for a in plain.layers] == [type(a) for a in baked.layers]


def test_baking_a_truncated_model_is_the_same_function(plain):
    twin = truncated_twin(plain, 0.2)
    x = images(32, seed=5)
    expected = twin(x)
    assert relative_difference(plain(x), expected) > 1e-2
    baked = bake(twin)
    assert relative_difference(expected, baked(x)) < 1e-3
    assert relative_difference(expected, halved(baked, "conv")(x)) > 1e-3


@pytest.mark.parametrize("batch_norm", [False, True])
def test_lenet5_and_its_twin(batch_norm):
    plain = zoo.lenet5(batch_norm=batch_norm, classifier_activation=None)
    live(plain, images(64, (28, 28, 1)))
    twin = regularize(plain)
    assert_same_function(plain, twin, images(32, (28, 28, 1), seed=5))
    assert_same_function(plain, bake(twin), images(32, (28, 28, 1), seed=5))


def test_lenet5_counts():
    sizes = {
        layer.name: int(np.prod(layer.kernel.shape))
        for layer in zoo.lenet5().layers
        if hasattr(layer, "kernel")
    }
    assert sizes == {"conv1": 500, "conv2": 25_000, "hidden": 400_000, "classifier": 5_000}
    assert zoo.lenet5().count_params() == 430_500 + 20 + 50 + 500 + 10
    assert zoo.lenet5(batch_norm=True).count_params() == 430_500 + 2 * (20 + 50 + 500)
    with pytest.raises(ValueError, match="`input_shape`"):
        zoo.lenet5((8, 8, 1))


def test_names_topology_and_trainable_stay(plain):
    plain.get_layer("conv").trainable = False
    twin = regularize(plain)
    assert [a.name for a in twin.layers] == [a.name for a in plain.layers]
    assert twin.name == plain.name
    assert twin.get_layer("conv").trainable is False
    assert twin.get_layer("down").trainable is True
    kept_types = {type(a) for a in plain.layers} - set(layers.TWINS)
    assert {type(a) for a in twin.layers} >= kept_types


def test_the_plain_model_is_not_touched(plain):
    before = plain.get_weights()
    twin = regularize(plain)
    twin.get_layer("conv").truncate(5)
    for a, b in zip(before, plain.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_dense_behind_a_flatten_gets_its_axes(plain):
    twin = regularize(plain)
    assert twin.get_layer("hidden").coefficients.shape == (6, 6, 6, 16)
    assert twin.get_layer("logits").coefficients.shape == (16, 5)


def test_a_dense_behind_a_flatten_in_a_sequential_model():
    model = keras.Sequential(
        [keras.Input((4, 5, 3)), kl.Flatten(), kl.BatchNormalization(), kl.Dense(7, name="d")]
    )
    assert regularize(model).get_layer("d").coefficients.shape == (4, 5, 3, 7)


def test_channels_first_flatten_is_laid_flat_channels_last():
    inputs = keras.Input((3, 4, 5))
    outputs = kl.Dense(7, name="d")(kl.Flatten(data_format="channels_first")(inputs))
    plain = keras.Model(inputs, outputs)
    twin = regularize(plain)
    assert twin.get_layer("d").coefficients.shape == (4, 5, 3, 7)
    assert_same_function(plain, twin, images(8, (3, 4, 5)))


def test_include_and_exclude(plain):
    def converted(**arguments):
        return [layer.name for layer in frequency_layers(regularize(plain, **arguments))]

    everything = ["conv", "depthwise", "down", "hidden", "logits"]
    assert converted() == everything
    assert converted(include="conv") == ["conv"]
    assert converted(include=["conv", kl.Dense]) == ["conv", "hidden", "logits"]
    assert converted(exclude=kl.Dense) == ["conv", "depthwise", "down"]
    assert converted(include=kl.Dense, exclude="logits") == ["hidden"]
    assert converted(include=lambda layer: layer.name.startswith("d")) == ["depthwise", "down"]


def test_axis_weights_reach_the_layer(plain):
    twin = regularize(plain, axis_weights={"conv": (2, 2, 1, 1)})
    assert twin.get_layer("conv").axis_weights == (2, 2, 1, 1)
    assert twin.get_layer("down").axis_weights is None


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"include": "conw"}, "`include` must name layers.*conw"),
        ({"exclude": ["conv", "nope"]}, "`exclude` must name layers.*nope"),
        ({"axis_weights": {"nope": (1,)}}, "`axis_weights` must name layers.*nope"),
        ({"include": kl.Conv3D}, "layer to convert"),
    ],
)
def test_bad_selections_are_named(plain, arguments, match):
    with pytest.raises(ValueError, match=match):
        regularize(plain, **arguments)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = kl.Dense(3)

    def call(self, x):
        return self.dense(x)


def test_models_without_a_graph_are_refused():
    subclassed = Subclassed()
    subclassed(np.ones((1, 4)))
    for function in (regularize, bake):
        with pytest.raises(ValueError, match="subclassed"):
            function(subclassed)
        with pytest.raises(ValueError, match="unbuilt Sequential"):
            function(keras.Sequential([kl.Dense(3)]))
        with pytest.raises(ValueError, match=r"keras\.Model"):
            function("model")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(plain, value):
    twin = regularize(plain)
    kernel = np.array(plain.get_layer("down").kernel)
    kernel[0, 0, 0, :2] = value
    plain.get_layer("down").kernel.assign(kernel)
    with pytest.raises(ValueError, match="'down' holds 2 NaN or infinite"):
        regularize(plain)
    coefficients = np.array(twin.get_layer("down").coefficients)
    coefficients[0, 0, 0, 0] = value
    twin.get_layer("down").coefficients.assign(coefficients)
    with pytest.raises(ValueError, match="'down' holds 1 NaN or infinite"):
        bake(twin)


def test_unknown_form_is_refused(plain):
    with pytest.raises(ValueError, match="`form` must be one of"):
        bake(plain, form="sparse")


def test_nested_models_and_time_distributed_are_opened():
    block = keras.Sequential(
        [keras.Input((6,)), kl.Dense(6, name="inner"), kl.BatchNormalization()], name="block"
    )
    inputs = keras.Input((5, 4))
    x = kl.TimeDistributed(kl.Dense(6, name="timed"))(inputs)
    x = kl.TimeDistributed(block)(x)
    x = kl.GlobalAveragePooling1D()(x)
    plain = keras.Model(inputs, kl.Dense(2, name="outer")(block(x)))
    x = images(32, (5, 4))
    for _ in range(5):
        plain(x, training=True)
    twin = regularize(plain)
    assert [layer.name for layer in frequency_layers(twin)] == ["timed", "inner", "outer"]
    expected = plain(x)
    assert relative_difference(expected, twin(x)) < 1e-4
    baked = bake(twin)
    assert not frequency_layers(baked)
    assert relative_difference(expected, baked(x)) < 1e-4
    for layer in frequency_layers(twin):
        before = layer.get_weights()
        layer.set_kernel(np.asarray(layer.kernel) * 0.5)
        assert relative_difference(expected, twin(x)) > 1e-3, layer.name
        layer.set_weights(before)


def test_operators_and_keras_ops_in_the_graph():
    inputs = keras.Input((4, 6))
    x = keras.ops.relu(kl.Dense(6, name="a")(inputs) + inputs)[:, 1:]
    x = keras.ops.reshape(x, (-1, 18)) * 2.0
    plain = keras.Model(inputs, kl.Dense(3, name="b")(x))
    assert_same_function(plain, regularize(plain), images(16, (4, 6)))
    assert_same_function(plain, bake(regularize(plain)), images(16, (4, 6)))


def test_layers_that_hold_layers_are_copied_whole():
    inputs = keras.Input((6, 8))
    x = kl.SpectralNormalization(kl.Dense(5, name="wrapped"))(inputs)
    x = kl.Bidirectional(kl.LSTM(3))(x)
    plain = keras.Model(inputs, kl.Dense(3, name="last")(x))
    twin = regularize(plain)
    assert [layer.name for layer in frequency_layers(twin)] == ["last"]
    x = images(16, (6, 8))
    expected = plain(x)
    assert relative_difference(expected, twin(x)) < 1e-4


def test_a_transformer_block():
    inputs = keras.Input((6,), dtype="int32")
    x = kl.Embedding(20, 8, name="embedding")(inputs)
    y = kl.MultiHeadAttention(2, 4, name="attention")(x, x)
    y = kl.LayerNormalization()(x + y)
    z = kl.Dense(8, name="down")(kl.Dense(16, activation="gelu", name="up")(y))
    plain = keras.Model(inputs, kl.Dense(3, name="last")(kl.Flatten()(kl.Add()([y, z]))))
    tokens = np.random.default_rng(0).integers(0, 20, (16, 6))
    twin = regularize(plain)
    assert [layer.name for layer in frequency_layers(twin)] == [
        "embedding",
        *(f"attention_{part}" for part in ("query", "key", "value", "attention_output")),
        "up",
        "down",
        "last",
    ]
    expected = plain(tokens)
    assert relative_difference(expected, twin(tokens)) < 1e-4
    assert relative_difference(expected, bake(twin)(tokens)) < 1e-4
    for part in frequency_layers(twin):
        before = part.get_weights()
        part.set_kernel(np.asarray(part.kernel) * 0.5)
        assert relative_difference(expected, twin(tokens)) > 1e-4, part.name
        part.set_weights(before)


def test_several_inputs_outputs_and_a_shared_layer():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = kl.Dense(5, activation="relu", name="shared")
    x = kl.Concatenate()([shared(a), shared(b), a])
    outputs = {"one": kl.Dense(2, name="one")(x), "two": kl.Dense(3, name="two")(x)}
    plain = keras.Model([a, b], outputs)
    twin = regularize(plain)
    assert [layer.name for layer in frequency_layers(twin)] == ["shared", "one", "two"]
    rows = [images(8, (6,)), images(8, (6,), seed=1)]
    for other in (twin, bake(twin)):
        for name, expected in plain(rows).items():
            assert relative_difference(expected, other(rows)[name]) < 1e-5
    spoiled = halved(plain, "shared")
    for name, expected in plain(rows).items():
        assert relative_difference(expected, spoiled(rows)[name]) > 1e-3


def test_adapted_lookups_are_carried():
    pytest.importorskip("tensorflow")  # Keras has some of these layers there alone
    lookup = kl.IntegerLookup()
    lookup.adapt([7, 8, 9])
    inputs = keras.Input((3,), dtype="int64")
    x = kl.Flatten()(kl.Embedding(5, 4)(lookup(inputs)))
    plain = keras.Model(inputs, kl.Dense(2)(x))
    x = np.array([[7, 8, 9], [9, 9, 1]])
    expected = plain(x)
    assert relative_difference(expected, regularize(plain)(x)) < 1e-5


@pytest.mark.parametrize(
    "arguments", [{"kernel_constraint": "non_neg"}, {"kernel_regularizer": "l1"}]
)
def test_a_layer_that_cannot_hold_coefficients_is_named(arguments):
    model = keras.Sequential(
        [keras.Input((4,)), kl.Dense(3, name="first", **arguments), kl.Dense(2, name="last")]
    )
    with pytest.raises(ValueError, match="Layer 'first' cannot be converted; `exclude` it"):
        regularize(model)
    twin = regularize(model, exclude="first")
    assert [layer.name for layer in frequency_layers(twin)] == ["last"]


def test_baked_models_load_without_fr_keras_and_the_twin_with_its_import(plain, tmp_path):
    model = truncated_twin(plain, 0.05)
    x = images(8)
    np.save(tmp_path / "x.npy", x)
    model.save(tmp_path / "fr.keras")
    for form in ("dense", "factored"):
        bake(model, form=form).save(tmp_path / f"{form}.keras")
    code = (
        "import sys, keras, numpy as np\n"
        "x = np.load('x.npy')\n"
        "for name in ('dense', 'factored', 'fr'):\n"
        "    if name == 'fr':\n"
        "        assert not any(name.startswith('fr_keras') for name in sys.modules)\n"
        "        import fr_keras\n"
        "    np.save(name, keras.models.load_model(f'{name}.keras')(x))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    for name in ("dense", "factored", "fr"):
        y = np.load(tmp_path / f"{name}.npy")
        assert relative_difference(model(x), y) < 1e-4


@pytest.mark.slow
def test_training_a_twin_then_baking(plain):
    x = images(64)
    y = np.arange(64) % 5
    twin = regularize(plain)
    twin.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.fit(x, y, epochs=3, verbose=0, callbacks=[TailTruncation(0.2, epochs=2)])
    assert relative_difference(twin(x), bake(twin)(x)) < 1e-3


def test_lambda_layers_are_copied():
    inputs = keras.Input((6,))
    x = kl.Lambda(lambda t: t * 3, name="triple")(kl.Dense(4)(inputs))
    model = keras.Model(inputs, kl.Dense(2)(x))
    rows = images(4, (6,))
    expected = model(rows)
    twin = regularize(model)
    assert relative_difference(expected, twin(rows)) < 1e-5
    assert relative_difference(expected, bake(twin)(rows)) < 1e-5


def test_layers_of_one_name_are_known_by_their_paths():
    def encoder(name):
        stack = [keras.Input((8,)), keras.layers.Dense(6, name="fc"), keras.layers.Dense(3)]
        return keras.Sequential(stack, name=name)

    left, right = keras.Input((8,)), keras.Input((8,))
    both = keras.layers.Concatenate()([encoder("left")(left), encoder("right")(right)])
    timed = keras.layers.RepeatVector(2)(both)
    timed = keras.layers.TimeDistributed(keras.layers.Dense(2, name="fc"), name="timed")(timed)
    timed = keras.layers.SeparableConv1D(4, 1, name="separable")(timed)
    # A user may call a layer as a part of another one is called.
    part = "separable_pointwise_kernel"
    model = keras.Model([left, right], keras.layers.Dense(2, name=part)(timed))
    names = list(named_layers(model))
    assert {"left/fc", "right/fc", "timed/fc", part, "separable"} <= {*names}
    assert [*named_layers(model).values()] == list(all_layers(model))
    twin = regularize(model)
    kernels = named_kernels(twin)
    assert list(kernels.values()) == frequency_layers(twin)
    assert {"left/fc", part, f"separable/{part}", "separable_depthwise_kernel"} <= {*kernels}
