import dataclasses
import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.tools import flatbuffer_utils
from examples import telling
from keras import layers as kl
from networks import bfloat16, images, live, relative_difference, small_convnet, truncated_twin

from fr_keras import bake, regularize, tflite, zoo
from fr_keras.tflite._calibration_data import representative_rows
from fr_keras.tflite.file import metadata

pytestmark = pytest.mark.usefixtures("stepwise_module")

SHAPE = (12, 12, 3)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return truncated_twin(live(small_convnet(), images(64)), 0.5)


@pytest.fixture(scope="module")
def int8(model):
    return tflite.convert(model, quantize="int8", calibration=images(100)).content


# Real inputs and outputs change nothing where they are real anyway.
@pytest.mark.parametrize(
    ("mode", "float_io"),
    [
        *((mode, False) for mode in ("float32", "int8")),
        *(
            pytest.param(mode, float_io, marks=pytest.mark.slow)
            for mode in tflite.MODES
            for float_io in (False, True)
            if float_io or mode not in ("float32", "int8")
        ),
    ],
)
def test_every_mode_agrees_with_keras(model, mode, float_io):
    done = tflite.convert(model, quantize=mode, calibration=images(120), float_io=float_io)
    agreement = done.agreement
    assert agreement.holds
    assert agreement.rows == 24
    assert agreement.rows_from == "held out"
    x = images(40, seed=9)
    expected = model.predict(x, verbose=0)
    # float32 rounding; half-precision weights; 8-bit weights; these and 8-bit activations
    bound = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.1, "int8": 0.15, "int16x8": 0.1}
    assert relative_difference(expected, tflite.run(done.content, x)) < bound[mode]
    # A network with one kernel halved is another network, beyond every bound.
    spoiled = bake(model)
    spoiled.get_layer("logits").kernel.assign(spoiled.get_layer("logits").kernel * 0.5)
    assert relative_difference(expected, spoiled.predict(x, verbose=0)) > bound[mode]
    kind = {"int8": "int8", "int16x8": "int16"}.get(mode, "float32")
    seen = tflite.inspect(done.content)
    assert seen.inputs[0].dtype == seen.outputs[0].dtype == ("float32" if float_io else kind)
    step = agreement.step
    assert (step is None) == (kind == "float32" or float_io)


def test_agreement_is_what_the_file_does(model):
    """The returned numbers, computed by hand from the file on the rows held out."""
    x = images(50)
    done = tflite.convert(model, quantize="dynamic", calibration=x)
    difference = np.abs(tflite.run(done.content, x[::5]) - model.predict(x[::5], verbose=0))
    assert done.agreement.largest == pytest.approx(difference.max(), rel=1e-4)
    assert done.agreement.mean == pytest.approx(difference.mean(), rel=1e-4)


def test_plain_models_convert_too(model):
    plain = bake(model)
    x = images(8)
    file = tflite.convert(plain).content
    assert relative_difference(plain.predict(x, verbose=0), tflite.run(file, x)) < 1e-5


def test_the_batch_is_1_and_no_shape_arithmetic_is_left():
    lenet = zoo.lenet5(batch_norm=True)
    seen = tflite.inspect(tflite.convert(lenet).content)
    assert seen.inputs[0].shape == (1, 28, 28, 1)
    assert not {"SHAPE", "PACK", "STRIDED_SLICE", "MUL", "ADD"} & set(seen.ops)
    inputs = keras.Input((8, 8, 2))
    up = keras.Model(inputs, kl.Conv2DTranspose(4, 2, strides=2)(inputs))
    assert not {"SHAPE", "PACK"} & set(tflite.inspect(tflite.convert(up).content).ops)


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_integer_modes_need_representative_data(model, mode):
    with pytest.raises(ValueError, match=f"`calibration` must be given for quantize='{mode}'"):
        tflite.convert(model, quantize=mode)


def batches(rows):
    return tf.data.Dataset.from_tensor_slices(rows).batch(16)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        list,
        iter,
        lambda x: tf.constant(x),
        lambda x: (row for row in x),
        lambda x: ((row, 1) for row in x),
        batches,
        lambda x: batches((x, np.zeros(len(x)))),
        lambda x: tf.data.Dataset.from_tensor_slices(x),
    ],
)
def test_representative_data_of_every_kind(wrap):
    x = images(50)
    assert np.array_equal(representative_rows(wrap(x), SHAPE, 100), x)
    some = representative_rows(wrap(x), SHAPE, 8)
    if hasattr(wrap(x), "shape"):  # an array, perhaps sorted by class
        assert np.array_equal(some, x[[0, 7, 14, 21, 28, 35, 42, 49]])
    else:
        places = [int(np.flatnonzero((x == row).all((1, 2, 3)))[0]) for row in some]
        assert len({*places}) == 8
        assert places == sorted(places)
        assert places[-1] > 25  # not the first ones only


