"""Models to archives and back."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers
from layer_cases import BY_KIND
from networks import bfloat16, images, live, relative_difference, small_convnet, truncated_twin

import fr_archive
import fr_keras
from fr_keras import regularize, zoo
from fr_keras.archive import inspect
from fr_keras.models.walk import all_layers, frequency_layers

pytestmark = pytest.mark.usefixtures("stepwise_module")

GOLDENS = Path(__file__).parent / "goldens"
FINE = {"step": 1e-5, "error": 1e-5, "kernel_error": 1e-5}


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x))


def assert_round_trip(model, x, folder, **options):
    """The same function up to fine steps, the same state, and the same bytes the second time."""
    path, again = folder / "m.fr", folder / "again.fr"
    packing = fr_keras.save_archive(model, path, **{**FINE, **options})
    loaded = fr_keras.load_archive(path)
    assert relative_difference(outputs(model, x), outputs(loaded, x)) < 1e-3
    assert [one.name for one in all_layers(loaded)] == [one.name for one in all_layers(model)]
    pairs = list(zip(frequency_layers(model), frequency_layers(loaded), strict=True))
    for before, after in pairs:
        assert after.name == before.name
        assert after.kept == before.kept
        assert after.truncation["boundary"] == before.truncation["boundary"]
        assert after.axis_weights == before.axis_weights
        assert after.spectrum_shape == before.spectrum_shape
    fr_keras.save_archive(loaded, again, **{**FINE, **options})
    assert again.read_bytes() == path.read_bytes()
    assert packing.bytes == path.stat().st_size
    return loaded


@pytest.mark.parametrize("case", BY_KIND, ids=lambda case: case.id)
def test_every_layer_comes_back(case, tmp_path):
    model = case.model(case.layer(name="layer"))
    for part in frequency_layers(model):
        part.truncate(min(7, part.kept))
    loaded = assert_round_trip(model, case.inputs(), tmp_path)
    assert type(loaded.get_layer("layer")) is case.cls
    if len(frequency_layers(model)) == 1 and hasattr(loaded.get_layer("layer"), "stored"):
        layer = loaded.get_layer("layer")
        assert tuple(layer.coefficients.shape) == layer.corner


def test_a_functional_network_with_live_statistics(tmp_path):
    x = images()
    model = truncated_twin(live(small_convnet(), x), 0.3)
    loaded = assert_round_trip(model, x, tmp_path)
    assert type(loaded.get_layer("bn")) is fr_keras.layers.FRBatchNormalization
    assert loaded.get_layer("dropout").rate == 0.1


def test_a_halved_coefficient_would_be_seen(tmp_path):
    x = images()
    model = truncated_twin(live(small_convnet(), x), 0.3)
    before = outputs(model, x)
    layer = model.get_layer("conv")
    layer.set_coefficients(layer.kept_coefficients() / 2)
    fr_keras.save_archive(model, tmp_path / "m.fr", **FINE)
    after = outputs(fr_keras.load_archive(tmp_path / "m.fr"), x)
    assert relative_difference(before, after) > 1e-2


def nested_and_shared() -> tuple[keras.Model, np.ndarray]:
    """A model called twice, a layer of it called from outside, several inputs and outputs."""
    inner = keras.Input((4, 4, 3), name="patch")
    shared = layers.Conv2D(5, 3, padding="same", name="shared")
    inner = keras.Model(inner, layers.ReLU(name="relu")(shared(inner)), name="inner")
    tower = keras.Sequential(
        [keras.Input((4, 4, 5)), layers.Flatten(), layers.Dense(6, name="dense")], name="tower"
    )
    left, right = keras.Input((4, 4, 3), name="left"), keras.Input((4, 4, 3), name="right")
    a, b = tower(inner(left)), tower(inner(right))
    c = layers.GlobalAveragePooling2D(name="pool")(shared(left))
    steps = layers.TimeDistributed(layers.Dense(2, name="step"), name="steps")
    d = steps(layers.Reshape((3, 2), name="rows")(layers.Subtract(name="difference")([a, b])))
    model = keras.Model([left, right], [layers.Concatenate(name="both")([b, c]), d], name="siamese")
    return model, [images(2, (4, 4, 3)), images(2, (4, 4, 3), seed=1)]


def test_nested_and_shared_layers_stay_shared(tmp_path):
    plain, x = nested_and_shared()
    model = regularize(plain)
    fr_keras.save_archive(model, tmp_path / "m.fr", **FINE)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    for before, after in zip(model(x), loaded(x), strict=True):
        assert relative_difference(before, after) < 1e-3
    assert loaded.get_layer("inner").get_layer("shared") is loaded.get_layer("shared")
    assert len(frequency_layers(loaded)) == 3
    fr_keras.save_archive(loaded, tmp_path / "again.fr", **FINE)
    assert (tmp_path / "again.fr").read_bytes() == (tmp_path / "m.fr").read_bytes()


def test_sequences_and_plain_layers_with_weights(tmp_path):
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, name="table")(tokens)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LSTM(5, return_sequences=True, name="lstm")(x)
    x = layers.GRU(5, name="gru")(x)
    x = layers.Dense(30, kernel_regularizer="l2", name="hidden")(x)
    x = layers.PReLU(name="prelu")(x)
    plain = keras.Model(tokens, layers.Dense(3, name="logits")(x))
    model = regularize(plain, exclude=["table", "hidden"])
    x = np.random.default_rng(0).integers(1, 9, (2, 6))
    loaded = assert_round_trip(model, x, tmp_path)
    assert loaded.get_layer("hidden").kernel_regularizer.l2 == pytest.approx(0.01)


def test_normalization_layer_comes_back(tmp_path):
    norm = layers.Normalization(name="norm")
    norm.adapt(images(40, (6,)) * 3 + 5)
    plain = keras.Sequential([keras.Input((6,)), norm, layers.Dense(4, name="logits")])
    assert_round_trip(regularize(plain), images(3, (6,)) * 3 + 5, tmp_path)


def test_a_random_layer_draws_anew(tmp_path):
    plain = keras.Sequential([keras.Input((6,)), layers.Dense(50), layers.Dropout(0.5, seed=7)])
    fr_keras.save_archive(regularize(plain), tmp_path / "m.fr")
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert loaded.layers[1].seed == 7
    dropped = outputs(keras.Sequential(loaded.layers), images(2, (6,)))
    assert (dropped != 0).all()
    assert (keras.ops.convert_to_numpy(loaded(images(2, (6,)), training=True)) == 0).any()


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=(bfloat16, pytest.mark.slow))],
)
def test_policies_come_back(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        model = regularize(zoo.lenet5(batch_norm=True), start=100)
    finally:
        keras.config.set_dtype_policy("float32")
    fr_keras.save_archive(model, tmp_path / "m.fr")
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert inspect(tmp_path / "m.fr").by_reference
    for before, after in zip(model.layers[1:], loaded.layers[1:], strict=True):
        assert after.dtype_policy.name == before.dtype_policy.name
    expected = keras.ops.cast(model(images(2, (28, 28, 1))), "float32")
    found = keras.ops.cast(loaded(images(2, (28, 28, 1))), "float32")
    assert relative_difference(expected, found) < 0.1


def test_settings_of_the_reader_do_not_matter(tmp_path):
    model = truncated_twin(small_convnet(), 0.2)
    fr_keras.save_archive(model, tmp_path / "m.fr", **FINE)
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_image_data_format("channels_first")
    try:
        loaded = fr_keras.load_archive(tmp_path / "m.fr")
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")
    assert loaded.get_layer("conv").data_format == "channels_last"
    assert relative_difference(model(images()), loaded(images())) < 1e-3


ZOO = {
    "lenet5": lambda: zoo.lenet5(),
    "lenet5 with other arguments": lambda: zoo.lenet5((32, 32, 3), 4, True, None, "mine"),
    "resnet20": lambda: zoo.resnet20(classes=7),
    "unet": lambda: zoo.unet((32, 32, 1), filters=4, classifier_activation=None),
}


@pytest.mark.parametrize("name", telling(ZOO, "lenet5 with other arguments"))
def test_networks_of_the_zoo_go_by_name(name, tmp_path):
    model = regularize(ZOO[name](), start=0.05)
    packing = fr_keras.save_archive(model, tmp_path / "m.fr")
    assert packing.by_reference
    assert packing.sections["architecture"] < 60
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert loaded.name == model.name
    assert fr_keras.archive._description.describe(loaded) == fr_keras.archive._description.describe(
        model
    )


def test_a_reference_says_what_regularize_was_told(tmp_path):
    weights = {"conv2": (2.0, 2.0, 1.0, 1.0)}
    model = regularize(zoo.lenet5(), exclude=["conv1", "classifier"], axis_weights=weights)
    for layer in frequency_layers(model):
        layer.truncate(50)
    fr_keras.save_archive(model, tmp_path / "m.fr")
    archive = fr_archive.decode((tmp_path / "m.fr").read_bytes())
    assert archive.architecture == fr_archive.Reference(
        "lenet5",
        {
            "regularize": {
                "exclude": ["conv1", "classifier"],
                "axis_weights": {"conv2": [2.0, 2.0, 1.0, 1.0]},
            }
        },
    )
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert loaded.get_layer("conv2").axis_weights == weights["conv2"]
    assert type(loaded.get_layer("conv1")) is layers.Conv2D


@pytest.mark.parametrize(
    "change", telling(["pooling", "frozen", "activation", "input_axes"], "pooling", "input_axes")
)
def test_what_differs_from_the_zoo_does_not_go_by_name(change, tmp_path):
    plain = zoo.lenet5()
    config = plain.get_config()
    by_name = {one["name"]: one for one in config["layers"]}
    if change == "pooling":
        by_name["pool2"]["config"]["padding"] = "same"
    elif change == "frozen":
        by_name["conv1"]["config"]["trainable"] = False
    elif change == "activation":
        by_name["hidden"]["config"]["activation"] = "tanh"
    plain = keras.Model.from_config(config)
    model = regularize(plain)
    if change == "input_axes":
        hidden = regularize(zoo.lenet5()).get_layer("hidden").get_config()
        model = keras.models.clone_model(
            model,
            clone_function=lambda layer: type(layer).from_config(
                {**hidden, "input_axes": None} if layer.name == "hidden" else layer.get_config()
            ),
        )
    for layer in frequency_layers(model):
        layer.truncate(20)
    assert not fr_keras.save_archive(model, tmp_path / "m.fr").by_reference
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    x = images(2, (28, 28, 1))
    assert relative_difference(model(x), loaded(x)) < 0.1


def test_statistics_behind_fr_layers_need_as_few_numbers_as_the_corner_says(tmp_path):
    """Means lie in r cosines, variances in 2 r - 1, once a bias is out of the way."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(64, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    model = regularize(keras.Model(inputs, layers.Dense(4, name="logits")(x)))
    conv = model.get_layer("conv")
    conv.truncate(33)
    conv.bias.assign(np.random.default_rng(0).normal(size=64))
    rank = conv.corner[-1]
    x = images(16, (16, 16, 3))
    fr_keras.save_archive(model, tmp_path / "m.fr", step=1e-4, error=1e-4, calibration=x)
    archive = fr_archive.decode((tmp_path / "m.fr").read_bytes())
    means, variances = archive.vectors[:2]
    assert len(means.values) <= rank < 10
    assert len(variances.values) <= 2 * rank - 1
    # The same from a model whose averages do not lag.
    fr_keras.interop.calibrate_batch_norm(model, x)
    report = fr_keras.save_archive(model, tmp_path / "n.fr", step=1e-4, error=1e-4)
    assert report.sections["vectors"] < 100
    loaded = fr_keras.load_archive(tmp_path / "n.fr")
    assert not np.any(loaded.get_layer("conv").bias)
    assert relative_difference(model(x), loaded(x)) < 1e-3
    assert np.any(conv.bias)  # the model itself keeps it


