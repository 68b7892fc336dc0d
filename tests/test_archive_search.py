"""Archives that validation data choose: what holds whatever a network has learnt."""

import dataclasses

import keras
import numpy as np
import pytest
from backends import not_under
from keras import layers
from networks import images

import fr_archive
import fr_keras
from fr_keras import archive, regularize
from fr_keras.models.coefficients import keep_series
from fr_keras.models.walk import frequency_layers

SHAPE = (12, 12, 1)


@pytest.fixture(scope="module")
def network():
    """A small network with statistics of its own."""
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(6, activation="softmax", name="logits"),
        ],
        name="reader",
    )
    model = regularize(plain, start={"conv": 40, "logits": 200})
    fr_keras.interop.calibrate_batch_norm(model, images(64, SHAPE, seed=1))
    return model


@pytest.fixture(scope="module")
def rows(network):
    """Rows with the classes that the network gives them: all right, by definition."""
    x = images(120, SHAPE)
    return x, network.predict(x, verbose=0).argmax(-1)


def confirmed(model, rows):
    """The accuracy on the rows that a search does not search with."""
    x, y = rows
    return np.mean(model.predict(x[1::2], verbose=0).argmax(-1) == y[1::2])


def run(network, rows, **options):
    return archive.search(network, *rows, **{"calibration": images(64, SHAPE, seed=1), **options})


@pytest.fixture(scope="module")
def found(network, rows):
    """The smallest archive that was found within a drop of 0.05, and its trials."""
    trials = []
    return run(network, rows, max_drop=0.05, progress=trials.append), trials


@pytest.fixture(scope="module")
def within(network, rows):
    """The most accurate archive within 200 bytes, and its trials."""
    trials = []
    return run(network, rows, max_bytes=200, progress=trials.append), trials


def test_the_smallest_archive_at_an_accuracy(found, network, rows, tmp_path):
    found, trials = found
    usual = fr_keras.save_archive(network, tmp_path / "usual.fr")
    before = [part.kept for part in frequency_layers(network)]
    assert found.reference_accuracy == confirmed(network, rows) == 1.0
    assert found.accuracy >= 0.95
    assert found.bytes < usual.bytes
    assert found.bytes in [one.bytes for one in trials if one.accuracy and one.accuracy >= 0.95]
    assert [one.number for one in trials] == list(range(found.trials))
    # What is saved is what was measured, and measured is what is loaded.
    packing = fr_keras.save_archive(
        found.model, tmp_path / "m.fr", step=found.step, error=found.error
    )
    assert packing.bytes == found.bytes == (tmp_path / "m.fr").stat().st_size
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert confirmed(loaded, rows) == found.accuracy
    fr_keras.save_archive(loaded, tmp_path / "n.fr", step=found.step, error=found.error)
    assert (tmp_path / "n.fr").read_bytes() == (tmp_path / "m.fr").read_bytes()
    assert [part.kept for part in frequency_layers(found.model)] == before
    assert {*found.step} == {"conv", "logits"}
    assert {*found.error} == {"conv", "bn", "logits"}


def test_kept_counts_are_cut_if_asked_and_the_model_stays():
    plain = keras.Sequential([keras.Input((16,)), layers.Dense(8, name="logits")], name="reader")
    model = regularize(plain)
    (logits,) = frequency_layers(model)
    series = np.random.default_rng(0).normal(size=128).astype(np.float32)
    # What comes later is noise, which takes bytes for nothing.
    series[40:] /= 50
    keep_series(logits, series)
    x = images(60, (16,)) - 0.5
    y = model.predict(x, verbose=0).argmax(-1)
    before = model.get_weights()
    whole, shorter = (
        archive.search(model, x, y, max_drop=0.2, search_kept=asked) for asked in (False, True)
    )
    # The search for counts goes on from the other one.
    assert shorter.bytes <= whole.bytes
    assert shorter.accuracy >= shorter.reference_accuracy - 0.2
    assert frequency_layers(whole.model)[0].kept == 128
    assert frequency_layers(shorter.model)[0].kept < 128
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_most_accurate_archive_at_a_size_and_its_trials(within, rows):
    found, trials = within
    assert [one.number for one in trials] == list(range(found.trials))
    assert all((one.accuracy is None) == (one.bytes > 200) for one in trials)
    assert found.bytes in [one.bytes for one in trials if one.bytes <= 200]
    assert found.accuracy == confirmed(found.model, rows)


