"""Every layer of Keras: it comes back from an archive, or is refused with the true reason."""

import inspect

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers
from networks import images, relative_difference

import fr_keras
from fr_keras.archive import _allowlist
from fr_keras.layers import FRDense
from fr_keras.models.walk import all_layers

FINE = {"step": 1e-6, "error": 1e-6, "kernel_error": 1e-6}
IMAGE, SERIES, VECTOR = (12, 12, 3), (5, 4), (6,)


def rows(shape, dtype="float32"):
    if dtype == "float32":
        # No image whose histogram is flat: equalizing would do nothing.
        return np.square(images(3, shape)).astype(np.float32) * 200
    return np.random.default_rng(0).integers(1, 6, (3, *shape)).astype(dtype)


#: Arguments of the layers that need some.
ARGUMENTS = {
    "Activation": {"activation": "tanh"},
    "ActivityRegularization": {"l2": 0.1},
    "AlphaDropout": {"rate": 0.3},
    "CategoryEncoding": {"num_tokens": 9},
    "CenterCrop": {"height": 8, "width": 9},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 2)},
    "Discretization": {"bin_boundaries": [20.0, 50.5]},
    "Dropout": {"rate": 0.3},
    "Dot": {"axes": -1},
    "EinsumDense": {"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d"},
    "Dense": {"units": 3},
    "GaussianDropout": {"rate": 0.3},
    "GaussianNoise": {"stddev": 0.3},
    "GroupNormalization": {"groups": 1},
    "GroupedQueryAttention": {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2},
    "HashedCrossing": {"num_bins": 7},
    "Hashing": {"num_bins": 7},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "MelSpectrogram": {"fft_length": 16, "sequence_stride": 8, "num_mel_bins": 5},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 3},
    "Normalization": {"mean": [1.0, 2.0, 3.0], "variance": [2.0, 1.0, 3.0]},
    "Permute": {"dims": (2, 1, 3)},
    "RandomPosterization": {"factor": 4},
    "RandomCrop": {"height": 12, "width": 12},
    "RandomZoom": {"height_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RepeatVector": {"n": 3},
    "Rescaling": {"scale": 1 / 127.5, "offset": -1.0},
    "Reshape": {"target_shape": (-1, 3)},
    "Resizing": {"height": 7, "width": 5, "interpolation": "bicubic"},
    "STFTSpectrogram": {"frame_length": 8, "fft_length": 8},
}
for _name, _cls in inspect.getmembers(layers, inspect.isclass):
    if _name.startswith("Random") and "factor" in inspect.signature(_cls).parameters:
        ARGUMENTS.setdefault(_name, {"factor": 0.3})
    if "Conv" in _name and "Depthwise" not in _name:
        ARGUMENTS[_name] = {"filters": 3, "kernel_size": 2}
    if "Depthwise" in _name:
        ARGUMENTS[_name] = {"kernel_size": 2}
    if _name.startswith("AveragePooling"):
        ARGUMENTS[_name] = {"pool_size": 2}
    if _name.startswith("Adaptive"):
        ARGUMENTS[_name] = {"output_size": 2}
    if _name in ("LSTM", "GRU", "SimpleRNN"):
        ARGUMENTS[_name] = {"units": 3}
        ARGUMENTS[f"{_name}Cell"] = {"units": 3}
    if _name in ("Embedding", "ReversibleEmbedding"):
        ARGUMENTS[_name] = {"input_dim": 9, "output_dim": 4}
    if _name.startswith("SpatialDropout"):
        ARGUMENTS[_name] = {"rate": 0.3}
#: Those that hold others, made.
HOLDERS = {
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True), "sum"),
    "Pipeline": lambda: layers.Pipeline([layers.AutoContrast(), layers.RandomFlip()]),
    "RNN": lambda: layers.RNN(layers.LSTMCell(3)),
    "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Dense(3)),
    "StackedRNNCells": lambda: layers.RNN(
        layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(2)])
    ),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Dense(3)),
}
#: Inputs that are no image.
SHAPES = {
    **dict.fromkeys(("Bidirectional", "RNN", "StackedRNNCells", "TimeDistributed"), SERIES),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "EinsumDense", "Masking"), SERIES),
    **dict.fromkeys(("CategoryEncoding", "RepeatVector", "Discretization"), VECTOR),
    "MelSpectrogram": (64,),
    "STFTSpectrogram": (64, 1),
    "ConvLSTM1D": (4, 6, 2),
    "ConvLSTM2D": (4, 6, 6, 2),
    "ConvLSTM3D": (3, 4, 4, 4, 2),
}
MERGED = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")
ATTENTION = ("AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention")
WHOLE = ("CategoryEncoding", "Embedding", "Hashing", "HashedCrossing", "ReversibleEmbedding")

