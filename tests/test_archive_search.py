"""Archives that validation data choose."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers
from networks import images

import fr_archive
import fr_keras
from fr_keras import archive, data, regularize, zoo
from fr_keras.rebuild import frequency_layers
from fr_keras.series import keep_series, kept_series


@pytest.fixture(scope="module")
def digits():
    """With more validation rows, for a search uses one half of them to confirm."""
    whole = data.load("digits")
    train, more = (
        data.Split(whole.train.x[part], whole.train.y[part])
        for part in (slice(900), slice(900, None))
    )
    return dataclasses.replace(whole, train=train, validation=more)


@pytest.fixture(scope="module")
def network(digits):
    """A small network that reads most digits."""
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.AveragePooling2D(2, name="half"),
            layers.Conv2D(16, 3, name="conv"),
            # So few steps: the usual momentum forgets the first statistics too slowly.
            layers.BatchNormalization(momentum=0.9, name="bn"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(3, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(10, activation="softmax", name="logits"),
        ],
        name="reader",
    )
    model = regularize(plain, start={"conv": 60, "logits": 500})
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(digits.train.x, digits.train.y, epochs=12, verbose=0)
    return model


def confirmed(model, split):
    """The accuracy on the rows that a search does not search with."""
    return np.mean(model.predict(split.x[1::2], verbose=0).argmax(-1) == split.y[1::2])


def run(network, digits, **options):
    options = {"calibration": digits.train.x[:256], **options}
    return archive.search(network, digits.validation.x, digits.validation.y, **options)


@pytest.fixture(scope="module")
def found(network, digits):
    """The smallest archive that was found within a drop of 0.02."""
    return run(network, digits, max_drop=0.02)


def test_the_smallest_archive_at_an_accuracy(found, network, digits, tmp_path):
    usual = fr_keras.save_archive(network, tmp_path / "usual.fr", calibration=digits.train.x[:256])
    before = [part.kept for part in frequency_layers(network)]
    assert found.reference_accuracy == confirmed(network, digits.validation) > 0.8
    assert found.accuracy >= found.reference_accuracy - 0.02
    assert found.bytes < 0.9 * usual.bytes
    # What is saved is what was measured, and measured is what is loaded.
    packing = fr_keras.save_archive(
        found.model, tmp_path / "m.fr", step=found.step, error=found.error
    )
    assert packing.bytes == found.bytes == (tmp_path / "m.fr").stat().st_size
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert confirmed(loaded, digits.validation) == found.accuracy
    fr_keras.save_archive(loaded, tmp_path / "n.fr", step=found.step, error=found.error)
    assert (tmp_path / "n.fr").read_bytes() == (tmp_path / "m.fr").read_bytes()
    assert [part.kept for part in frequency_layers(found.model)] == before
    assert {*found.step} == {"conv", "logits"}
    coarser = {step / 0.005 for step in found.step.values()}
    coarser |= {error / 0.01 for error in found.error.values()}
    assert len(coarser) > 1  # each layer has its own


def test_kept_counts_are_cut_if_asked_and_the_model_stays(network, digits):
    model = fr_keras.compact(network)
    logits = frequency_layers(model)[1]
    series = kept_series(logits)
    # What comes later is noise, which takes bytes for nothing.
    series[250:] = np.random.default_rng(0).normal(size=250) * series[:250].std() / 2
    keep_series(logits, series)
    before = model.get_weights()
    whole, shorter = (
        run(model, digits, max_drop=0.02, search_kept=asked) for asked in (False, True)
    )
    assert shorter.bytes < whole.bytes
    assert shorter.accuracy >= shorter.reference_accuracy - 0.02
    assert [part.kept for part in frequency_layers(whole.model)] == [60, 500]
    assert frequency_layers(shorter.model)[1].kept < 500
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_fine_tuning_starts_from_what_was_found(network, digits):
    given = []

    def fine_tune(model, steps):
        given.append((model, steps))
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        callbacks = [fr_keras.ArchiveRounding(steps)]
        model.fit(digits.train.x, digits.train.y, epochs=10, verbose=0, callbacks=callbacks)

    before = network.get_weights()
    trials = []
    tuned = run(network, digits, max_bytes=180, fine_tune=fine_tune, progress=trials.append)
    ((model, steps),) = given
    assert model is not network
    assert {*steps} == {"conv", "logits"}
    assert all(1e-3 < step < 0.5 for step in steps.values())
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # An archive of so few steps is bad, and better when the steps were trained with.
    assert tuned.accuracy > run(network, digits, max_bytes=180).accuracy
    assert tuned.bytes <= 180
    assert [one.number for one in trials] == list(range(tuned.trials))


def test_the_most_accurate_archive_at_a_size_and_its_trials(network, digits):
    trials = []
    found = run(network, digits, max_bytes=360, progress=trials.append)
    assert found.bytes <= 360
    assert [one.number for one in trials] == list(range(found.trials))
    fitting = [one for one in trials if one.bytes <= 360]
    assert all(one.accuracy is None for one in trials if one.bytes > 360)
    best = max(fitting, key=lambda one: (one.accuracy, -one.bytes))
    assert found.bytes == best.bytes
    # One factor for all layers, what the search begins with, is worse.
    assert best.accuracy > max(one.accuracy for one in fitting if one.number <= 10)
    assert found.accuracy == confirmed(found.model, digits.validation)


def test_rows_that_confirm_send_a_search_back(network, digits):
    """Rows that are easily read search, those that are hardly read confirm."""
    x = digits.validation.x
    scores = np.sort(network.predict(x, verbose=0), axis=-1)
    easy_first = x[np.argsort(scores[:, -2] - scores[:, -1])]
    half = len(x) // 2
    x = np.stack([easy_first[:half], easy_first[-half:]], 1).reshape(-1, *x.shape[1:])
    y = network.predict(x, verbose=0).argmax(-1)
    trials = []
    found = archive.search(network, x, y, max_drop=0.02, progress=trials.append)
    assert found.reference_accuracy == 1.0
    assert found.accuracy >= 0.98
    assert found.bytes > min(one.bytes for one in trials if one.accuracy == 1.0)


def test_what_cannot_be_had_is_said_with_what_can(network, digits):
    smallest = []
    with pytest.raises(ValueError, match=r"`max_bytes` must be at least (\d+)") as refused:
        run(network, digits, max_bytes=20, progress=lambda one: smallest.append(one.bytes))
    assert f"at least {min(smallest)}," in str(refused.value)
    one, other = (run(network, digits, max_bytes=min(smallest)) for _ in range(2))
    assert one.bytes == min(smallest)
    assert dataclasses.replace(one, model=None) == dataclasses.replace(other, model=None)
    wrong = (digits.validation.y + 1) % 10
    with pytest.raises(ValueError, match="One of `max_drop` and `max_bytes`"):
        run(network, digits)
    with pytest.raises(ValueError, match="One of `max_drop` and `max_bytes`"):
        run(network, digits, max_bytes=500, max_drop=0.1)
    with pytest.raises(ValueError, match="`max_drop` must be a fraction"):
        run(network, digits, max_drop=1.5)
    with pytest.raises(ValueError, match="`max_bytes` must be at least 1"):
        run(network, digits, max_bytes=0)
    for y in (wrong[:-1], np.eye(10)[wrong]):
        with pytest.raises(ValueError, match="`y` must hold one class for each row"):
            archive.search(network, digits.validation.x, y, max_drop=0.1)
    with pytest.raises(ValueError, match="use `regularize`"):
        archive.search(zoo.lenet5(), digits.validation.x, digits.validation.y, max_bytes=500)


def test_an_accuracy_that_no_archive_has_is_refused(digits):
    """Statistics of the wrong data, without calibration kept, then spoilt by calibration."""
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, name="hidden"),
            layers.BatchNormalization(name="bn"),
            layers.Dense(3, activation="softmax", name="logits"),
        ]
    )
    model = regularize(plain)
    x = images(30, (4,))
    y = model.predict(x, verbose=0).argmax(-1)  # right by definition
    wrong = 1e3 * (1 + images(30, (4,), seed=1))
    with pytest.raises(
        ValueError, match=r"`max_drop` must leave an accuracy of at most 0\.\d+, the"
    ):
        archive.search(model, x, y, max_drop=0.0, calibration=wrong)
    # Where nothing can be lost on the rows that search, those that confirm refuse.
    y[::2] = (y[::2] + 1) % 3
    with pytest.raises(ValueError, match=r"at most 0\.\d+ on the rows that confirm"):
        archive.search(model, x, y, max_drop=0.0, calibration=wrong)
    assert archive.search(model, x, y, max_drop=0.0).accuracy == 1.0


def test_pixels_are_rows_too_and_a_generator_calibrates(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    hidden = layers.Conv2D(6, 3, padding="same", name="conv")(inputs)
    hidden = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(hidden))
    scores = layers.Conv2D(2, 1, activation="softmax", name="scores")(hidden)
    model = regularize(keras.Model(inputs, scores, name="pixels"))
    x = images(6, (8, 8, 1))
    fr_keras.interop.calibrate_batch_norm(model, x)
    y = model.predict(x, verbose=0).argmax(-1)
    found = archive.search(model, x, y, max_drop=0.05, calibration=(x for _ in range(1)))
    assert 0.95 <= found.accuracy <= found.reference_accuracy == 1.0
    packing = fr_keras.save_archive(
        found.model, tmp_path / "m.fr", step=found.step, error=found.error
    )
    assert packing.bytes == found.bytes


def test_steps_and_errors_by_layer(network, tmp_path):
    path = tmp_path / "m.fr"
    usual = fr_keras.save_archive(network, path)
    mixed = fr_keras.save_archive(
        network, path, step={"conv": 0.1}, error={"bn": 0.1}, overwrite=True
    )
    rows = [{row.name: row for row in one.layers} for one in (usual, mixed)]
    assert rows[1]["conv"].steps[0] > 10 * rows[0]["conv"].steps[0]
    assert rows[1]["logits"].steps == rows[0]["logits"].steps
    assert rows[1]["bn"].vector_numbers < rows[0]["bn"].vector_numbers
    for name, values in (("step", {"bn": 0.1}), ("error", {"none": 0.1})):
        with pytest.raises(ValueError, match=f"`{name}` must name layers"):
            fr_keras.save_archive(network, path, overwrite=True, **{name: values})
    with pytest.raises(ValueError, match=r"`step\['conv'\]` is relative"):
        fr_keras.save_archive(network, path, step={"conv": 2.0}, overwrite=True)
    held = fr_archive.decode(path.read_bytes())
    assert [len(one.values) for one in held.tensors] == [60, 500]  # not replaced
