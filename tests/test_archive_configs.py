"""Architectures that a file must not get built."""

import sys
import tracemalloc

import keras
import numpy as np
import pytest
from keras import layers

import fr_archive
import fr_keras
from fr_archive import Archive, ArchiveError, Config, Quantized, Reference
from fr_keras.archive import _building, _description, _shapes, _validate
from fr_keras.archive._load import loaded

INPUT = ["InputLayer", {"batch_shape": [None, 8], "name": "x"}]
ONE = (Quantized((1,), 0),)


def dense(**arguments):
    return ["FRDense", {"name": "y", "units": 4, "use_bias": False, **arguments}]


def sequential(*entries):
    return {"name": "m", "layers": [INPUT, *entries]}


def functional(*entries, calls, **others):
    return {"name": "m", "layers": [INPUT, *entries], "calls": calls, **others}


def load(config, tensors=ONE, vectors=()):
    """Through the bytes of a file, as a reader gets it."""
    data = fr_archive.encode(Archive(Config(config), tensors, vectors))
    return loaded(fr_archive.decode(data))


def nothing_is_built(*_, **__):
    raise AssertionError("a layer was built")


def test_what_is_allowed_loads():
    assert load(sequential(dense())).layers[-1].kept == 1


LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}}
FOREIGN = {"class_name": "system", "module": "os", "config": "id", "registered_name": "system"}

LSTM = ["LSTM", {"name": "a", "units": 4}]
CELL = ["LSTMCell", {"name": "a", "units": 4}]


def deep(count):
    """Layers in layers."""
    layer = ["Dense", {"name": "z", "units": 4}]
    for number in range(count):
        layer = ["TimeDistributed", {"name": f"y{number}", "layer": layer}]
    return layer


