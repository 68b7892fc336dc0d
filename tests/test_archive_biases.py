"""A bias moves into the mean behind it only where nobody else reads the output."""

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers
from networks import images, relative_difference

import fr_keras
from fr_keras import regularize
from fr_keras.models.walk import all_layers

FINE = {"step": 1e-6, "error": 1e-6, "kernel_error": 1e-6}


def norm(x, name="bn", **how):
    return layers.BatchNormalization(name=name, **how)(x)


def dense(name="hidden", units=6, **how):
    return layers.Dense(units, name=name, **how)


def chain(x):
    return norm(dense()(x))


def read_by_an_output(x):
    hidden = dense()(x)
    return [hidden, norm(hidden)]


def read_by_another_layer(x):
    hidden = dense()(x)
    return layers.Add()([hidden, norm(hidden)])


def read_twice_by_norms(x):
    hidden = dense()(x)
    return layers.Add()([norm(hidden), norm(hidden, "other")])


def read_by_an_inner_model(x):
    hidden = dense()(x)
    inner = keras.Sequential([keras.Input((5, 6)), layers.ReLU()], name="inner")
    return [inner(hidden), norm(hidden)]


def an_output_of_an_inner_model(x):
    given = keras.Input((5, 4))
    hidden = dense()(given)
    inner = keras.Model(given, [hidden, norm(hidden)], name="inner")
    return inner(x)


def an_inner_model_called_twice(x):
    given = keras.Input((5, 4))
    inner = keras.Model(given, norm(dense()(given)), name="inner")
    return [inner(x), inner(layers.ReLU()(x))]


def two_models_of_the_same_layers(x):
    given = keras.Input((5, 4))
    hidden = dense()(given)
    whole = keras.Model(given, norm(hidden), name="whole")
    half = keras.Model(given, hidden, name="half")
    return [whole(x), half(x)]


def a_layer_called_twice(x):
    shared = dense()
    return [norm(shared(x)), shared(layers.ReLU()(x))]


def a_norm_called_twice(x):
    shared = layers.BatchNormalization(name="bn")
    return [shared(dense()(x)), shared(layers.ReLU()(dense("other")(x)))]


def a_layer_that_steps_through_time_too(x):
    shared = dense()
    steps = layers.TimeDistributed(shared, name="steps")
    return [norm(shared(x)), steps(layers.ReLU()(x))]


def a_norm_that_steps_through_time_too(x):
    shared = layers.BatchNormalization(name="bn")
    steps = layers.TimeDistributed(shared, name="steps")
    return [shared(dense()(layers.Flatten()(x))), steps(dense("other")(x))]


def a_model_that_steps_through_time(x):
    inner = keras.Sequential([keras.Input((4,)), dense(), layers.BatchNormalization()])
    return layers.TimeDistributed(inner, name="steps")(x)


def by_keyword(x):
    hidden = dense()(inputs=x)
    return [layers.BatchNormalization(name="bn")(inputs=hidden), layers.ReLU()(hidden)]


def by_keyword_alone(x):
    return layers.BatchNormalization(name="bn")(inputs=dense()(inputs=x))


def another_axis(x):
    return norm(dense(units=5)(x), axis=1)


def an_activation_between(x):
    return norm(dense(activation="relu")(x))


def a_regularized_output(x):
    return norm(dense(activity_regularizer="l2")(x))


def a_regularized_bias(x):
    return norm(dense(bias_regularizer="l2")(x))


def a_cell_that_keeps_its_output(x):
    first = layers.Flatten()(x)
    cell = layers.SimpleRNNCell(6, activation=None, name="hidden")
    output, state = cell(first, [dense("other")(first)])
    return [norm(output), state]


def convolutions(x):
    y = norm(layers.Conv1D(6, 3, name="conv")(x))
    y = norm(layers.SeparableConv1D(5, 2, name="separable")(y), "second")
    y = norm(layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", name="einsum")(y), "third")
    return [y, norm(layers.Conv1DTranspose(6, 3, name="up")(x), "fourth")]


GRAPHS = [
    chain,
    read_by_an_output,
    read_by_another_layer,
    read_twice_by_norms,
    read_by_an_inner_model,
    an_output_of_an_inner_model,
    an_inner_model_called_twice,
    two_models_of_the_same_layers,
    a_layer_called_twice,
    a_norm_called_twice,
    a_layer_that_steps_through_time_too,
    a_norm_that_steps_through_time_too,
    a_model_that_steps_through_time,
    by_keyword,
    by_keyword_alone,
    another_axis,
    an_activation_between,
    a_regularized_output,
    a_regularized_bias,
    a_cell_that_keeps_its_output,
    convolutions,
]
MOVES = [
    chain,
    an_inner_model_called_twice,
    a_model_that_steps_through_time,
    by_keyword_alone,
    convolutions,
]


def network(graph) -> keras.Model:
    """The graph with numbers that tell a lost bias."""
    inputs = keras.Input((5, 4), name="sequence")
    outputs = graph(inputs)
    model = regularize(keras.Model(inputs, outputs, name="graph"))
    random = np.random.default_rng(0)
    for layer in all_layers(model):
        for weight in layer.weights:
            if weight.name == "bias":
                weight.assign(random.normal(size=weight.shape))
            if weight.name in ("moving_mean", "moving_variance"):
                weight.assign(random.uniform(0.5, 2, size=weight.shape))
    return model


@pytest.mark.parametrize(
    "graph",
    telling(
        GRAPHS,
        *(read_by_an_output, read_twice_by_norms, an_inner_model_called_twice, by_keyword_alone),
        *(a_norm_that_steps_through_time_too, a_regularized_bias, a_cell_that_keeps_its_output),
    ),
    ids=lambda graph: graph.__name__,
)
def test_the_function_stays_whoever_reads(graph, tmp_path):
    model = network(graph)
    fr_keras.save_archive(model, tmp_path / "m.fr", **FINE)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    x = images(3, (5, 4))
    expected, found = (keras.tree.flatten(one(x)) for one in (model, loaded))
    for before, after in zip(expected, found, strict=True):
        assert relative_difference(before, after) < 1e-4
    before, after = (sum(map(keras.ops.convert_to_numpy, one.losses)) for one in (model, loaded))
    assert np.isclose(before, after, rtol=1e-4)
    biases = [one.bias for one in all_layers(loaded) if one.name in ("hidden", "conv", "up")]
    assert [not np.any(one) for one in biases if one is not None] == [graph in MOVES] * len(biases)


def test_a_model_outside_reads_nothing(tmp_path):
    """Layers that the model shares with others of which it is a part."""
    inputs = keras.Input((5, 4))
    hidden = fr_keras.layers.FRDense(6, name="hidden")(inputs)
    model = keras.Model(inputs, norm(hidden))
    keras.Model(inputs, [norm(hidden, "other"), hidden])
    model.get_layer("hidden").bias.assign(np.arange(6))
    fr_keras.save_archive(model, tmp_path / "m.fr", **FINE)
    assert not np.any(fr_keras.load_archive(tmp_path / "m.fr").get_layer("hidden").bias)