#: The reasons for which a layer of Keras is refused, and no others.
CODE, VOCABULARY = "it calls code", "it looks words up in a vocabulary"
REFUSED = {
    "FlaxLayer": CODE,
    "IntegerLookup": VOCABULARY,
    "JaxLayer": CODE,
    "Lambda": CODE,
    "StringLookup": VOCABULARY,
    "TFSMLayer": CODE,
    "TextVectorization": VOCABULARY,
    "TorchModuleWrapper": CODE,
}
#: These compute nothing by themselves, or cannot be called in a graph.
ABSTRACT = {"Equalization", "InputLayer", "Layer", "Wrapper"}


def classes() -> dict[str, type]:
    """Every layer of Keras by its own name."""
    found = inspect.getmembers(layers, inspect.isclass)
    return {cls.__name__: cls for _, cls in found if issubclass(cls, layers.Layer)}


HELD = sorted({*classes()} - {*REFUSED} - ABSTRACT)


def shape_of(name: str) -> tuple[int, ...]:
    if name in SHAPES:
        return SHAPES[name]
    if name in WHOLE:
        return (1,)
    if name in ATTENTION or name.endswith(("1D", "1DTranspose")):
        return SERIES
    if name.endswith(("3D", "3DTranspose")):
        return (4, 4, 4, 2)
    return VECTOR if name.endswith("Cell") else IMAGE


def layer_of(name: str) -> keras.layers.Layer:
    layer = HOLDERS[name]() if name in HOLDERS else classes()[name](**ARGUMENTS.get(name, {}))
    layer.name = name.lower()
    return layer


def call(name: str, layer, x):
    if name in MERGED or name in ("Attention", "AdditiveAttention"):
        return layer([x, layers.Activation("tanh")(x)])
    if name == "HashedCrossing":
        return layer([x, x])
    if name in ATTENTION:
        return layer(x, x)
    if name.endswith("Cell"):
        state = layers.Dense(3, name=f"{name}_state")(x)
        return layer(x, [state] * len(keras.tree.flatten(layer.state_size)))
    return layer(x)


def network(names: list[str]) -> tuple[keras.Model, list, list[str]]:
    """Layers of Keras beside one in the DCT domain, rows for them, and whose the outputs are."""
    other = keras.Input(VECTOR, name="other")
    inputs, outputs, given, owners = [other], [FRDense(4, name="fr")(other)], [rows(VECTOR)], ["fr"]
    for name in names:
        shape, dtype = shape_of(name), "int32" if name in WHOLE else "float32"
        x = keras.Input(shape, dtype=dtype, name=f"{name}_x")
        found = keras.tree.flatten(call(name, layer_of(name), x))
        inputs, outputs = [*inputs, x], [*outputs, *found]
        given.append(rows(shape, dtype))
        owners += [name] * len(found)
    model = keras.Model(inputs, outputs, name="net")
    random = np.random.default_rng(1)
    for layer in all_layers(model):
        for weight in layer.weights:
            if weight.name in ("bias", "gamma", "beta", "alpha", "moving_mean", "kernel"):
                weight.assign(random.normal(0.3, 0.2, weight.shape))
    return model, given, owners


def assert_comes_back(model, x, folder, owners=None) -> keras.Model:
    packing = fr_keras.save_archive(model, folder / "m.fr", **FINE)
    loaded = fr_keras.load_archive(folder / "m.fr")
    expected, found = (keras.tree.flatten(one(x, training=False)) for one in (model, loaded))
    owners = owners or [None] * len(expected)
    for owner, before, after in zip(owners, expected, found, strict=True):
        assert before.dtype == after.dtype, owner
        assert relative_difference(before, after) < 1e-3, owner
    fr_keras.save_archive(loaded, folder / "again.fr", **FINE)
    assert (folder / "again.fr").read_bytes() == (folder / "m.fr").read_bytes()
    if not packing.left_out:
        names = [one.name for one in all_layers(model)]
        assert sorted(one.name for one in all_layers(loaded)) == sorted(names)
    return loaded


