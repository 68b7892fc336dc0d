"""Statistics of batch normalizations: those of training on all rows as one batch."""

import keras
import numpy as np
import pytest
from backends import BACKEND, batched, tensorflow_alone
from examples import telling
from keras import layers as kl
from keras import ops
from networks import bfloat16, images, small_convnet

from fr_keras import interop, layers, regularize
from fr_keras.models import moments
from fr_keras.models.calibration import calibrate_batch_norm
from fr_keras.models.moments import Moments

pytestmark = pytest.mark.usefixtures("stepwise_module")


def statistics(model) -> list[np.ndarray]:
    norms = [one for one in model._flatten_layers() if isinstance(one, kl.BatchNormalization)]
    return [np.array(w) for one in norms for w in (one.moving_mean, one.moving_variance)]


def in_one_batch(model, x) -> list[np.ndarray]:
    """The reference: Keras' own training mode, all rows at once, on a copy without randomness."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for norm in copy._flatten_layers():
        if isinstance(norm, kl.BatchNormalization):
            norm.momentum, norm.trainable = 0.0, True
    copy(x, training=True)
    return statistics(copy)


def assert_close(found, expected, rtol=1e-4):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1, np.abs(b).max()))


def sorted_rows(rows, shape):
    """Rows as in a sorted folder: the mean moves from the first to the last."""
    x = images(rows, shape)
    return x + np.linspace(0, 5, rows, dtype=np.float32).reshape(-1, *[1] * len(shape))


def chain(*middle, shape=(6, 4), **norm):
    """Three normalizations in a row, with other layers in between."""
    keras.utils.set_random_seed(0)
    ends = [kl.Dense(5), kl.BatchNormalization(**norm), kl.ReLU()]
    more = [kl.Dense(4), kl.BatchNormalization(), kl.Dense(3), kl.BatchNormalization()]
    return keras.Sequential([keras.Input(shape), *ends, *middle, *more])


def nested():
    inputs = keras.Input((6, 4))
    inner = keras.Sequential([keras.Input((6, 5)), kl.Dense(5), kl.BatchNormalization()])
    x = kl.BatchNormalization()(inputs=kl.Dense(5)(inputs))
    x = kl.Concatenate()([inner(x), kl.BatchNormalization()(kl.Dense(2)(inputs))])
    return keras.Model(inputs, kl.BatchNormalization()(kl.Dense(3)(x)))


def masked():
    inputs = keras.Input((6, 4))
    x = kl.BatchNormalization()(kl.Masking(0.0)(inputs))
    return keras.Model(inputs, kl.BatchNormalization()(kl.Dense(3)(x)))


@keras.saving.register_keras_serializable("tests")
class Block(kl.Layer):
    """A layer that holds layers, which no walk over the graph opens."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.norm = kl.Dense(4), kl.BatchNormalization()

    def build(self, shape):
        self.dense.build(shape)
        self.norm.build((*shape[:-1], 4))

    def call(self, inputs, training=None):
        return self.norm(self.dense(inputs), training=training)


def on_corners():
    return regularize(small_convnet(), start=0.2)


def in_half():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return chain()
    finally:
        keras.config.set_dtype_policy("float32")


MODELS = {
    "chain": chain,
    "axis": lambda: chain(axis=1),
    "renorm": lambda: chain(renorm=True),
    "bare": lambda: chain(center=False, scale=False, trainable=False),
    "nested": nested,
    "masked": masked,
    "block": lambda: chain(Block()),
    "convnet": small_convnet,
    "corners": on_corners,
    "half": in_half,
}


