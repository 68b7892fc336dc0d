"""Recurrent layers and others with several outputs or a state: the same bytes, and true errors."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers

from fr_keras import tflite


def of_parts(inputs):
    """Of a split only some parts are read, and of an unstacking too."""
    parts = keras.ops.split(layers.Dense(12)(inputs), 3, axis=-1)
    steps = keras.ops.unstack(parts[2], axis=1)
    return keras.ops.sigmoid(parts[0])[:, 0] + keras.ops.tanh(steps[1])


def recurrent(kind, **options):
    """Makes the layer in the test: here it would be drawn from another seed in each process."""
    return lambda x: layers.Dense(3)(kind(4, unroll=True, **options)(x))


NETWORKS = {
    "GRU": recurrent(layers.GRU),
    "GRU of version 1": recurrent(layers.GRU, reset_after=False),
    "LSTM": recurrent(layers.LSTM),
    "SimpleRNN": recurrent(layers.SimpleRNN),
    "both ways": recurrent(lambda *args, **kw: layers.Bidirectional(layers.LSTM(*args, **kw))),
    "parts": of_parts,
}


@pytest.mark.parametrize("network", telling(NETWORKS.values(), NETWORKS["both ways"]), ids=NETWORKS)
# The networks are not trained: a few classes may differ, and that is not the subject.
@pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")
def test_the_same_model_gives_the_same_bytes(network):
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, network(inputs))
    x = np.random.default_rng(0).normal(size=(30, 5, 4)).astype("float32")
    done = [tflite.convert(model, quantize="int8", calibration=x) for _ in range(3)]
    assert len({one.content for one in done}) == 1
    assert done[0].agreement.mean <= done[0].agreement.bound * done[0].agreement.range


class Counter(layers.Layer):
    def build(self, _):
        self.calls = self.add_weight(shape=(), trainable=False, name="calls")

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * self.calls


STATEFUL = {
    "lstm": lambda: layers.LSTM(4, stateful=True, unroll=True),
    "gru": lambda: layers.Bidirectional(layers.GRU(4, stateful=True, unroll=True)),
    "calls": Counter,
}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_state_is_named(name):
    inputs = keras.Input(batch_shape=(1, 5, 4))
    model = keras.Model(inputs, layers.Dense(3)(STATEFUL[name]()(inputs)))
    with pytest.raises(ValueError, match=rf"keep no state from one call .*{name}.*stateful=False"):
        tflite.convert(model)


def test_integers_are_refused_where_tensorflow_cannot_calibrate_them():
    inputs = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Flatten()(layers.Embedding(9, 4)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    rows = np.arange(100).reshape(20, 5) % 9
    with pytest.raises(ValueError, match=r"tokens.*quantize='int8'"):
        tflite.convert(model, quantize="int16x8", calibration=rows)
    assert tflite.convert(model, quantize="int8", calibration=rows).agreement.holds


def dead(kind):
    """A layer that puts out nothing, or nearly nothing, on every row."""
    return lambda x: layers.Dense(3)(layers.Flatten()(kind(x)))


def masked(layer):
    return lambda x: layers.Dense(3)(layer(layers.Masking()(x)))


SILENT = {
    "relu": dead(
        layers.Dense(4, activation="relu", bias_initializer=keras.initializers.Constant(-9))
    ),
    "nearly": dead(
        layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-7))
    ),
    "conv": dead(
        layers.Conv1D(4, 2, activation="relu", bias_initializer=keras.initializers.Constant(-9))
    ),
    "GRU": masked(layers.GRU(4, unroll=True)),
    "LSTM": masked(layers.LSTM(4, unroll=True)),
    "SimpleRNN": masked(layers.SimpleRNN(4, unroll=True)),
}

CONVERT = """
import sys
import keras, numpy as np
import test_recurrent
from fr_keras import tflite
for network in test_recurrent.SILENT.values():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, network(inputs))
    x = np.random.default_rng(0).normal(size=(30, 5, 4)).astype("float32")
    x[:, 3:] = 0
    done = tflite.convert(model, quantize="int8", calibration=x)
    assert done.agreement.mean <= done.agreement.bound * max(done.agreement.range, 1), done
"""


@pytest.mark.slow
def test_layers_that_are_silent_on_all_rows_can_be_run():
    """In a process of its own: LiteRT ended it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONVERT],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


class InDoubles(layers.Layer):
    def call(self, x):
        return keras.ops.cast(keras.ops.cast(x, "float64") * 2 + 1, "float32")


def test_a_layer_that_computes_in_float64_is_named():
    inputs = keras.Input((4,))
    x = layers.Dense(3)(InDoubles(name="doubles")(inputs))
    with pytest.raises(RuntimeError, match=r"float64.*'doubles'"):
        tflite.convert(keras.Model(inputs, x))
