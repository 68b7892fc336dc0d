"""The walk over a graph: what layers know besides their weights, inputs, and being compiled."""

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl

from fr_keras import bake, compact, regularize
from fr_keras.models.walk import rebuild
from fr_keras.tflite import quantization_aware

WORDS = np.array([["b", "a", "zz"], ["a", "c", "c"], ["d", "b", "a"]])
NUMBERS = np.array([[7, 8, 99], [9, 9, 1], [8, 7, 7]])
LINES = np.array(["the cat, the dog", "a dog sat", "the the\nfox"])
REALS = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
MODES = ("int", "multi_hot", "count", "tf_idf")


def adapted(layer, rows):
    layer.adapt(rows)
    return layer


@keras.saving.register_keras_serializable(package="tests")
class Holding(kl.Layer):
    """A user's layer that holds one that learnt."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def compute_output_spec(self, x):
        return self.inner.compute_output_spec(x)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config.pop("inner"))
        return cls(inner, **config)


@keras.saving.register_keras_serializable(package="tests")
class Counted(kl.Layer):
    """A user's layer of which the build config alone knows a number, and the files another."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.offset = 2, 0.0

    def learn(self, classes, offset):
        self.classes, self.offset = classes, offset
        self.build((None, 3))

    def build(self, input_shape):
        self.table = self.add_weight(shape=(input_shape[-1], self.classes), initializer="normal")

    def call(self, x):
        return keras.ops.matmul(x, self.table) + self.offset

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.classes)

    def get_build_config(self):
        return {"classes": self.classes}

    def build_from_config(self, config):
        self.classes = config["classes"]
        self.build((None, 3))

    def save_assets(self, folder):
        np.savetxt(f"{folder}/offset.txt", [self.offset])

    def load_assets(self, folder):
        self.offset = float(np.loadtxt(f"{folder}/offset.txt"))