@pytest.mark.usefixtures("stepwise")
def test_fine_tuning_that_spoils_a_network_changes_nothing(within, network, rows):
    given = []

    def spoil(model, steps):
        given.append((model, steps))
        for layer in frequency_layers(model):
            layer.set_coefficients(np.zeros_like(layer.kept_coefficients()))

    before = network.get_weights()
    trials = []
    tuned = run(network, rows, max_bytes=200, fine_tune=spoil, progress=trials.append)
    ((model, steps),) = given
    assert model is not network
    assert {*steps} == {"conv", "logits"}
    assert all(1e-4 < step < 0.5 for step in steps.values())
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [one.number for one in trials] == list(range(tuned.trials))
    # And a search draws nothing at random.
    plain, _ = within
    assert dataclasses.replace(tuned, model=plain.model, trials=plain.trials) == plain


@pytest.mark.slow
def test_training_with_the_steps_is_no_loss(within, network, rows):
    """Whatever the training comes to."""

    def fine_tune(model, steps):
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        callbacks = [fr_keras.ArchiveRounding(steps)]
        model.fit(*rows, epochs=2, verbose=0, callbacks=callbacks)

    tuned, (plain, _) = run(network, rows, max_bytes=200, fine_tune=fine_tune), within
    assert (tuned.accuracy, -tuned.bytes) >= (plain.accuracy, -plain.bytes)
    assert tuned.bytes <= 200


def sides(first: float, second: float) -> keras.Model:
    """Says of rows whether one number or the other is above 0, by two weights."""
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False, name="logits")])
    plain.layers[0].kernel.assign([[-first, first], [-second, second]])
    return regularize(plain)


#: Rows that search have the first number, those that confirm the second one.
SIDES = np.array([[-1, 0], [0, -1], [1, 0], [0, 1]] * 5, np.float32)
ABOVE = (SIDES.sum(-1) > 0).astype(int)


def to_weights(*weights):
    def fine_tune(model, steps):
        model.set_weights(sides(*weights).get_weights())

    return fine_tune


@pytest.mark.usefixtures("stepwise")
def test_fine_tuning_is_taken_if_it_is_better_for_all_rows():
    start = sides(-1, -1)
    plain = archive.search(start, SIDES, ABOVE, max_bytes=500)
    tuned = archive.search(start, SIDES, ABOVE, max_bytes=500, fine_tune=to_weights(1, 1))
    assert plain.accuracy == 0.0
    assert tuned.accuracy == 1.0
    assert tuned.bytes <= 500


@pytest.mark.usefixtures("stepwise")
def test_fine_tuning_is_not_taken_if_it_is_worse_for_rows_that_confirm():
    start = sides(-1, 1)
    tuned = archive.search(start, SIDES, ABOVE, max_bytes=500, fine_tune=to_weights(1, -1))
    assert tuned.accuracy == tuned.reference_accuracy == 1.0
    # Smaller is better where accuracy may be lost, but not more than that.
    tuned = archive.search(sides(1, 1), SIDES, ABOVE, max_drop=0.1, fine_tune=to_weights(1, -0.01))
    assert tuned.accuracy == 1.0


def test_rows_that_confirm_send_a_search_back(network, rows):
    """Rows that are easily read search, those that are hardly read confirm."""
    x, _ = rows
    scores = np.sort(network.predict(x, verbose=0), axis=-1)
    easy_first = x[np.argsort(scores[:, -2] - scores[:, -1])]
    half = len(x) // 2
    x = np.stack([easy_first[:half], easy_first[-half:]], 1).reshape(-1, *SHAPE)
    y = network.predict(x, verbose=0).argmax(-1)
    trials = []
    found = archive.search(network, x, y, max_drop=0.02, progress=trials.append)
    assert found.reference_accuracy == 1.0
    assert found.accuracy >= 0.98
    assert found.bytes > min(one.bytes for one in trials if one.accuracy == 1.0)


def test_what_cannot_be_had_is_said_with_what_can(network, rows):
    smallest = []
    with pytest.raises(ValueError, match=r"`max_bytes` must be at least (\d+)") as refused:
        run(network, rows, max_bytes=20, progress=lambda one: smallest.append(one.bytes))
    assert f"at least {min(smallest)}," in str(refused.value)
    assert run(network, rows, max_bytes=min(smallest)).bytes == min(smallest)
    x, y = rows
    with pytest.raises(ValueError, match="Exactly one of `max_drop` and `max_bytes`"):
        run(network, rows)
    with pytest.raises(ValueError, match="Exactly one of `max_drop` and `max_bytes`"):
        run(network, rows, max_bytes=500, max_drop=0.1)
    with pytest.raises(ValueError, match="`max_drop` must be a fraction"):
        run(network, rows, max_drop=1.5)
    with pytest.raises(ValueError, match="`max_bytes` must be at least 1"):
        run(network, rows, max_bytes=0)
    for wrong in (y[:-1], np.eye(6)[y]):
        with pytest.raises(ValueError, match="`y` must hold one class for each row"):
            archive.search(network, x, wrong, max_drop=0.1)