HOSTILE = {
    "lambda": sequential(["Lambda", {"name": "y", "function": LAMBDA}]),
    "saved model": sequential(["TFSMLayer", {"name": "y", "filepath": "/tmp/x"}]),
    "custom class": sequential(["fr_keras>FRDense", {"name": "y", "units": 4}]),
    "registered class": sequential(["Custom>Evil", {"name": "y"}]),
    "base layer": sequential(["Layer", {"name": "y"}]),
    "vocabulary file": sequential(["StringLookup", {"name": "y", "vocabulary": "/etc/passwd"}]),
    "wrapper": sequential(["Wrapper", {"name": "y", "layer": dense()}]),
    "activation that is an object": sequential(dense(activation=FOREIGN)),
    "activation that is a list": sequential(dense(activation=["os", "system"])),
    "activation by module": sequential(dense(activation="os.system")),
    "activation that somebody registered": sequential(dense(activation="Custom>evil")),
    "lambda as activation": sequential(dense(activation=LAMBDA)),
    "initializer": sequential(dense(kernel_initializer=["Constant", {"value": 1}])),
    "regularizer": sequential(dense(kernel_regularizer=["Evil", {}])),
    "regularizer as an object": sequential(dense(bias_regularizer=FOREIGN)),
    "constraint": sequential(dense(bias_constraint="os.system")),
    "argument of a regularizer": sequential(dense(kernel_regularizer=["L2", {"l2": FOREIGN}])),
    "any argument": sequential(dense(lora_alpha=FOREIGN)),
    "dtype": sequential(dense(dtype=FOREIGN)),
    "quantized dtype": sequential(dense(dtype="int8_from_float32")),
    "quantization": sequential(dense(quantization_config={"class_name": "Int8"})),
    "stored": sequential(dense(stored=[1, 1])),
    "inner layer of a dense layer": sequential(dense(layer=["Lambda", {"name": "z"}])),
    "lambda in a wrapper": sequential(["TimeDistributed", {"name": "y", "layer": ["Lambda", {}]}]),
    "lambda in a model": sequential(["Sequential", sequential(["Lambda", {"name": "y"}])]),
    "lambda in a bidirectional": sequential(
        ["Bidirectional", {"name": "y", "layer": ["Lambda", {"name": "a"}], "backward_layer": LSTM}]
    ),
    "foreign layer in a bidirectional": sequential(
        ["Bidirectional", {"name": "y", "layer": LSTM, "backward_layer": FOREIGN}]
    ),
    "no backward layer": sequential(["Bidirectional", {"name": "y", "layer": LSTM}]),
    "cell as an object": sequential(["RNN", {"name": "y", "cell": FOREIGN}]),
    "cells as objects": sequential(["StackedRNNCells", {"name": "y", "cells": [FOREIGN]}]),
    "saved model in a pipeline": sequential(
        ["Pipeline", {"name": "y", "layers": [["TFSMLayer", {"name": "z", "filepath": "/tmp/x"}]]}]
    ),
    "spectrum in a wrapper": sequential(["SpectralNormalization", {"name": "y", "layer": dense()}]),
    "spectrum of before in a wrapper": sequential(
        dense(), ["SpectralNormalization", {"name": "z", "layer": 1}]
    ),
    "model in a wrapper": sequential(
        ["SpectralNormalization", {"name": "y", "layer": ["Sequential", sequential(dense())]}]
    ),
    "input in a wrapper": sequential(["TimeDistributed", {"name": "y", "layer": INPUT}]),
    "deep wrappers": sequential(deep(40)),
    "many cells": sequential(["StackedRNNCells", {"name": "y", "cells": [CELL] * 3000}]),
    "vocabulary": sequential(["IntegerLookup", {"name": "y", "vocabulary": "/etc/passwd"}]),
    "augmentation": sequential(["RandomFlip", {"name": "y"}]),
    "length": sequential(dense(units=10**9)),
    "negative length": sequential(dense(units=-(10**9))),
    "long text": sequential(dense(activation=None, name="y" * 1000)),
    "path as a name": sequential(dense(name="../y")),
    "no name": sequential(["FRDense", {"units": 4}]),
    "deep argument": sequential(dense(axis_weights=[[[[[[1]]]]]])),
    "keyword argument object": functional(
        dense(), calls=[0, [[0], {"training": {"value": {"class_name": "Lambda"}}}]]
    ),
    "text as an argument": functional(dense(), calls=[0, [[{"value": "os"}]]]),
    "later call": functional(dense(), calls=[0, [[1]]]),
    "negative call": functional(dense(), calls=[0, [[-1]]]),
    "no such layer": functional(dense(), calls=[0, [[0], {}, 5]]),
    "uncalled layer": functional(dense(), calls=[0]),
    "layer before itself": functional(0, dense(), calls=[0, 0, 0], outputs=7),
    "output that is none": functional(dense(), calls=[0, 0], outputs=9),
    "unknown key": {**sequential(dense()), "compile_config": {"optimizer": "evil"}},
    "layers that are none": {"name": "m", "layers": {"a": 1}},
    "shared with nobody": sequential(3),
    "many layers": {"name": "m", "layers": [INPUT] * 3000},
    "many calls": functional(dense(), calls=[0] * 9000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_configs_are_refused_before_anything_is_built(name, monkeypatch):
    monkeypatch.setattr(_building.Builder, "model", nothing_is_built)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", nothing_is_built)
    modules = set(sys.modules)
    with pytest.raises(ArchiveError):
        load(HOSTILE[name])
    assert set(sys.modules) == modules


def test_a_registered_class_of_somebody_else_is_not_found():
    @keras.saving.register_keras_serializable(package="Evil", name="ReLU")
    class Evil(layers.Layer):
        def __init__(self, **kwargs):
            raise AssertionError("it ran")

    with keras.saving.custom_object_scope({"ReLU": Evil, "FRDense": Evil, "relu": Evil}):
        model = load(sequential(dense(activation="relu"), ["ReLU", {"name": "z"}]))
    assert type(model.layers[-1]) is layers.ReLU


def doubled(depth):
    """Models in models, each calling the one inside twice."""
    model = functional(dense(units=8), calls=[0, 0])
    for level in range(depth):
        entry = ["Functional", {**model, "name": f"m{level}"}]
        model = functional(entry, calls=[0, 0, [[1], {}, 1]])
    return model


def test_nor_is_one_in_a_bidirectional():
    """Keras makes the layers inside of it again, and would look there."""

    class Evil(layers.LSTM):
        def __init__(self, *args, **kwargs):
            raise AssertionError("it ran")

    both = {"name": "y", "layer": LSTM, "backward_layer": ["LSTM", {**LSTM[1], "name": "b"}]}
    with (
        keras.saving.custom_object_scope({"LSTM": Evil}),
        pytest.raises(ArchiveError, match=r"registry\. Received: LSTM"),
    ):
        load(beside(["Bidirectional", both], 4, 8))


def test_models_in_models_are_bounded():
    _validate.check(doubled(5))
    with pytest.raises(ArchiveError, match="call at most 8192"):
        _validate.check(doubled(14))
    with pytest.raises(ArchiveError, match="at most 16 deep"):
        _validate.check(doubled(20))


WIDE = ["InputLayer", {"batch_shape": [None, 1 << 24], "name": "x"}]
LONG = ["InputLayer", {"batch_shape": [None, 1 << 20], "name": "x"}]
HUGE = {
    "dense": ({"name": "m", "layers": [WIDE, dense(units=1 << 24)]}, "at most 1073741824 weights"),
    "plain": (
        {"name": "m", "layers": [WIDE, ["Dense", {"name": "z", "units": 32}], dense()]},
        "hold at most 67108864 numbers",
    ),
    "long axis": (
        {"name": "m", "layers": [LONG, dense(units=400, axis_weights=[1.0, 7.0])]},
        None,
    ),
    "weights without a common factor": (
        sequential(dense(units=1 << 14, axis_weights=[0.997, 0.991])),
        "index sums",
    ),
    "chained": (
        {
            "name": "m",
            "layers": [
                ["InputLayer", {"batch_shape": [None, 1 << 12, 1 << 12, 1 << 12], "name": "x"}],
                ["Flatten", {"name": "flat"}],
                dense(),
            ],
        },
        "at most 1073741824 weights",
    ),
    "recurrent": (
        {
            "name": "m",
            "layers": [
                ["InputLayer", {"batch_shape": [None, 4, 4096], "name": "x"}],
                ["LSTM", {"name": "z", "units": 8000}],
                dense(),
            ],
        },
        "hold at most 67108864 numbers",
    ),
}


def beside(layer, *shape, **dtype):
    """A layer beside one in the DCT domain."""
    given = ["InputLayer", {"batch_shape": [None, *shape], "name": "x", **dtype}]
    other = ["InputLayer", {"batch_shape": [None, 8], "name": "other"}]
    return {
        "name": "m",
        "layers": [given, layer, other, dense()],
        "calls": [0, [[0]], [[], {}, 2], [[2]]],
        "inputs": [0, 2],
        "outputs": [1, 3],
    }


LARGEST = 1 << 24
_IMAGE, _BETWEEN = (8, 8, 3), "at most 1073741824 numbers per row"
_RESIZING = ["Resizing", {"name": "z", "height": LARGEST, "width": LARGEST}]
_SMALL = ["Resizing", {"name": "s", "height": 8, "width": 8}]
HUGE |= {
    "resizing": (beside(_RESIZING, *_IMAGE), _BETWEEN),
    "resizing through time": (
        beside(["TimeDistributed", {"name": "t", "layer": _RESIZING}], 4, *_IMAGE),
        _BETWEEN,
    ),
    "resizing inside": (
        beside(["Pipeline", {"name": "p", "layers": [_RESIZING, _SMALL]}], *_IMAGE),
        _BETWEEN,
    ),
    "padding": (
        beside(["ZeroPadding2D", {"name": "z", "padding": [[LARGEST] * 2] * 2}], *_IMAGE),
        _BETWEEN,
    ),
    "sampling up": (
        beside(["UpSampling3D", {"name": "z", "size": [LARGEST] * 3}], 8, *_IMAGE),
        _BETWEEN,
    ),
    "repeating": (beside(["RepeatVector", {"name": "z", "n": LARGEST}], 4096), _BETWEEN),
    "pooling": (
        beside(["AdaptiveMaxPooling2D", {"name": "z", "output_size": [LARGEST] * 2}], *_IMAGE),
        _BETWEEN,
    ),
    "categories": (
        beside(
            ["CategoryEncoding", {"name": "z", "num_tokens": LARGEST, "output_mode": "one_hot"}],
            *(100, 1),
            dtype="int32",
        ),
        _BETWEEN,
    ),
    "mel": (
        beside(
            ["MelSpectrogram", {"name": "z", "fft_length": LARGEST, "num_mel_bins": LARGEST}],
            LARGEST,
        ),
        _BETWEEN,
    ),
    "spectrogram": (
        beside(["STFTSpectrogram", {"name": "z", "frame_length": LARGEST}], LARGEST, 1),
        "at most 1073741824 weights",
    ),
    "convolutional cells": (
        beside(["ConvLSTM2D", {"name": "z", "filters": 999, "kernel_size": 99}], 4, 128, 128, 3),
        "at most 1073741824 weights",
    ),
    "cells": (
        beside(
            [
                "RNN",
                {
                    "name": "z",
                    "cell": [
                        "StackedRNNCells",
                        {
                            "name": "s",
                            "cells": [
                                ["LSTMCell", {"name": f"c{number}", "units": 2000}]
                                for number in range(9)
                            ],
                        },
                    ],
                },
            ],
            *(4, 8),
        ),
        "hold at most 67108864 numbers",
    ),
    # What takes long is drawn at random, for nothing: these weights are not in the file.
    "weights that are not there": (
        beside(["LSTM", {"name": "z", "units": 4000}], 4, 8),
        "62641 vectors. Received: 0",
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_declared_weights_are_refused_before_memory_is_taken(name):
    config, message = HUGE[name]
    if message is None:  # allowed: a loaded model holds the corner alone
        assert load(config).layers[-1].corner == (1, 1)
        return
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=message):
            load(config)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000


def test_an_unbuilt_network_leaves_nothing_to_fill_later():
    """Keras would give values to its weights when another scope of the kind ends."""
    _shapes.unbuilt(HUGE["long axis"][0])
    with keras.StatelessScope():
        pass
    shapes = _shapes.unbuilt(sequential(dense()))
    assert shapes.plain.layers[-1].kernel._value is None


@pytest.mark.parametrize(
    ("tensors", "vectors", "message"),
    [
        ((), (), "hold 1 tensors of coefficients. Received: 0"),
        ((*ONE, *ONE), (), "hold 1 tensors of coefficients. Received: 2"),
        ((Quantized((1,) * 33, 0),), (), "hold 1 to 32 coefficients. Received: 33"),
        ((Quantized((), 0),), (), "hold 1 to 32 coefficients. Received: 0"),
        (ONE, ONE, "hold 0 vectors. Received: 1"),
    ],
)
def test_numbers_must_fit_the_architecture(tensors, vectors, message):
    with pytest.raises(ArchiveError, match=message):
        load(sequential(dense()), tensors, vectors)


def test_a_vector_must_not_be_too_long():
    with pytest.raises(ArchiveError, match="from 0 to `length`"):
        load(sequential(dense(use_bias=True)), ONE, (Quantized((1,) * 5, 0),))


@pytest.mark.parametrize(
    "config",
    [
        sequential(dense(units=4, unknown=1)),
        sequential(["Conv2D", {"name": "z", "filters": 4, "kernel_size": [3, 3]}], dense()),
        sequential(dense(axis_weights=[1.0])),
        sequential(dense(axis_weights=["a", "b"])),
        sequential(dense(input_axes=[3, 3])),
        sequential(["Reshape", {"name": "z", "target_shape": [3, 5]}], dense()),
        sequential(["BatchNormalization", {"name": "z", "axis": 7}], dense()),
        functional(dense(), ["Add", {"name": "z"}], calls=[0, 0, [[[0, 1]]]]),
        functional(["Dropout", {"name": "y", "rate": 7}], dense(), calls=[0, 0, 0]),
    ],
)
def test_what_keras_refuses_is_refused_in_one_way(config):
    with pytest.raises(ArchiveError, match=r"cannot be built|refused"):
        load(config)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("os", {}, "one of"),
        ("__builtins__", {}, "one of"),
        ("lenet5", {"evil": 1}, "no argument 'evil'"),
        ("lenet5", {"batch_norm": 1}, "`batch_norm`.*must be like False"),
        ("lenet5", {"classes": True}, "`classes`"),
        ("lenet5", {"classes": 10**9}, "`classes`"),
        ("lenet5", {"classes": -1}, "`classes`"),
        ("lenet5", {"classifier_activation": "os.system"}, "`activation`"),
        ("lenet5", {"input_shape": [4, 4, 1]}, "cannot build"),
        ("lenet5", {"input_shape": ["a", 28, 1]}, "`input_shape`"),
        ("lenet5", {"input_shape": [1 << 20, 1 << 20, 1]}, "declare at most"),
        ("unet", {"filters": 1 << 20}, "declare at most"),
        ("lenet5", {"dtype": "os"}, "`dtype`"),
        ("lenet5", {"regularize": {"include": []}}, "`regularize`"),
        ("lenet5", {"regularize": {"exclude": ["pool1"]}}, "`regularize`"),
        ("lenet5", {"regularize": {"axis_weights": {"conv1": "evil"}}}, "refused|cannot be built"),
    ],
)
def test_references_are_checked(name, arguments, message):
    data = fr_archive.encode(Archive(Reference(name, arguments), ONE))
    with pytest.raises(ArchiveError, match=message):
        loaded(fr_archive.decode(data))


def test_every_layer_of_the_list_can_be_described():
    """The list names classes that exist, and none that takes code or reads files."""
    known = fr_keras.archive._allowlist.LAYERS
    assert all(issubclass(one, layers.Layer) for one in known.values())
    assert not {"Lambda", "TFSMLayer", "TextVectorization", "StringLookup", "Wrapper"} & set(known)
    data = _description.describe(
        keras.Sequential([keras.Input((8,)), layers.Dense(4, name="d", activation="relu")])
    )
    assert data["layers"][1] == ["Dense", {"name": "d", "units": 4, "activation": "relu"}]
    model = _building.build(data)
    assert np.shape(model.layers[0].kernel) == (8, 4)