def test_a_bias_that_somebody_else_reads_stays(tmp_path):
    inputs = keras.Input((8, 8, 3), name="image")
    y = layers.Conv2D(6, 3, name="conv")(inputs)
    x = layers.Add(name="add")([layers.BatchNormalization(name="bn")(y), y])
    plain = keras.Model(inputs, layers.Dense(3, name="logits")(x))
    plain.get_layer("conv").bias.assign(np.arange(6))
    loaded = assert_round_trip(regularize(plain), images(2, (8, 8, 3)), tmp_path)
    assert np.any(loaded.get_layer("conv").bias)


def test_variances_are_above_zero(tmp_path):
    plain = keras.Sequential(
        [keras.Input((4,)), layers.Dense(32, name="hidden"), layers.BatchNormalization(name="bn")]
    )
    model = regularize(plain)
    variance = np.full(32, 1e-9, np.float32)
    variance[5] = 10
    model.get_layer("bn").moving_variance.assign(variance)
    for error in (0.1, 0.9):
        path = tmp_path / f"{error}.fr"
        fr_keras.save_archive(model, path, error=error)
        loaded = fr_keras.load_archive(path)
        assert np.min(loaded.get_layer("bn").moving_variance) > 0
        fr_keras.save_archive(loaded, tmp_path / "again.fr", error=error, overwrite=True)
        assert (tmp_path / "again.fr").read_bytes() == path.read_bytes()


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    model = regularize(zoo.lenet5(batch_norm=True), start=600)
    model = live(model, images(32, (28, 28, 1)))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9  # as in the zoo
    return model


