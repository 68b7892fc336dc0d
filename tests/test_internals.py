"""The private names of Keras and TensorFlow: what each must do; they stand in two files."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from test_layout import MODULES

from fr_keras import _keras_internals as internals
from fr_keras import tflite
from fr_keras.tflite._tensorflow_internals import SavedModelConverter, quantize_int8
from fr_keras.tflite.converter import raw
from fr_keras.tflite.int8.ranges import calibrated
from fr_keras.tflite.modes import INT8
from fr_keras.tflite.scopes import Scopes

PRIVATE = re.compile(
    r"\._(keras_history|nodes_by_depth|inbound_nodes|outbound_nodes|run_through_graph|functional"
    r"|flatten_layers|compile_config)\b|keras\.src|tensorflow\.(compiler|python|lite)\.|mlir_quantize"
)
FILES = {"_keras_internals.py", "_tensorflow_internals.py"}


@pytest.fixture
def model():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="first")], name="inner")
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    outputs = inner(shared(shared(inputs)))
    return keras.Model(inputs, outputs)


def test_private_names_stand_in_two_files():
    for path in MODULES:
        if path.name not in FILES:
            assert not PRIVATE.search(path.read_text()), path


def test_inner_layers(model):
    names = {layer.name for layer in internals.inner_layers(model)}
    assert {"inner", "first", "shared"} <= names


def test_nodes(model):
    assert internals.graph(model) is model
    called = [node.operation.name for node in internals.nodes(model)]
    assert called[-3:] == ["shared", "shared", "inner"]
    inside = internals.nodes(model.get_layer("inner"))
    assert [node.operation.name for node in inside][-1] == "first"
    assert internals.graph(model.get_layer("inner")).operations[-1].name == "first"
    (before,) = internals.nodes(model)[-1].input_tensors
    assert internals.maker(before).name == "shared"
    assert internals.times_called(model.get_layer("shared")) == 2


def test_makers(model):
    assert internals.maker(model.outputs[0]).name == "inner"
    assert internals.innermost_maker(model.outputs[0]).name == "first"


def test_compile_arguments(model):
    def loss(truth, output):
        return output - truth

    model.compile("sgd", loss)
    found = internals.compile_arguments(model)
    assert found["loss"] is loss
    assert found["optimizer"] is model.optimizer


def test_run_through(model):
    called = []

    def call(operation, *args, **kwargs):
        called.append(operation.name)
        return operation(*args, **kwargs)

    inputs = keras.Input((4,))
    copy = keras.Model(inputs, internals.run_through(model, inputs, call))
    assert called == ["shared", "shared", "inner"]
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(copy(x), model(x))


def test_operators():
    """A function of `keras.ops` on a symbolic tensor leaves the operator that has its name."""
    x = keras.Input((4, 4, 8))
    more = {
        "cast": ("float16",),
        "clip": (0, 1),
        "depth_to_space": (2,),
        "expand_dims": (1,),
        "reshape": ((-1, 16, 8),),
        "space_to_depth": (2,),
    }
    binary = ("add", "divide", "maximum", "minimum", "multiply", "power", "subtract", "true_divide")
    for name, operator in internals.OPERATORS.items():
        first = [x, x] if name == "concatenate" else x[:, :1] if name == "squeeze" else x
        arguments = (x,) if name in binary else more.get(name, ())
        outputs = getattr(keras.ops, name)(first, *arguments)
        assert type(internals.maker(outputs)) is operator, name


def test_without_memory():
    with internals.without_memory():
        large = layers.Dense(10**6)
        large.build((None, 10**6))
    assert tuple(large.kernel.shape) == (10**6, 10**6)
    layers.Dense(2).build((None, 2))  # would make the values of the large one


def test_saved_model_converter(tmp_path):
    """The file is that of the public converter, to the byte."""
    held = tf.Module()
    held.weights = tf.Variable(np.ones((4, 3), "float32"))
    function = tf.function(lambda x: x @ held.weights).get_concrete_function(tf.TensorSpec((1, 4)))
    tf.saved_model.save(held, tmp_path, function)
    expected = tf.lite.TFLiteConverter.from_concrete_functions([function], held).convert()
    assert SavedModelConverter(str(tmp_path)).convert() == expected


def test_quantize_int8():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    content = calibrated(raw(Scopes(model), INT8), [np.ones((2, 4), "float32")])
    file = quantize_int8(content, True, tf.int8, tf.int8, [])
    assert tflite.Runner(file).outputs.popitem()[1] == ((3,), np.dtype("int8"))