# With these: attention, wrappers, cells, a pipeline, and layers of one number a channel.
@pytest.mark.parametrize("part", telling(range(8), 0, 2, 3))
def test_every_layer_of_keras_comes_back(part, tmp_path):
    pytest.importorskip("tensorflow")  # Keras has some of these layers there alone
    model, x, owners = network(HELD[part::8])
    assert_comes_back(model, x, tmp_path, owners)


def refused_layers():
    """One of each class that is refused, called."""
    words = keras.Input((1,), dtype="string")
    numbers = keras.Input((4,))
    yield layers.StringLookup(vocabulary=["a", "b"])(words)
    yield layers.IntegerLookup(vocabulary=[4, 5])(keras.Input((1,), dtype="int32"))
    yield layers.TextVectorization(vocabulary=["a", "b"])(words)
    yield layers.Lambda(lambda x: x + 1)(numbers)


def test_what_is_refused_is_refused_with_the_reason_and_at_once(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")  # Keras has some of these layers there alone

    def too_late(*_):
        raise AssertionError("it worked for long")

    monkeypatch.setattr("fr_keras.archive._save.quantize_tensor", too_late)
    monkeypatch.setattr("fr_keras.archive._statistics.calibrate_batch_norm", too_late)
    for output in refused_layers():
        layer = output._keras_history.operation
        x = layer.input
        other = keras.Input(VECTOR)
        model = keras.Model([x, other], [output, FRDense(4)(layers.BatchNormalization()(other))])
        message = f"{type(layer).__name__} '{layer.name}': {REFUSED[type(layer).__name__]}"
        with pytest.raises(ValueError, match=message):
            fr_keras.save_archive(model, tmp_path / "m.fr", calibration=[])
    # Of all others that cannot be in a file, what stands in the list is true.
    lists = {
        *_allowlist.LAYERS,
        *_allowlist.WRAPPERS,
        *(one.__name__ for one in _allowlist.AUGMENTATION),
    }
    aliases = {name for name, cls in inspect.getmembers(layers) if cls in classes().values()}
    assert lists - {name for name in lists if name.startswith("FR")} <= aliases
    ours = {getattr(layers, name).__name__ for name in lists if hasattr(layers, name)}
    assert {*classes()} - ours == {*REFUSED} | ABSTRACT - {"InputLayer"}
    for name, why in REFUSED.items():
        assert _allowlist.reason(classes()[name].__new__(classes()[name])).startswith(why)


def augmentation() -> list[str]:
    """The layers of Keras that give an image back at inference, and change it in training."""
    found = []
    image = rows(IMAGE)
    # A low contrast, so that what equalizes does something.
    image[0] = 100 + image[0] / 10
    for name in sorted({*HELD} - {*HOLDERS} - {"RandomCrop"}):
        if "Random" in name or name in ("AugMix", "CutMix", "MixUp", "RandAugment", "Solarization"):
            layer = layer_of(name)
            assert np.array_equal(layer(image, training=False), image), name
            found.append(name)
    return found


def test_augmentation_is_what_does_nothing_at_inference(tmp_path):
    """And no other layer of Keras that works on images does."""
    assert augmentation() == sorted(one.__name__ for one in _allowlist.AUGMENTATION)
    base = layers.RandomFlip.__mro__[1]
    image = rows(IMAGE)
    image[0] = 100 + image[0] / 10
    others = [
        name
        for name in HELD
        if issubclass(classes()[name], base) and classes()[name] not in _allowlist.AUGMENTATION
    ]
    changing = {
        name for name in others if not np.array_equal(layer_of(name)(image, training=False), image)
    }
    # This cuts boxes, and that says a size of which it takes no notice at inference.
    assert {*others} - changing == {"MaxNumBoundingBoxes", "RandomCrop"}


def network_with_augmentation(place: str) -> tuple[keras.Model, np.ndarray]:
    x = rows(IMAGE)
    inputs = keras.Input(IMAGE, name="image")
    flip = layers.RandomFlip(name="flip")
    several = [layers.RandomRotation(0.2, name="turn"), layers.RandomZoom(0.2, name="zoom")]
    if place == "in a row":
        y = several[1](several[0](flip(inputs, training=True)))
    elif place == "in a sequential model":
        y = keras.Sequential([keras.Input(IMAGE), flip, *several], name="augment")(inputs)
    elif place == "beside others in a model":
        y = keras.Sequential([keras.Input(IMAGE), flip, layers.ReLU(), *several])(inputs)
    elif place == "in a functional model":
        inner = keras.Input(IMAGE)
        y = keras.Model(inner, several[0](flip(inner)), name="augment")(inputs)
    elif place == "in a pipeline":
        y = layers.Pipeline([flip, layers.AutoContrast(name="contrast"), *several])(inputs)
    elif place == "called twice":
        y = layers.Add()([flip(inputs), layers.ReLU()(flip(layers.Rescaling(2.0)(inputs)))])
    elif place == "through time":
        y = layers.Reshape((1, *IMAGE))(inputs)
        y = layers.Reshape(IMAGE)(layers.TimeDistributed(flip, name="steps")(y))
    elif place == "of whole numbers":
        inputs = keras.Input(IMAGE, dtype="uint8", name="image")
        x = x.astype("uint8")
        y = several[0](layers.RandomBrightness(0.2, name="light")(flip(inputs)))
    elif place == "in the middle of one branch":
        # Without it, the layers of the branches have another order.
        left = layers.Conv2D(3, 3, padding="same", name="left")(inputs)
        for number in range(4):
            left = layers.RandomFlip(name=f"flip{number}")(left)
        right = layers.Conv2D(3, 3, padding="same", name="right")(inputs)
        for number in range(2):
            right = layers.Conv2D(3, 3, padding="same", name=f"right{number}")(right)
        y = layers.Add()([left, right])
    y = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(y))
    outputs = layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(y))
    return fr_keras.regularize(keras.Model(inputs, [outputs, flip(inputs)])), x