def test_endless_representative_data():
    def endless():
        while True:
            yield images(3)

    assert representative_rows(endless(), SHAPE, 10).shape == (10, *SHAPE)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros((0, *SHAPE)), "at least one row"),
        ([], "at least one row"),
        (np.zeros((5, 12, 12, 1)), "rows of shape"),
        (np.zeros(SHAPE), "rows of shape"),
        ((np.zeros((7, 7)) for _ in range(3)), "rows of shape"),
        (np.full((5, *SHAPE), np.nan), "finite"),
        (3, "must be an array"),
    ],
)
def test_bad_representative_data_is_named(model, data, match):
    with pytest.raises(ValueError, match=f"`calibration`.*{match}"):
        tflite.convert(model, quantize="int8", calibration=data)


def test_one_representative_row_is_said_to_be_seen(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tflite.ConversionWarning)
        done = tflite.convert(model, quantize="int8", calibration=images(1))
    assert done.agreement.rows_from == "calibration"


def test_disagreement_is_a_loud_warning(model):
    """Calibrated on a tenth of the network's range, the file must clip."""
    x = images(100) * 0.02
    x[::5] *= 50
    with pytest.warns(tflite.ConversionWarning, match="disagrees with its Keras model"):
        done = tflite.convert(model, quantize="int8", calibration=x)
    assert not done.agreement.holds


def test_metadata_is_stored_and_read(model, tmp_path):
    tflite.convert(
        model,
        tmp_path / "m.tflite",
        labels=list("abcde"),
        normalization=(1 / 255, 0.5),
        command="make it",
    )
    assert tflite.inspect(tmp_path / "m.tflite").metadata == {
        "version": 1,
        "quantize": "float32",
        "labels": list("abcde"),
        "normalization": {"scale": 1 / 255, "offset": 0.5},
        "command": "make it",
    }
    with pytest.raises(ValueError, match="`labels` must name the 5 classes"):
        tflite.convert(model, labels=["a"])


def test_foreign_metadata_is_ignored(int8):
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(int8))
    content.metadata = []
    assert metadata.read(content) == {}
    buffers = content.buffers
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(int8))
    row = next(one for one in content.metadata if one.name in (b"fr_keras", "fr_keras"))
    content.buffers[row.buffer].data = list(b"{not json")
    assert metadata.read(content) == {}
    row.buffer = len(buffers) + 100
    assert metadata.read(content) == {}


def test_run_takes_real_values_and_integers_alike(int8):
    x = images(20)
    seen = tflite.inspect(int8).inputs[0]
    as_integers = np.clip(np.round(x / seen.scale) + seen.zero_point, -128, 127).astype(np.int8)
    real = tflite.run(int8, x)
    assert real.dtype == np.float32
    assert np.array_equal(real, tflite.run(int8, as_integers))
    assert np.array_equal(real[:7], tflite.run(int8, x[:7]))
    assert tflite.run(int8, x[:0]).shape == (0, 5)


def test_run_names_a_wrong_shape(int8):
    with pytest.raises(ValueError, match="`x` must have the shape"):
        tflite.run(int8, images(3, (12, 12, 1)))


def test_latency_is_a_time(int8):
    assert 0 < tflite.Runner(int8).latency(runs=3) < 10


def test_inspect_counts_every_byte(model, int8):
    seen = tflite.inspect(int8)
    assert seen.weight_bytes + seen.scale_bytes + seen.rest_bytes == seen.bytes == len(int8)
    kernels = sum(
        np.prod(layer.kernel.shape) for layer in bake(model).layers if hasattr(layer, "kernel")
    )
    channels = 8 + 8 + 6 + 16 + 5
    assert kernels < seen.weight_bytes < kernels + 4 * channels + 50
    assert seen.scale_bytes > 12 * channels
    assert seen.ops["CONV_2D"] == 2
    assert seen.ops["DEPTHWISE_CONV_2D"] == 1
    json.dumps(seen.to_dict())
    assert f"{seen.scale_bytes:,}" in str(seen)
    assert "Inspection(" not in str(seen)


