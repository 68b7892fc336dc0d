"""Work that the tools must not do twice. `benchmarks/tool_costs.py` measures what they take."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import fr_archive
from fr_archive import _series
from fr_keras import regularize, save_archive, tflite, zoo
from fr_keras.tflite._calibration_data import split_rows
from fr_keras.tflite.modes import mode_of


def shared_dense():
    """A layer that is called twice, and weights that do not change between calls."""
    inputs = keras.Input((64,))
    layer = keras.layers.Dense(64)
    x = keras.layers.BatchNormalization()(layer(layer(inputs)))
    return keras.Model(inputs, keras.layers.Dropout(0.5)(x))


@pytest.mark.parametrize("network", [zoo.lenet5, shared_dense])
@pytest.mark.parametrize("trainable", [True, False])
def test_no_graph_of_a_conversion_holds_the_weights(network, trainable):
    """The converter makes several copies of the graph that it is given."""
    model = network()
    model.trainable = trainable
    save, given = tf.saved_model.save, []

    def saved(held, folder, function):
        given.append(function)
        return save(held, folder, function)

    with mock.patch.object(tf.saved_model, "save", saved):
        done = tflite.convert(model)
    assert done.agreement.holds
    (function,) = given
    assert function.graph.as_graph_def().ByteSize() < model.count_params()


def test_weights_of_a_distribution_strategy_are_known():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = zoo.lenet5()
    assert tflite.convert(model).agreement.holds


def test_a_variable_that_is_no_weight_of_the_model_is_refused():
    counter = tf.Variable(2.0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * counter)(inputs))
    with pytest.raises(ValueError, match="must keep no state"):
        tflite.convert(model)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((8,), 32), ((100, 100, 3), 32), ((224, 224, 3), 9), ((480, 480, 3), 8), ((1000, 1000), 8)],
)
def test_fewer_random_rows_are_compared_where_they_are_large(shape, count):
    model = keras.Sequential([keras.Input(shape), keras.layers.ReLU()])
    _, (rows,), told = split_rows(None, model, mode_of("float32"))
    assert rows.shape == (count, *shape)
    assert told == "random"


def test_packing_writes_and_reads_each_number_once(tmp_path):
    model = regularize(zoo.lenet5(), start=776)
    with (
        mock.patch.object(_series, "write", wraps=_series.write) as written,
        mock.patch.object(_series, "read", wraps=_series.read) as read,
    ):
        packing = save_archive(model, tmp_path / "m.fr")
    assert written.call_count == read.call_count == 2  # coefficients, and other weights
    data = (tmp_path / "m.fr").read_bytes()
    assert packing.bytes == len(data)
    kept = sum(len(one.values) for one in fr_archive.decode(data).tensors)
    assert kept == 776


def test_vectors_of_any_lengths_come_back_in_their_order(tmp_path):
    """Those of one length are rounded together."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((3,))])
    for units in (40, 7, 40, 3, 7, 2100):
        model.add(keras.layers.Dense(units))
    model = regularize(model)
    for layer in model.layers:
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    packing = save_archive(model, tmp_path / "m.fr", error=1e-4)
    assert all(max(row.residuals.values()) <= 1.01e-4 for row in packing.layers)