@keras.saving.register_keras_serializable(package="tests")
class Noise(kl.Layer):
    """A user's layer that draws numbers when it predicts."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator()

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def learnt():
    layer = Counted()
    layer.learn(4, 0.5)
    return layer


def built_lookup(cls, mode, given):
    words, dtype = (WORDS, "str") if cls is kl.StringLookup else (NUMBERS, "int64")
    if given:
        more = {"idf_weights": [0.5, 0.25]} if mode == "tf_idf" else {}
        layer = cls(vocabulary=words[0, :2].tolist(), output_mode=mode, **more)
    else:
        layer = adapted(cls(output_mode=mode), words)
    return layer, words, dtype


LAYERS = {
    **{
        f"{cls.__name__}-{mode}-{'given' if given else 'adapted'}": (
            lambda cls=cls, mode=mode, given=given: built_lookup(cls, mode, given)
        )
        for cls in (kl.StringLookup, kl.IntegerLookup)
        for mode in MODES
        for given in (True, False)
    },
    **{
        f"TextVectorization-{mode}": lambda mode=mode: (
            adapted(
                kl.TextVectorization(
                    output_mode=mode, output_sequence_length=4 if mode == "int" else None
                ),
                LINES,
            ),
            LINES,
            "str",
        )
        for mode in MODES
    },
    "TextVectorization-given": lambda: (
        kl.TextVectorization(
            vocabulary=["the", "dog"], idf_weights=[0.5, 2.0], output_mode="tf_idf"
        ),
        LINES,
        "str",
    ),
    "TextVectorization-characters": lambda: (
        adapted(
            kl.TextVectorization(standardize=None, split="character", output_sequence_length=12),
            np.array(["a\nb\u2028c\r", "b\x0ca\u00e9"]),
        ),
        np.array(["a\nb\u2028c\r", "\u2028\u00e9"]),
        "str",
    ),
    "StringLookup-padded": lambda: (
        adapted(kl.StringLookup(output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True), WORDS),
        WORDS,
        "str",
    ),
    "StringLookup-masked": lambda: (
        adapted(kl.StringLookup(mask_token="a", num_oov_indices=2), WORDS),
        WORDS,
        "str",
    ),
    "StringLookup-one_hot": lambda: (
        adapted(kl.StringLookup(output_mode="one_hot"), WORDS),
        WORDS[:, :1],
        "str",
    ),
    "StringLookup-inverse": lambda: (
        kl.StringLookup(vocabulary=["a", "b"], invert=True),
        np.array([[1, 2], [0, 1]]),
        "int64",
    ),
    "StringLookup-set-later": lambda: (set_later(), WORDS, "str"),
    "StringLookup-file": lambda: (from_file(), WORDS, "str"),
    "Discretization-adapted": lambda: (adapted(kl.Discretization(num_bins=4), REALS), REALS, None),
    "Discretization-one_hot": lambda: (
        adapted(kl.Discretization(num_bins=5, output_mode="one_hot"), REALS),
        REALS,
        None,
    ),
    "Discretization-given": lambda: (kl.Discretization([-1.0, 0.0, 1.0]), REALS, None),
    "Normalization-adapted": lambda: (adapted(kl.Normalization(), REALS), REALS, None),
    "Normalization-inverse": lambda: (
        adapted(kl.Normalization(axis=None, invert=True), REALS),
        REALS,
        None,
    ),
    "Normalization-given": lambda: (
        kl.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0]),
        REALS,
        None,
    ),
    "Hashing": lambda: (kl.Hashing(5, salt=3), WORDS, "str"),
    "CategoryEncoding": lambda: (
        kl.CategoryEncoding(100, output_mode="multi_hot"),
        NUMBERS,
        "int64",
    ),
    "Pipeline": lambda: (
        kl.Pipeline(
            [adapted(kl.Normalization(), REALS), adapted(kl.Discretization(num_bins=4), REALS)]
        ),
        REALS,
        None,
    ),
    "Holding-lookup": lambda: (
        Holding(adapted(kl.StringLookup(output_mode="tf_idf"), WORDS)),
        WORDS,
        "str",
    ),
    "Holding-bins": lambda: (Holding(adapted(kl.Discretization(num_bins=4), REALS)), REALS, None),
    "Counted": lambda: (learnt(), REALS, None),
    "Noise": lambda: (Noise(), REALS, None),
    "Bidirectional": lambda: (
        kl.Bidirectional(kl.GRU(4, dropout=0.2)),
        REALS.reshape(20, 2, 3),
        None,
    ),
    "SpectralNormalization": lambda: (kl.SpectralNormalization(kl.Dense(3)), REALS, None),
}


def set_later():
    layer = kl.StringLookup(vocabulary=["c", "zz"])
    layer.set_vocabulary(["b", "a"])
    return layer


def from_file():
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("b\na")
        file.flush()
        return kl.StringLookup(vocabulary=file.name)


def outputs(model, rows):
    if rows.dtype.kind == "U":
        rows = tf.constant(rows)
    return np.asarray(model(rows))


def inside(layer, rows, dtype):
    dtype = {"str": "string"}.get(dtype, dtype)
    inputs = keras.Input(rows.shape[1:], dtype=dtype)
    return keras.Model(inputs, layer(inputs))


@pytest.mark.parametrize("name", LAYERS)
def test_a_copy_knows_what_the_layer_learnt(name):
    layer, rows, dtype = LAYERS[name]()
    model = inside(layer, rows, dtype)
    copy = rebuild(model, lambda layer: None)
    assert copy.layers[-1] is not model.layers[-1]
    assert np.array_equal(outputs(copy, rows), outputs(model, rows))
    assert len(np.unique(outputs(model, rows))) > 1


def test_a_copy_knows_what_nested_layers_learnt():
    bins = adapted(kl.Discretization(num_bins=4, output_mode="multi_hot"), REALS)
    scaled = adapted(kl.Normalization(), REALS)
    nested = keras.Sequential([keras.Input((3,)), scaled, bins, kl.Dense(4)], name="nested")
    inputs = keras.Input((2, 3))
    timed = kl.TimeDistributed(adapted(kl.Discretization(num_bins=4), REALS))(inputs)
    both = kl.Concatenate()([kl.Flatten()(kl.TimeDistributed(nested)(inputs)), kl.Flatten()(timed)])
    model = keras.Model(inputs, kl.Dense(3)(both))
    rows = REALS[:20].reshape(-1, 2, 3)[:10]
    for copy in (rebuild(model, lambda layer: None), regularize(model), bake(regularize(model))):
        assert np.allclose(outputs(copy, rows), outputs(model, rows), atol=1e-5)


def test_a_crossing_of_two_inputs_is_carried():
    inputs = [keras.Input((1,), dtype="string"), keras.Input((1,), dtype="string")]
    model = keras.Model(inputs, kl.HashedCrossing(7, output_mode="one_hot")(inputs))
    rows = [tf.constant(WORDS[:, :1]), tf.constant(WORDS[:, 1:2])]
    copy = rebuild(model, lambda layer: None)
    assert np.array_equal(np.asarray(copy(rows)), np.asarray(model(rows)))


def unregistered_loss(true, predicted):
    return keras.ops.mean(keras.ops.abs(predicted - keras.ops.cast(true, predicted.dtype)))


def compiled_model(sequential):
    inner = [keras.Input((6,), name="x"), kl.Dense(40, name="a"), kl.ReLU(), kl.Dense(4, name="b")]
    inner = keras.Sequential(inner, name="inner")
    inner.compile("sgd", unregistered_loss)
    inputs = keras.Input((6,))
    model = inner if sequential else keras.Model(inputs, kl.Dense(3, name="last")(inner(inputs)))
    model.compile("adam", unregistered_loss)
    return model


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("sequential", [True, False])
def test_what_comes_back_is_not_compiled(sequential):
    """Not even where the model was: its loss may be one that Keras cannot find by name."""
    model, x = compiled_model(sequential), REALS[:10].repeat(2, 1)
    twin = regularize(model)
    twin.compile("adam", unregistered_loss)
    for part in (part for part in twin._flatten_layers() if hasattr(part, "truncate")):
        part.truncate(5)
    copies = [
        rebuild(model, lambda layer: None),
        regularize(model),
        bake(twin),
        bake(twin, form="factored"),
        quantization_aware(model, x),
        quantization_aware(twin, x),
    ]
    for copy in copies:
        parts = [one for one in copy._flatten_layers() if isinstance(one, keras.Model)]
        assert not any(one.compiled for one in parts)
    assert model.compiled
    assert twin.compiled
    model.fit(x, np.zeros((10, *model.output_shape[1:])), verbose=0)


def test_inputs_stay_what_they_are():
    needed = keras.Input((4,), name="needed", dtype="float16")
    extra = keras.Input((4,), name="extra", optional=True, batch_size=2)
    scaled = kl.Dense(3)(needed)

    @keras.saving.register_keras_serializable(package="tests")
    class Plus(kl.Layer):
        def call(self, x, extra):
            return x if extra is None else x + extra[:, :3]

        def compute_output_shape(self, shape, *_):
            return shape

    model = keras.Model([needed, extra], Plus()(scaled, extra))
    copy = rebuild(model, lambda layer: None)
    for before, after in zip(model.inputs, copy.inputs, strict=True):
        assert before is not after
        assert (before.name, before.dtype, before.shape) == (after.name, after.dtype, after.shape)
    rows = [REALS[:2].repeat(2, 1)[:, :4], None]
    assert np.allclose(np.asarray(copy(rows)), np.asarray(model(rows)))


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_compact_is_compiled_where_the_model_was(policy):
    layers = [keras.Input((6,)), kl.Dense(40, dtype=policy), kl.Dense(2, dtype=policy)]
    model = regularize(keras.Sequential(layers))
    model.layers[0].truncate(10)
    assert not compact(model).compiled
    metrics = [unregistered_loss, keras.metrics.MeanSquaredError()]
    model.compile(
        "adam", lambda true, predicted: unregistered_loss(true, predicted), metrics=metrics
    )
    x = REALS[:10].repeat(2, 1)
    model.fit(x, np.zeros((10, 2)), verbose=0)
    small = compact(model)
    expected = model.evaluate(x, np.zeros((10, 2)), verbose=0)
    assert np.allclose(small.evaluate(x, np.zeros((10, 2)), verbose=0), expected, rtol=1e-2)
    small.fit(x, np.zeros((10, 2)), verbose=0)