def test_damaged_files_are_refused(int8, tmp_path):
    for bad in (b"", b"TFL3", b"not a model" * 20, int8[: len(int8) // 2], int8[:-200]):
        (tmp_path / "bad.tflite").write_bytes(bad)
        for function in (tflite.inspect, lambda path: tflite.run(path, images(1))):
            with pytest.raises(ValueError, match=r"`file` must be a \.tflite flatbuffer"):
                function(tmp_path / "bad.tflite")
    with pytest.raises(FileNotFoundError):
        tflite.inspect(tmp_path / "none.tflite")


def test_files_are_not_overwritten(model, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        tflite.convert(model, path)
    assert path.read_bytes() == b"mine"
    done = tflite.convert(model, path, overwrite=True)
    assert path.read_bytes() == done.content
    with pytest.raises(FileNotFoundError, match="folder"):
        tflite.convert(model, tmp_path / "nowhere" / "m.tflite")


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=(bfloat16, pytest.mark.slow)),
        pytest.param("float16", marks=pytest.mark.slow),
    ],
)
def test_models_of_every_policy_convert(policy):
    keras.config.set_dtype_policy(policy)
    try:
        half = truncated_twin(live(small_convnet(), images(64)), 0.5)
    finally:
        keras.config.set_dtype_policy("float32")
    for mode in ("float32", "int8"):
        assert tflite.convert(half, quantize=mode, calibration=images(100)).agreement.holds


def test_what_preprocessing_layers_hold_besides_weights_is_carried():
    x = images(64, (6,)) * 10 + 5
    normalization = kl.Normalization()
    normalization.adapt(x)
    inputs = keras.Input((6,))
    plain = keras.Model(inputs, kl.Dense(3, name="dense")(normalization(inputs)))
    twin = regularize(plain)
    expected = plain.predict(x, verbose=0)
    assert relative_difference(expected, twin.predict(x, verbose=0)) < 1e-5
    assert relative_difference(expected, bake(twin).predict(x, verbose=0)) < 1e-5
    for model in (plain, twin):
        file = tflite.convert(model, calibration=x).content
        assert relative_difference(expected, tflite.run(file, x)) < 1e-4


@pytest.mark.parametrize("mode", telling(["float32", "dynamic", "int8"], "float32", "int8"))
def test_integer_inputs(mode):
    ids = np.random.default_rng(0).integers(0, 50, (100, 12))
    inputs = keras.Input((12,), dtype="int32")
    x = kl.Flatten()(kl.Embedding(50, 8)(inputs))
    model = regularize(keras.Model(inputs, kl.Dense(4)(x)))
    done = tflite.convert(model, quantize=mode, calibration=ids)
    assert done.agreement.holds
    assert tflite.inspect(done.content).inputs[0].dtype == "int32"
    expected = model.predict(ids, verbose=0)
    assert relative_difference(expected, tflite.run(done.content, ids)) < 0.1  # 8-bit weights
    with pytest.raises(ValueError, match=r"`calibration` must be given.*int32"):
        tflite.convert(model)


def test_pixels_as_bytes():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), np.uint8)
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = kl.Conv2D(4, 3)(kl.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, kl.Dense(3)(kl.Flatten()(x)))
    done = tflite.convert(model, calibration=pixels)
    assert done.agreement.holds
    assert tflite.inspect(done.content).inputs[0].dtype == "uint8"


def two_ends(structure=tuple) -> keras.Model:
    """Image and numbers in, classes and a mask out."""
    image, numbers = keras.Input((8, 8, 2), name="image"), keras.Input((3,), name="numbers")
    x = kl.Conv2D(4, 3, padding="same", activation="relu", name="conv")(image)
    flat = kl.Concatenate()([kl.GlobalAveragePooling2D()(x), kl.Dense(4, name="dense")(numbers)])
    classes, mask = kl.Dense(5, name="classes")(flat), kl.Conv2D(1, 1, name="mask")(x)
    if structure is dict:
        ends = {"numbers": numbers, "image": image}, {"z": mask, "a": classes}
    else:
        ends = [image, numbers], [classes, mask]
    return keras.Model(*ends)


@pytest.mark.parametrize("mode", telling(tflite.MODES, "int8"))
@pytest.mark.parametrize("structure", [list, dict])
def test_several_inputs_and_outputs(mode, structure):
    model = truncated_twin(two_ends(structure), 0.8)
    pair = images(60, (8, 8, 2)), images(60, (3,))
    outputs = ["a", "z"] if structure is dict else ["classes", "mask"]
    x = dict(zip(["image", "numbers"], pair, strict=True))
    done = tflite.convert(model, quantize=mode, calibration=x)
    assert set(done.agreements) == set(outputs)
    assert all(one.holds for one in done.agreements.values())
    assert done.agreement in done.agreements.values()
    assert json.loads(json.dumps(done.to_dict()))["outputs"].keys() == set(outputs)
    found = tflite.run(done.content, x)
    fed = x if structure is dict else list(pair)
    expected = keras.tree.flatten(model.predict(fed, verbose=0))
    assert list(found) == outputs
    for name, values in zip(outputs, expected, strict=True):
        assert relative_difference(values, found[name]) < 0.15  # 8-bit weights and activations
    for name, values in tflite.run(done.content, pair).items():
        np.testing.assert_array_equal(values, found[name])
    seen = tflite.inspect(done.content)
    assert [one.shape for one in seen.inputs] == [(1, 8, 8, 2), (1, 3)]
    assert [one.shape for one in seen.outputs] == [(1, 5), (1, 8, 8, 1)]