def test_an_accuracy_that_no_archive_has_is_refused():
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
    with pytest.raises(ValueError, match=r"`max_drop` must allow an accuracy of 0\.\d+, the"):
        archive.search(model, x, y, max_drop=0.0, calibration=wrong)
    # Where nothing can be lost on the rows that search, those that confirm refuse.
    y[::2] = (y[::2] + 1) % 3
    with pytest.raises(ValueError, match=r"an accuracy of 0\.\d+ on the confirmation rows"):
        archive.search(model, x, y, max_drop=0.0, calibration=wrong)


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


@not_under("torch", "the numbers of the statistics depend on the weights drawn")
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
        with pytest.raises(ValueError, match=f"`{name}` must name only layers"):
            fr_keras.save_archive(network, path, overwrite=True, **{name: values})
    with pytest.raises(ValueError, match=r"`step\['conv'\]` must be a relative number"):
        fr_keras.save_archive(network, path, step={"conv": 2.0}, overwrite=True)
    held = fr_archive.decode(path.read_bytes())
    assert [len(one.values) for one in held.tensors] == [40, 200]  # not replaced


def twins(attention: bool) -> keras.Model:
    """Two models of one function: their layers have the same names."""

    def branch(name):
        inputs = keras.Input((6,))
        hidden = layers.Dense(5, name="fc")(inputs)
        hidden = layers.BatchNormalization(name="bn")(layers.ReLU(name="relu")(hidden))
        if attention:
            hidden = layers.Reshape((1, 5), name="rows")(hidden)
            hidden = layers.MultiHeadAttention(1, 2, name="look")(hidden, hidden)
        return keras.Model(inputs, hidden, name=name)

    inputs = keras.Input((6,), name="x")
    both = [branch(name)(inputs) for name in ("left", "right")]
    flat = layers.Flatten(name="flat")(layers.Concatenate(name="both")(both))
    return regularize(keras.Model(inputs, layers.Dense(3, name="scores")(flat)))


def test_layers_of_one_name_have_steps_and_errors_of_their_own(tmp_path):
    keras.utils.set_random_seed(0)
    model, path = twins(attention=True), tmp_path / "m.fr"
    for number, layer in enumerate(model.get_layer("right").layers):
        if layer.name == "bn":
            layer.moving_mean.assign(number + np.arange(5))
    coarse = {"step": {"left/fc": 0.3}, "error": {"right/bn": 0.3}}
    usual = fr_keras.save_archive(model, path)
    packing = fr_keras.save_archive(model, path, **coarse, overwrite=True)
    before, after = ({row.name: row for row in one.layers} for one in (usual, packing))
    assert {"left/fc", "right/fc", "left/bn", "right/bn", "left/look", "scores"} <= {*after}
    assert after["left/fc"].steps[0] > 100 * before["left/fc"].steps[0]
    assert after["right/fc"].steps == before["right/fc"].steps
    assert max(after["left/bn"].residuals.values()) <= 0.0006
    assert max(after["right/bn"].residuals.values()) > 0.0006
    # Of each of its kernels, which have one name.
    residuals = after["left/look"].residuals
    assert {"left/look/bias", "left/look/bias 2"} <= {*residuals}
    coded = sum(row.bytes for row in packing.layers)
    assert coded < packing.sections["vectors"] + packing.sections["coefficients"] < coded + 60
    for name in ("step", "error"):
        with pytest.raises(ValueError, match=r"left/fc.*Received: fc"):
            fr_keras.save_archive(model, path, **{name: {"fc": 0.1}}, overwrite=True)


def test_a_search_tells_layers_of_one_name_apart(tmp_path):
    keras.utils.set_random_seed(0)
    model, given = twins(attention=False), []
    x = images(24, (6,))
    y = model.predict(x, verbose=0).argmax(-1)
    found = archive.search(
        model, x, y, max_drop=0.2, fine_tune=lambda _, steps: given.append({*steps})
    )
    names = {*fr_keras.models.walk.named_kernels(model)}
    assert {"left/fc", "right/fc", "scores"} <= names == {*found.step} == given[0]
    assert {"left/bn", "right/bn"} <= {*found.error}
    packing = fr_keras.save_archive(
        found.model, tmp_path / "m.fr", step=found.step, error=found.error
    )
    assert packing.bytes == found.bytes