PLACES = [
    "in a row",
    "in a sequential model",
    "beside others in a model",
    "in a functional model",
    "in a pipeline",
    "called twice",
    "through time",
    "of whole numbers",
    "in the middle of one branch",
]


@pytest.mark.parametrize("place", telling(PLACES, "in the middle of one branch"))
def test_augmentation_is_left_out_wherever_it_is(place, tmp_path):
    model, x = network_with_augmentation(place)
    before = model.get_weights()
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", **FINE, calibration=x / 2)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    for one in loaded._flatten_layers():
        assert type(one) not in _allowlist.AUGMENTATION
    assert "left out" in str(packing)
    assert not {*packing.left_out} & {one.name for one in all_layers(loaded)} - {"flip"}
    (tmp_path / "again").mkdir()
    assert_comes_back(model, x, tmp_path / "again")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_augmentation_of_more_than_images_is_refused(tmp_path):
    inputs = {
        "images": keras.Input(IMAGE, name="images"),
        "labels": keras.Input((4,), name="labels"),
    }
    mixed = layers.CutMix(name="mix")(inputs)
    y = FRDense(3)(layers.Flatten()(mixed["images"]))
    model = keras.Model(inputs, [y, mixed["labels"]])
    with pytest.raises(ValueError, match="CutMix 'mix': an augmentation layer must take one"):
        fr_keras.save_archive(model, tmp_path / "m.fr")


def wrapped(kind: str):
    """Layers in layers, on a series."""
    shared = layers.LSTMCell(3, name="cell")
    reverse = layers.GRU(2, go_backwards=True, name="reverse")
    steps = layers.TimeDistributed(layers.TimeDistributed(layers.Dense(3), name="in"), name="out")
    return {
        "states": lambda x: layers.Bidirectional(
            layers.GRU(3, return_state=True), merge_mode=None, name="both"
        )(x),
        "two kinds": lambda x: layers.Bidirectional(
            layers.LSTM(3, dropout=0.2, activation="relu"), backward_layer=reverse, name="both"
        )(x),
        "cells in a bidirectional": lambda x: layers.Bidirectional(
            layers.RNN(layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(2)])), name="both"
        )(x),
        "a cell of two layers": lambda x: [
            layers.RNN(shared, name="one")(x),
            layers.RNN(shared, go_backwards=True, return_sequences=True, name="other")(x),
        ],
        "time in time": lambda x: steps(layers.Reshape((1, *SERIES))(x)),
        "a bidirectional through time": lambda x: layers.TimeDistributed(
            layers.Bidirectional(layers.LSTM(3)), name="steps"
        )(layers.Reshape((1, *SERIES))(x)),
        "a policy of its own": lambda x: layers.Bidirectional(
            layers.LSTM(3, dtype="mixed_float16"), dtype="mixed_float16", name="both"
        )(x),
        "frozen": lambda x: layers.RNN(layers.SimpleRNNCell(3), trainable=False, name="one")(x),
        "a convolution": lambda x: layers.SpectralNormalization(
            layers.Conv1D(3, 2, kernel_regularizer="l2"), power_iterations=2, name="norm"
        )(x),
        "dicts of lists": lambda x: structured()(
            {"a": [x, layers.Activation("tanh")(x)], "b": layers.Flatten()(x)}
        )["c"][1],
    }[kind]