def test_an_output_that_is_wrong_is_the_one_that_is_told():
    done = tflite.convert(two_ends())
    good, bad = done.agreements.values()
    worse = dataclasses.replace(bad, mean=bad.range)
    for pair in ({"a": good, "b": worse}, {"a": worse, "b": good}):
        assert tflite.Conversion(b"", "float32", pair).agreement is worse


def test_bad_parts_are_named():
    model = two_ends()
    image, numbers = images(10, (8, 8, 2)), images(10, (3,))
    for calibration, message in (
        (image, "`calibration` must be a dict, or a list in this order"),
        ([image], "`calibration` must be a dict, or a list in this order"),
        ({"image": image}, "`calibration` must have one entry for each of the inputs"),
        ({"image": image, "number": numbers}, "one entry for each of the inputs"),
        ([image, numbers[:4]], "the same number of rows for each input"),
        ([numbers, image], "rows of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            tflite.convert(model, calibration=calibration)
    with pytest.raises(ValueError, match="`labels` must be left out for several outputs"):
        tflite.convert(model, labels=list("abcde"))
    file = tflite.convert(model).content
    for x, message in (
        (image, "`x` must be a dict, or a list in this order"),
        ({"image": image}, "`x` must have one entry for each of the inputs"),
        ([image, numbers[:4]], "`x` must have the same number of rows for each input"),
        ([numbers, image], "`x` must have the shape"),
    ):
        with pytest.raises(ValueError, match=message):
            tflite.run(file, x)


def test_outputs_in_a_list_or_dict():
    inputs = keras.Input((4,))
    outputs = kl.Dense(3, name="dense")(inputs)
    for structure in ([outputs], {"y": outputs}):
        model = keras.Model(inputs, structure)
        assert tflite.convert(model).agreement.holds
    twice = keras.Model(inputs, [outputs, outputs])
    assert tflite.run(tflite.convert(twice).content, images(2, (4,))).keys() == {
        "dense_0",
        "dense_1",
    }


def test_a_loop_cannot_be_calibrated():
    """Without this refusal the converter ends the process with a segmentation fault."""
    x = images(20, (5, 3))

    def recurrent(unroll):
        return keras.Sequential([keras.Input((5, 3)), kl.LSTM(4, unroll=unroll, name="lstm")])

    with pytest.raises(ValueError, match=r"unrolled.*'lstm'"):
        tflite.convert(recurrent(unroll=False), quantize="int8", calibration=x)
    file = tflite.convert(recurrent(unroll=True), quantize="int8", calibration=x)
    assert file.agreement.mean < 0.05 * file.agreement.range


def test_files_of_others_with_several_inputs_and_outputs():
    two = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model(two, [kl.Add()(two), kl.Multiply()(two)])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    seen = tflite.inspect(content)
    assert (len(seen.inputs), len(seen.outputs)) == (2, 2)
    x = {"a": images(2, (3,)), "b": images(2, (3,), seed=3)}
    found = tflite.run(content, x)
    sums = [np.allclose(values, x["a"] + x["b"]) for values in found.values()]
    assert sorted(sums) == [False, True]


class Determinant(kl.Layer):
    """A custom layer with an op that TFLite lacks."""

    def call(self, x):
        return keras.ops.linalg.det(x)[:, None]


def test_ops_that_tflite_lacks_are_named():
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, kl.Dense(2)(Determinant()(inputs)), name="det")
    with pytest.raises(RuntimeError, match=r"'det' cannot be converted.*MatrixDeterminant"):
        tflite.convert(model)


def test_unfit_models_are_named():
    open_size = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="fixed shape"):
        tflite.convert(keras.Model(open_size, kl.Conv2D(2, 3)(open_size)))
    with pytest.raises(ValueError, match="unbuilt"):
        tflite.convert(keras.Sequential([kl.Dense(3)]))
    with pytest.raises(ValueError, match="`quantize` must be one of"):
        tflite.convert(regularize(zoo.lenet5()), quantize="int4")


def test_the_same_model_gives_the_same_bytes(model):
    one, two = (tflite.convert(model, quantize="int8", calibration=images(40)) for _ in range(2))
    assert one.content == two.content