def test_capacity_keeps_the_first_of_each_tensor(network, tmp_path):
    path = tmp_path / "m.fr"
    fr_keras.save_archive(network, path)
    whole, half = fr_keras.load_archive(path), fr_keras.load_archive(path, capacity=0.5)
    for before, after in zip(frequency_layers(whole), frequency_layers(half), strict=True):
        assert after.kept == -(-before.kept // 2)
        assert tuple(after.coefficients.shape) == after.corner
        before.truncate(after.kept)
    x = images(4, (28, 28, 1))
    assert relative_difference(whole(x), half(x)) < 1e-4
    with pytest.raises(ValueError, match="`capacity`"):
        fr_keras.load_archive(path, capacity=0)


def test_the_same_bytes_from_the_whole_and_the_compact_model(network, tmp_path):
    whole = regularize(zoo.lenet5(batch_norm=True))
    for layer, source in zip(frequency_layers(whole), frequency_layers(network), strict=True):
        layer.truncate(source.kept)
        values = np.zeros(layer.coefficients.shape, np.float32)
        values[tuple(slice(n) for n in source.corner)] = source.kept_coefficients()
        layer.set_coefficients(values)
    for layer in whole.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(network.get_layer(layer.name).get_weights())
    for name, model in (("a.fr", network), ("b.fr", whole)):
        fr_keras.save_archive(model, tmp_path / name)
    assert (tmp_path / "a.fr").read_bytes() == (tmp_path / "b.fr").read_bytes()


def test_larger_steps_make_smaller_files_also_of_a_loaded_model(network, tmp_path):
    sizes = [fr_keras.save_archive(network, tmp_path / "0.fr", step=0.001).bytes]
    for number, step in enumerate((0.004, 0.016), start=1):
        loaded = fr_keras.load_archive(tmp_path / f"{number - 1}.fr")
        sizes.append(fr_keras.save_archive(loaded, tmp_path / f"{number}.fr", step=step).bytes)
    assert sizes[2] < sizes[1] < sizes[0]


def test_the_report_adds_up(network, tmp_path):
    path = tmp_path / "m.fr"
    packing = fr_keras.save_archive(network, path)
    assert sum(packing.sections.values()) == packing.bytes == path.stat().st_size
    rows = {row.name: row for row in packing.layers}
    assert rows["conv1"].kept == network.get_layer("conv1").kept
    assert set(rows["conv1_bn"].residuals) == {
        "conv1_bn/moving_mean",
        "conv1_bn/moving_variance",
    }
    assert all(0 <= one <= 0.0101 for row in packing.layers for one in row.residuals.values())
    coded = sum(row.bytes for row in packing.layers)
    assert coded < packing.sections["vectors"] + packing.sections["coefficients"] < coded + 40
    assert json.loads(json.dumps(packing.to_dict()))["bytes"] == packing.bytes
    assert "conv1_bn" in str(packing)
    assert f"{packing.bytes:,} bytes" in str(packing)
    found = inspect(path)
    assert found.sections == packing.sections
    assert [row.bytes for row in found.layers] == [row.bytes for row in packing.layers]


def test_what_cannot_be_packed_is_said_and_nothing_written(network, tmp_path):
    path = tmp_path / "m.fr"

    def refused(model, message, **options):
        with pytest.raises(ValueError, match=message):
            fr_keras.save_archive(model, path, **options)
        assert list(tmp_path.iterdir()) == []

    refused(network, "`step` must be a relative number", step=0)
    refused(network, "`error` must be a relative number", error=float("nan"))
    refused(network, "`kernel_error` must be a relative number", kernel_error=2)
    refused("model", "must be a keras.Model")
    inputs = keras.Input((4,))
    for layer, message in (
        (layers.Lambda(lambda x: x * 2, name="double"), "Lambda 'double': it calls code"),
        (type("Mine", (layers.Dense,), {})(4, name="own"), "Mine 'own': its class does not"),
        (layers.Dense(4, activation=outputs, name="odd"), "'odd': `activation`"),
        (
            layers.Dense(
                4, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(), name="o"
            ),
            "'o'.*`kernel_regularizer`",
        ),
        (keras.ops.sin, "Sin 'sin.*': it is a bare operation"),
    ):
        x = fr_keras.layers.FRDense(4, name="fr")(inputs)
        refused(keras.Model(inputs, layer(x)), message)


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    model = regularize(zoo.lenet5(), start=100)
    values = model.get_layer("conv2").kept_coefficients()
    values[0, 0, 0, 0] = np.nan
    model.get_layer("conv2").coefficients.assign(values)
    with pytest.raises(ValueError, match=r"finite weights.*'conv2'"):
        fr_keras.save_archive(model, tmp_path / "m.fr")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_unless_told(network, tmp_path):
    path = tmp_path / "m.fr"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        fr_keras.save_archive(network, path)
    assert path.read_bytes() == b"mine"
    fr_keras.save_archive(network, path, overwrite=True)
    assert fr_keras.load_archive(path).name == "lenet5"
    with pytest.raises(FileNotFoundError):
        fr_keras.load_archive(tmp_path / "none.fr")


@pytest.mark.parametrize("name", ["described", "by_name"])
def test_golden_archives_load_forever(name, tmp_path):
    path = GOLDENS / f"archive_{name}_v1.fr"
    model, golden = fr_keras.load_archive(path), np.load(path.with_suffix(".npz"))
    assert relative_difference(golden["y"], model(golden["x"])) < 1e-4  # float32 sums
    packing = fr_keras.save_archive(model, tmp_path / "m.fr")
    assert packing.by_reference == (name == "by_name")
    assert (tmp_path / "m.fr").read_bytes() == path.read_bytes()


def test_a_loaded_model_trains_on(network, tmp_path):
    fr_keras.save_archive(network, tmp_path / "m.fr")
    model = fr_keras.load_archive(tmp_path / "m.fr")
    model.compile("adam", "sparse_categorical_crossentropy")
    total = fr_keras.summary(model).kept
    callback = fr_keras.TailTruncation(keep=total // 2, epochs=1)
    model.fit(images(32, (28, 28, 1)), np.arange(32) % 10, verbose=0, callbacks=[callback])
    assert fr_keras.summary(model).kept == total // 2
