"""Inputs and outputs of any structure, flat and by name."""

import collections

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers as kl

from fr_keras import bake, load_archive, regularize, save_archive
from fr_keras.tflite import convert, quantization_aware, run
from fr_keras.tflite.signature import by_input, input_names, output_names

Pair = collections.namedtuple("Pair", ["left", "right"])
# A structure of numbers of channels, and the names of its tensors; `None` is a layer's own.
STRUCTURES = {
    "tensor": (3, [None]),
    "list of one": ([3], [None]),
    "list": ([3, 4], [None, None]),
    "lists in a list": ([[3, 4], 5], [None] * 3),
    "dict": ({"q": 3, "p": 4}, ["p", "q"]),
    "dict of one": ({"q": 3}, ["q"]),
    "dict of lists of one": ({"q": [3], "p": [4]}, ["p/0", "q/0"]),
    "dict of lists": ({"q": [3, 4], "p": 5}, ["p", "q/0", "q/1"]),
    "dict of tuples": ({"q": (3, 4), "p": 5}, ["p", "q/0", "q/1"]),
    "dict in a dict": ({"q": {"b": 3, "a": 4}, "p": 5}, ["p", "q/a", "q/b"]),
    "dicts in a list": ([{"a": 3}, {"a": 4}, 5], ["0/a", "1/a", None]),
    "deep": ({"z": [{"a": [3, 4]}, 5]}, ["z/0/a/0", "z/0/a/1", "z/1"]),
    "keys like paths": ({"a": [3, 4], "a/0": 5}, ["a/0_0", "a/1", "a/0_2"]),
    "named tuple": (Pair(3, 4), [None, None]),
}

# Keras would have each input named as the key of the dict that holds it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict"),
    pytest.mark.usefixtures("stepwise_module"),
]
each_structure = pytest.mark.parametrize("name", STRUCTURES)
often = pytest.mark.parametrize(
    "name",
    telling(STRUCTURES, "tensor", "list of one", "dict of tuples", "keys like paths", "deep"),
)
seldom = pytest.mark.parametrize("name", telling(STRUCTURES, "keys like paths", "deep"))


def expected_names(name, prefix):
    return [
        f"{prefix}{number}" if own is None else own
        for number, own in enumerate(STRUCTURES[name][1])
    ]


def model_of(inputs_name, outputs_name):
    """A model in which every output depends on every input, each in a way of its own."""
    flat = iter(range(9))
    inputs = keras.tree.map_structure(
        lambda n: keras.Input((n,), name=f"i{next(flat)}"), STRUCTURES[inputs_name][0]
    )
    tensors = keras.tree.flatten(inputs)
    x = [kl.Dense(6, name=f"d{n}")(one) for n, one in enumerate(tensors)]
    x = kl.Concatenate()(x) if len(x) > 1 else x[0]
    flat = iter(range(9))
    outputs = keras.tree.map_structure(
        lambda n: kl.Dense(n, name=f"o{next(flat)}")(x), STRUCTURES[outputs_name][0]
    )
    return keras.Model(inputs, outputs)


def rows_of(model, count=40):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(count, *one.shape[1:])).astype("float32") for one in model.inputs]


def packed(model, rows):
    return keras.tree.pack_sequence_as(model.input, rows)


def assert_close(got, expected):
    for one, other in zip(got, expected, strict=True):
        assert np.abs(one - other).max() < 1e-4


def ways(model, rows):
    """In the structure of the model, flat in order, and by name."""
    by_name = dict(zip(input_names(model), rows, strict=True))
    given = (packed(model, rows), rows, by_name)
    return [rows[0] if len(rows) == 1 and isinstance(one, list) else one for one in given]


@each_structure
def test_names_tell_the_place(name):
    model = model_of(name, "tensor")
    assert input_names(model) == expected_names(name, "i")
    assert output_names(model_of("tensor", name)) == expected_names(name, "o")


@often
def test_a_file_takes_and_gives_what_the_model_does(name):
    model = model_of(name, name)
    rows = rows_of(model)
    expected = keras.tree.flatten(model.predict(packed(model, rows), verbose=0))
    file = convert(model, calibration=ways(model, rows)[0])
    assert file.agreement.holds
    for data in ways(model, rows):
        got = run(file.content, data)
        if len(expected) == 1:
            got = {output_names(model)[0]: got}
        assert list(got) == expected_names(name, "o")
        assert_close(got.values(), expected)


@seldom
def test_calibration_data_come_in_each_way(name):
    model = model_of(name, name)
    files = {convert(model, calibration=one).content for one in ways(model, rows_of(model))}
    assert len(files) == 1


@seldom
def test_twins_quantization_and_archives_keep_the_structure(name, tmp_path):
    model = model_of(name, name)
    rows = rows_of(model)
    data = packed(model, rows)
    expected = model(data)
    twin = regularize(model)
    aware = quantization_aware(twin, data)
    for other in (twin, bake(twin), aware):
        keras.tree.assert_same_structure(other.input, model.input)
        outputs = other(data)
        keras.tree.assert_same_structure(outputs, expected)
        if other is not aware:
            assert_close(keras.tree.flatten(outputs), keras.tree.flatten(expected))
    assert convert(aware, quantize="int8", calibration=data).agreement.holds
    save_archive(twin, tmp_path / "twin.fr")
    again = load_archive(tmp_path / "twin.fr")
    assert input_names(again) == input_names(model)
    assert output_names(again) == output_names(model)


def test_a_name_that_comes_twice_takes_no_other_name():
    inputs = keras.Input((4,), name="x")
    twice = kl.Dense(3, name="o")
    other = kl.Dense(2, name="o_0")(inputs)
    model = keras.Model(inputs, [twice(inputs), twice(kl.Dense(4)(inputs)), other])
    assert output_names(model) == ["o_0_", "o_1", "o_0"]
    x = rows_of(model)[0]
    assert_close(run(convert(model).content, x).values(), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "data",
    [
        {"q": [1, 2]},
        {"q": [1], "p": 2},
        {"q": [1, 2], "p": 3, "z": 4},
        {"q/0": 1, "q/1": 2},
        [1, 2],
        7,
    ],
)
def test_what_does_not_fit_is_named(data):
    structure, names = STRUCTURES["dict of lists"]
    for told in (structure, None):
        match = r"`x` must .* one entry for each of the inputs \['p', 'q/0', 'q/1'\], or be nested"
        with pytest.raises(ValueError, match=match):
            by_input(data, names, "x", told)