def structured() -> keras.Model:
    """A model that takes and gives a dict of lists."""
    given = {"a": [keras.Input(SERIES), keras.Input(SERIES)], "b": keras.Input((20,), name="b")}
    added = layers.Subtract(name="difference")(given["a"])
    made = {"d": layers.Dense(3, name="d")(given["b"]), "c": [added, layers.ReLU()(added)]}
    return keras.Model(given, made, name="structured")


WRAPPED = [
    "states",
    "two kinds",
    "cells in a bidirectional",
    "a cell of two layers",
    "time in time",
    "a bidirectional through time",
    "a policy of its own",
    "frozen",
    "a convolution",
    "dicts of lists",
]


@pytest.mark.parametrize(
    "kind",
    telling(WRAPPED, "cells in a bidirectional", "dicts of lists"),
)
def test_layers_in_layers_come_back(kind, tmp_path):
    inputs = keras.Input(SERIES, name="series")
    fr = FRDense(4, name="fr")(layers.Flatten()(inputs))
    outputs = keras.tree.flatten(wrapped(kind)(inputs))
    model = keras.Model(inputs, [fr, *outputs])
    loaded = assert_comes_back(model, images(3, SERIES), tmp_path)
    for layer in all_layers(model):
        after = loaded.get_layer(layer.name) if layer in model.layers else None
        if after is not None:
            assert after.trainable == layer.trainable
            assert after.dtype_policy.name == layer.dtype_policy.name


STRUCTURES = {
    "lists": lambda a, b: ([a, b], [b, a]),
    "one in a list": lambda a, b: ([a, b], [a]),
    "dicts": lambda a, b: ({"one": a, "two": b}, {"y": b, "x": a}),
    "dicts of lists": lambda a, b: ({"q": [b], "one": a}, {"u": [b, a], "t": a}),
    "lists of dicts": lambda a, b: ([{"one": a}, {"two": b}], [{"u": b}, [a, b]]),
    "what it takes": lambda a, b: ([a, b], [a, b]),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_of_inputs_and_outputs_come_back(name, tmp_path):
    one, two = keras.Input((6,), name="one"), keras.Input((5,), name="two")
    taken, _ = STRUCTURES[name](one, two)
    a, b = FRDense(4, name="a")(one), FRDense(3, name="b")(two)
    given = (one, b) if name == "what it takes" else (a, b)
    model = keras.Model(taken, STRUCTURES[name](*given)[1], name="net")
    fr_keras.save_archive(model, tmp_path / "m.fr", **FINE)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    x, _ = STRUCTURES[name](images(3, (6,)), images(3, (5,), seed=1))
    expected, found = model(x), loaded(x)
    keras.tree.assert_same_structure(model.input, loaded.input)
    keras.tree.assert_same_structure(expected, found)
    pairs = zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True)
    assert all(relative_difference(*pair) < 1e-4 for pair in pairs)


def test_what_was_adapted_comes_back(tmp_path):
    pytest.importorskip("tensorflow")  # Keras has some of these layers there alone
    bins, norm = layers.Discretization(num_bins=4, name="bins"), layers.Normalization(name="norm")
    data = images(200, VECTOR)
    bins.adapt(data)
    norm.adapt(3 * data)
    inputs = keras.Input(VECTOR)
    table = layers.Embedding(4, 3, name="table")(bins(inputs))
    model = keras.Model(inputs, [table, FRDense(4)(norm(inputs))])
    loaded = assert_comes_back(model, images(5, VECTOR, seed=3), tmp_path)
    assert loaded.get_layer("bins").bin_boundaries == bins.bin_boundaries