@pytest.mark.parametrize(
    "name",
    [
        *telling([one for one in MODELS if one != "half"], "masked", "corners"),
        pytest.param("half", marks=(bfloat16, pytest.mark.slow)),
    ],
)
def test_statistics_are_those_of_one_batch_however_the_rows_come(name):
    model = MODELS[name]()
    drop = [one for one in model.layers if isinstance(one, kl.Dropout)]
    for one in drop:
        one.rate = 0.0
    x = sorted_rows(64, model.input_shape[1:])
    if name == "masked":
        x[:, 3:][np.random.default_rng(0).random((64, 3)) < 0.7] = 0
        x[1:20, 2:] = 0
    # In training, renormalization is by other statistics.
    expected = in_one_batch(chain() if name == "renorm" else model, x)
    rows = np.random.default_rng(0).permutation(64)
    ways = [x, [x[:63], x[63:]], [x[:1], x[1:2], x[2:]], [x[rows[:20]], x[rows[20:]]]]
    found = []
    for way in ways:
        calibrate_batch_norm(model, way)
        found.append(statistics(model))
        assert_close(found[-1], expected, 2e-2 if name == "half" else 1e-4)
    for other in found[1:]:
        assert_close(other, found[0], 5e-3 if name == "half" else 1e-6)


def test_the_formula_in_numpy():
    model = chain(shape=(4,))
    x = sorted_rows(50, (4,))
    calibrate_batch_norm(model, [(part, None) for part in np.array_split(x, 7)])
    y = x.astype(np.float64)
    for layer in model.layers:
        if isinstance(layer, kl.Dense):
            y = y @ np.float64(layer.kernel) + np.float64(layer.bias)
        elif isinstance(layer, kl.ReLU):
            y = np.maximum(y, 0)
        else:
            np.testing.assert_allclose(layer.moving_mean, y.mean(0), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(layer.moving_variance, y.var(0), rtol=1e-4)
            y = (y - y.mean(0)) / np.sqrt(y.var(0) + layer.epsilon)


def test_a_large_mean_does_not_drown_the_variance():
    model = keras.Sequential([keras.Input((64, 64, 2)), kl.BatchNormalization()])
    x = (1000 + np.random.default_rng(0).normal(size=(40, 64, 64, 2))).astype(np.float32)
    calibrate_batch_norm(model, x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(model.layers[0].moving_mean, wide.mean((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(model.layers[0].moving_variance, wide.var((0, 1, 2)), rtol=1e-6)


class Sometimes(kl.Layer):
    """Stochastic depth as people write it."""

    def call(self, inputs, training=None):
        return inputs * keras.random.uniform(()) if training else inputs


def attention(inputs):
    return kl.MultiHeadAttention(2, 3, dropout=0.5)(inputs, inputs)


RANDOM = {
    "dropout": lambda x: kl.Dropout(0.5)(x),
    "spatial": lambda x: kl.SpatialDropout1D(0.5)(x),
    "noise": lambda x: kl.GaussianNoise(1.0)(x),
    "gaussian": lambda x: kl.GaussianDropout(0.5)(x),
    "alpha": lambda x: kl.AlphaDropout(0.5)(x),
    "attention": attention,
    "lstm": lambda x: kl.LSTM(4, dropout=0.5, return_sequences=True)(x),
    "gru": lambda x: kl.GRU(4, recurrent_dropout=0.5, return_sequences=True)(x),
    "own": lambda x: Sometimes()(x),
    "augmentation": lambda x: ops.squeeze(kl.RandomContrast(0.9)(x[..., None]), -1),
}


@pytest.mark.parametrize("name", RANDOM)
def test_nothing_random_acts(name):
    inputs = keras.Input((6, 4))
    x = RANDOM[name](inputs)
    model = keras.Model(inputs, kl.BatchNormalization()(x))
    before = keras.Model(inputs, x)
    x = sorted_rows(20, (6, 4))
    calibrate_batch_norm(model, x)
    values = before.predict(x, verbose=0).astype(np.float64)
    assert_close(statistics(model), [values.mean((0, 1)), values.var((0, 1))])


def test_a_shared_normalization_has_the_statistics_of_all_its_calls():
    keras.utils.set_random_seed(0)
    shared = [kl.Dense(5), kl.BatchNormalization(), kl.Dense(3), kl.BatchNormalization()]
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    ends = []
    for x in (left, kl.Dense(4)(kl.BatchNormalization()(right))):
        for layer in shared:
            x = layer(x)
        ends.append(x)
    model = keras.Model([left, right], kl.BatchNormalization()(kl.Concatenate()(ends)))
    x = {"left": sorted_rows(30, (4,)), "right": 3 - sorted_rows(30, (4,))}
    calibrate_batch_norm(model, x)
    found = statistics(model)
    # Its inputs at inference, which depend on the statistics of those before it alone.
    for norm in shared[1::2]:
        tensors = [node.input_tensors[0] for node in norm._inbound_nodes]
        values = keras.Model([left, right], ops.concatenate(tensors, 0)).predict(x, verbose=0)
        assert_close([norm.moving_mean, norm.moving_variance], [values.mean(0), values.var(0)])
    calibrate_batch_norm(model, [{k: v[i : i + 7] for k, v in x.items()} for i in range(0, 30, 7)])
    assert_close(statistics(model), found, 1e-6)


def test_a_block_that_is_applied_twice():
    """Its normalization depends on itself: the statistics are of both calls, in any batches."""
    inputs = keras.Input((4,))
    block = [kl.Dense(4, activation="tanh"), kl.BatchNormalization(), kl.Dense(4)]
    between, x = kl.BatchNormalization(), inputs
    for number in range(2):
        for layer in block:
            x = layer(x)
        x = between(x) if number == 0 else x
    model = keras.Model(inputs, kl.BatchNormalization()(x))
    x = sorted_rows(40, (4,))
    found = []
    for size in (40, 9):
        calibrate_batch_norm(model, [x[i : i + size] for i in range(0, 40, size)])
        found.append(statistics(model))
    assert_close(found[1], found[0], 1e-6)
    assert not np.allclose(found[0][0], np.tanh(x @ np.array(block[0].kernel)).mean(0), rtol=1e-2)


@pytest.mark.parametrize("steps", [6, None])
def test_within_time_distributed(steps):
    layer = kl.TimeDistributed(kl.BatchNormalization())
    model = keras.Sequential([keras.Input((steps, 4)), kl.Dense(3), layer])
    x = sorted_rows(20, (6, 4))
    calibrate_batch_norm(model, [x[:13], x[13:]])
    values = keras.ops.convert_to_numpy(model.layers[0](x)).astype(np.float64)
    assert_close(statistics(model), [values.mean((0, 1)), values.var((0, 1))])
    if steps is None:
        if BACKEND != "tensorflow":
            return  # the others compute as many steps as there are
        with pytest.raises(ValueError, match="in a loop over an unknown number of steps"):
            calibrate_batch_norm(model, [x, x[:, :4]])


@pytest.mark.parametrize("kind", ["array", "dataset", "generator", "labelled", "tensor"])
def test_data_in_every_form(kind):
    x = sorted_rows(20, (4,))
    data = {
        "array": x,
        "dataset": batched((x, x), 7),
        "generator": (part for part in np.array_split(x, 3)),
        "labelled": [(x[:15], None), [x[15:], None]],
        "tensor": keras.ops.array(x),
    }[kind]
    model = keras.Sequential([keras.Input((4,)), kl.BatchNormalization()])
    assert calibrate_batch_norm(model, data).rows == 20
    assert_close(statistics(model), [x.mean(0), x.var(0)])


def test_several_inputs_and_a_fixed_batch():
    a, b = keras.Input(batch_shape=(5, 3)), keras.Input(batch_shape=(5, 3))
    model = keras.Model([a, b], kl.BatchNormalization()(kl.Add()([a, b])))
    x, y = images(20, (3,)), images(20, (3,), seed=1)
    calibrate_batch_norm(model, [[x, y]])
    assert_close(statistics(model), [(x + y).mean(0), (x + y).var(0)])


@tensorflow_alone("it sees the rows within its graph")
def test_the_network_is_computed_in_small_parts(monkeypatch):
    """However large the batches are that are given."""
    import tensorflow as tf

    seen = []
    original = tf.compat.v1.wrap_function

    def watched(function, signature):
        def noting(x):
            noted = tf.py_function(lambda x: seen.append(len(x)) or x, [x], x.dtype)
            return function(tf.ensure_shape(noted, x.shape))

        return original(noting, signature)

    monkeypatch.setattr(tf.compat.v1, "wrap_function", watched)
    model = keras.Sequential([keras.Input((256, 256, 1)), kl.Conv2D(2, 3), kl.BatchNormalization()])
    calibrate_batch_norm(model, images(40, (256, 256, 1)))
    assert max(seen) <= 16


def test_normalizations_that_do_not_depend_on_each_other_are_measured_together(monkeypatch):
    steps = []
    measure = Moments._measure

    def watched(self, calls, *arguments):
        steps.append(len(calls))
        measure(self, calls, *arguments)

    monkeypatch.setattr(Moments, "_measure", watched)
    calibrate_batch_norm(nested(), images(8, (6, 4)))
    # Only the graph of TensorFlow says what depends on what.
    assert steps == ([2, 1, 1] if BACKEND == "tensorflow" else [1, 1, 1, 1])


# What it tells


def trained():
    model = chain(shape=(4,))
    interop.calibrate_batch_norm(model, images(50, (4,)))
    return model


def test_it_tells_how_far_the_network_changed():
    model, x = trained(), sorted_rows(60, (4,))
    before = model.predict(x, verbose=0)
    with pytest.warns(UserWarning, match="calibration changed the outputs of .*': on 60 rows"):
        done = calibrate_batch_norm(model, x)
    after = model.predict(x, verbose=0)
    assert done.argmax == pytest.approx(np.mean(before.argmax(-1) == after.argmax(-1)))
    assert done.mean == pytest.approx(np.abs(before - after).mean(), rel=1e-4)
    assert done.range == pytest.approx(np.ptp(before), rel=1e-4)
    assert not done.holds
    assert f"arg-max agrees on {done.argmax:.1%}" in str(done)


def test_what_has_the_statistics_already_is_told_so():
    model = trained()
    done = calibrate_batch_norm(model, images(50, (4,)))
    assert done.holds
    assert done.argmax == 1.0


def test_a_network_without_statistics_gets_no_warning():
    assert not calibrate_batch_norm(chain(shape=(4,)), 50 * images(50, (4,))).holds


# What is refused, and what is left as it was


def test_a_failure_leaves_everything_as_it_was():
    model = trained()
    before = statistics(model)
    x = images(30, (4,))
    x[20] = np.nan
    with pytest.raises(ValueError, match="`data` must give every batch normalization"):
        calibrate_batch_norm(model, x)
    assert_close(statistics(model), before, 0)
    assert all("call" not in vars(layer) for layer in model.layers)
    with pytest.raises(ValueError, match="at least one batch with rows"):
        calibrate_batch_norm(model, [x[:0]])


def test_an_interruption_leaves_everything_as_it_was(monkeypatch):
    model, assigned = trained(), []
    before = statistics(model)
    assign = moments._assign

    def interrupted(norm, *sums):
        assign(norm, *sums)
        assigned.append(norm)
        if len(assigned) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(moments, "_assign", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate_batch_norm(model, sorted_rows(20, (4,)))
    assert_close(statistics(model), before, 0)


def test_only_statistics_change():
    model = on_corners()
    others = [w for w in model.weights if "moving" not in w.path]
    before = [w.numpy() for w in others]
    settings = [layer.get_config() for layer in model.layers]
    calibrate_batch_norm(model, images(30))
    for weight, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [layer.get_config() for layer in model.layers] == settings
    assert any(isinstance(one, layers.FRBatchNormalization) for one in model.layers)
