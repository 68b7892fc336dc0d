"""`train`: what goes in, what is written, what is never replaced, and how it goes on."""

import dataclasses
import itertools
import json
import shutil
import sys

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers
from networks import small_convnet
from solved_tasks import classifier, dataset, pictures
from test_cli import call

from fr_bench import recipes
from fr_bench._architecture import outline
from fr_bench.recipes import Recipe
from fr_bench.train import prepared, recipe_path, train
from fr_bench.training import EpochProgress
from fr_keras import regularize, summary, zoo
from fr_keras.models.walk import frequency_layers

pytestmark = pytest.mark.usefixtures("stepwise_module")

X, Y = pictures(96)
ONE = Recipe(epochs=1, keep=0.5)


def small(classes: int = 4, units: int = 8) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = layers.Dense(units, activation="relu", name="hidden")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(classes, "softmax", name="head")(x))


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "bars.npz"
    np.savez(path, x_train=X[:64], y_train=Y[:64], x_test=X[64:], y_test=Y[64:])
    return path


# Which networks are one


def sequential(units: int = 4, activation: str = "relu") -> keras.Model:
    stack = [keras.Input((8,)), layers.Dense(units, activation), layers.Dense(3)]
    return keras.Sequential(stack)


def pooled(shape: tuple[int, ...] = (16, 16, 3)) -> keras.Model:
    """Its weights do not tell the size of the pictures."""
    x = inputs = keras.Input(shape)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(4)(x))


def nested(crossed: bool = False) -> keras.Model:
    """A shared layer and a nested model, two inputs, two outputs by name."""
    one, two = keras.Input((8,)), keras.Input((8,))
    shared, inner = layers.Dense(8), sequential()
    x = layers.Add()([shared(one), shared(one if crossed else two)])
    return keras.Model([one, two], {"a": inner(x), "b": layers.Dense(2)(x)})


NETWORKS = {
    "lenet5": zoo.lenet5,
    "lenet5 with batch normalization": lambda: zoo.lenet5(batch_norm=True),
    "pooled": pooled,
    "pooled, of larger pictures": lambda: pooled((24, 16, 3)),
    "unet": lambda: zoo.unet((16, 16, 1), filters=2),
    "convnet": small_convnet,
    "sequential": sequential,
    "more units": lambda: sequential(5),
    "another activation": lambda: sequential(activation="tanh"),
    "nested": nested,
    "connected otherwise": lambda: nested(crossed=True),
}


@pytest.mark.parametrize(
    "name",
    telling(NETWORKS, "lenet5 with batch normalization", "sequential", "connected otherwise"),
)
def test_twins_of_a_network_are_one(tmp_path, name):
    model, again = NETWORKS[name](), NETWORKS[name]()
    # Layers without names are called otherwise again.
    again.set_weights([weight + 1 for weight in again.get_weights()])
    outlines = [outline(one) for one in (model, again, regularize(again))]
    regularize(again, start=0.5).save(tmp_path / "m.keras")
    outlines.append(outline(keras.models.load_model(tmp_path / "m.keras")))
    assert all(one == outlines[0] for one in outlines)


def test_other_networks_are_others():
    found = {name: outline(make()) for name, make in NETWORKS.items()}
    for one, other in itertools.combinations(found, 2):
        assert found[one] != found[other], (one, other)


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_another_network_is_never_replaced(tmp_path, npz, force):
    small().save(tmp_path / "m.keras")
    for content in (None, b"no network"):
        out = tmp_path / "there.keras"
        if content is None:
            small(units=9).save(out)
        else:
            out.write_bytes(content)
        before = out.read_bytes()
        words = ("train", tmp_path / "m.keras", "--data", npz, "--epochs", 1, "--keep", 0.5)
        done = call(*words, "--out", out, *force)
        assert done.exit_code == 2, done.output
        message = "another architecture" if content is None else "cannot be read as a network"
        assert (message if force else "--force") in done.stderr
        assert out.read_bytes() == before
    assert not [*tmp_path.glob("*.toml"), *tmp_path.glob("*.backup")]


def test_the_network_itself_is_replaced_if_that_is_allowed(tmp_path):
    out, data = tmp_path / "m.keras", dataset(X, Y)
    small().save(out)
    with pytest.raises(FileExistsError, match="--force"):
        train(small(), data, out, ONE)
    train(small(), data, out, ONE, overwrite=True)
    assert frequency_layers(keras.models.load_model(out))
    train(small(), data, out, ONE, overwrite=True)  # FR and plain are one network
    assert {path.name for path in tmp_path.iterdir()} == {"m.keras", "m.recipe.toml"}


# What is trained


def test_an_fr_model_trains_on(tmp_path):
    data, first = dataset(X, Y), regularize(small())
    for layer in frequency_layers(first):
        layer.truncate(layer.kept // 2)
    before = [one.copy() for one in first.get_weights()]
    same, regime = prepared(first, dataclasses.replace(ONE, keep=None))
    assert sum(regime.keep.values()) == summary(same).kept == summary(first).kept
    fewer = dataclasses.replace(ONE, keep={"conv": 10, "hidden": 60, "head": 8})
    assert summary(train(first, data, tmp_path / "c.keras", fewer).model).kept == 78
    for one, other in zip(before, first.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for change, message in (
        ({"keep": 0.9}, "`keep` must be at most what a layer has"),
        ({"start": 0.5}, "`start` must be left out, because the network is an FR model"),
        ({"axis_weights": {"conv": [1, 1, 1, 2]}}, "`axis_weights` must be left out"),
    ):
        with pytest.raises(ValueError, match=message):
            prepared(first, dataclasses.replace(ONE, **change))


def ending(*heads) -> keras.Model:
    body = small()
    return keras.Model(body.input, [head(body.get_layer("hidden").output) for head in heads])


def drawing() -> keras.Model:
    inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))


MASKS = (X[..., 0] > 100).astype("uint8")
TASKS = {
    "logits": (lambda: ending(layers.Dense(4)), Y, "accuracy"),
    "labels": (lambda: ending(layers.Dense(4, "sigmoid")), np.eye(4)[Y] + np.eye(4)[3 - Y], "f1"),
    "masks": (drawing, MASKS, "dice"),
    "black and white": (drawing, 255 * MASKS, "dice"),
    "numbers": (lambda: ending(layers.Dense(1)), X.mean((1, 2, 3)) / 255, "r2"),
    "two outputs": (
        lambda: ending(layers.Dense(4, "softmax"), layers.Dense(1)),
        (Y, X.mean((1, 2, 3)) / 255),
        "accuracy+r2",
    ),
}


@pytest.mark.parametrize("task", telling(TASKS, "masks"))
def test_every_task_is_trained_and_scored(tmp_path, task):
    make, y, metric = TASKS[task]
    found = train(make(), dataset(X, y, ()), tmp_path / "m.keras", ONE)
    assert found.to_dict()["metric"] == metric
    assert found.test.low <= found.test.high
    assert found.test.n == found.validation.n == 24
    assert len(found.history[f"val_{metric}"]) == 1
    assert found.history[f"val_{metric}"][0] == pytest.approx(found.validation.value, abs=1e-6)


def test_loss_scale_and_metric_are_taken(tmp_path):
    recipe = dataclasses.replace(ONE, scale="-1..1", metric="accuracy", loss="poisson")
    make, y, usual = TASKS["labels"]
    lines = []
    found = train(make(), dataset(X, y), tmp_path / "m.keras", recipe, say=lines.append)
    assert found.before.data.normalization == (pytest.approx(2 / 255), -1.0)
    assert found.to_dict()["metric"] == "accuracy" != usual
    assert found.before.task.loss == "poisson"
    assert "pixels in -1..1" in lines[0]


def test_validation_rows_of_ones_own(tmp_path, npz):
    np.savez(tmp_path / "more.npz", x=X[:20], y=Y[:20])
    small().save(tmp_path / "m.keras")
    words = ("train", tmp_path / "m.keras", "--data", npz, "--epochs", 1, "--keep", 0.5, "--json")
    done = call(*words, "--validation", tmp_path / "more.npz", "--out", tmp_path / "o.keras")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["validation"]["n"], found["test"]["n"], found["drawn"]) == (20, 32, [])
    assert recipes.read(tmp_path / "o.recipe.toml").validation == str(tmp_path / "more.npz")


def test_logs_for_tensorboard(tmp_path, monkeypatch):
    data = dataset(X, Y)
    train(small(), data, tmp_path / "m.keras", ONE, tensorboard=tmp_path / "logs")
    assert [*(tmp_path / "logs").rglob("events*")]
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install 'fr-keras\[tensorboard\]'"):
        train(small(), data, tmp_path / "n.keras", ONE, tensorboard=tmp_path / "logs")


# Going on


class Stopped(Exception):
    pass


@pytest.fixture
def stop(monkeypatch):
    """Makes a training end at the beginning of an epoch, as if it were killed."""

    def at(epoch: int | None):
        def begin(self, number, logs=None):
            if number == epoch:
                raise Stopped

        monkeypatch.setattr(EpochProgress, "on_epoch_begin", begin, raising=False)

    return at


def test_a_training_that_was_stopped_goes_on(tmp_path, stop):
    data, recipe = dataset(X, Y), Recipe(epochs=4, keep=0.2, batch_size=16, schedule="linear")
    whole = train(small(), data, tmp_path / "whole.keras", recipe)
    out, backup = tmp_path / "m.keras", tmp_path / "m.backup"
    for epoch in (0, 2):
        stop(epoch)
        with pytest.raises(Stopped):
            train(small(), data, out, recipe, resume=True)
        assert backup.is_dir() == (epoch > 0)  # in the first there is nothing to go on with
    stop(None)
    with pytest.raises(FileExistsError, match="--resume"):
        train(small(), data, out, recipe)
    other = dataclasses.replace(recipe, keep=0.3, seed=1)
    with pytest.raises(FileExistsError, match="another keep, seed than in"):
        train(small(), data, out, other, resume=True)
    weights = backup / "epochs" / "latest.weights.h5"
    weights.write_bytes(weights.read_bytes()[:500])  # killed while it was written
    lines = []
    found = train(small(), data, out, recipe, resume=True, say=lines.append)
    assert lines[1] == "The training goes on."
    assert not backup.exists()
    assert found.history["kept"] == whole.history["kept"]
    # The same rows in the same order: threads add up in any order, so not to the last digit.
    np.testing.assert_allclose(found.history["loss"], whole.history["loss"], rtol=1e-3)
    for one, other in zip(found.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-2)


def test_a_stopped_training_can_be_forgotten(tmp_path, stop):
    data, out = dataset(X, Y), tmp_path / "m.keras"
    recipe = dataclasses.replace(ONE, epochs=2)
    stop(1)
    with pytest.raises(Stopped):
        train(small(), data, out, recipe)
    stop(None)
    found = train(small(), data, out, dataclasses.replace(recipe, epochs=1), overwrite=True)
    assert len(found.history["loss"]) == 1


def test_what_is_trained_but_not_written_is_written(tmp_path, monkeypatch):
    data, out = dataset(X, Y), tmp_path / "m.keras"

    def full(self, path, **options):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", full)
        with pytest.raises(OSError, match="no space"):
            train(small(), data, out, ONE)
    found = train(small(), data, out, ONE, resume=True)
    assert out.exists()
    assert len(found.history["loss"]) == 1


def test_a_disk_without_room_is_said_before_the_training(tmp_path, npz, monkeypatch):
    small().save(tmp_path / "m.keras")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    size = 4 * small().count_params()
    free = shutil.disk_usage(tmp_path)._replace(free=9 * size - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    words = ("train", tmp_path / "m.keras", "--data", npz, "--epochs", 1, "--keep", 0.5)
    done = call(*words, "--out", tmp_path / "m.keras", "--force")
    assert done.exit_code == 1
    assert f"make room in '{tmp_path}'" in done.stderr
    assert f"Received: {9 * size - 1:,} free bytes" in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_command_says_that_a_training_was_stopped(tmp_path, npz):
    small().save(tmp_path / "m.keras")
    (tmp_path / "o.backup").mkdir()
    (tmp_path / "o.backup" / "history.json").write_text("[]")
    words = ("train", tmp_path / "m.keras", "--data", npz, "--epochs", 1, "--keep", 0.5)
    done = call(*words, "--out", tmp_path / "o.keras")
    assert done.exit_code == 2
    assert "--resume" in done.stderr


# Trained networks keep what they know


@pytest.mark.usefixtures("graphs")
def test_a_trained_network_keeps_its_answers_where_nothing_is_cut(tmp_path):
    data = dataset(X, Y)
    recipe = Recipe(epochs=1, keep=1.0, learning_rate=1e-9)
    found = train(classifier(X, Y), data, tmp_path / "m.keras", recipe)
    assert found.before.scaling.startswith("pixels in 0..1 (")
    assert found.before.score.value == 1
    assert found.to_dict()["before"]["n"] == 24


# Named recipes


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_named_recipe_is_one_of_the_options_of_the_command(name, tmp_path):
    recipe = recipes.named(name)
    assert recipe.regime(recipe.keep).truncation_epochs <= recipe.epochs
    recipes.write(recipe, tmp_path / "r.toml")
    assert recipes.read(tmp_path / "r.toml") == recipe
    assert name in call("train", "--help").output


def test_any_recipe_comes_back_from_its_file(tmp_path):
    keep = {"left/fc": 3, "a.b": 0.5, 'q"uo\\te\x7f\n': 7}
    recipe = Recipe(model="C:\\größe\\m.keras", keep=keep, learning_rate=1e-05, warmup=0)
    recipes.write(recipe, tmp_path / "r.toml")
    assert recipes.read(tmp_path / "r.toml") == recipe
    recipe = dataclasses.replace(recipe, keep=0.01, image_size=[16, 20], floors="frereg")
    recipes.write(recipe, tmp_path / "r.toml", overwrite=True)
    assert recipes.read(tmp_path / "r.toml") == recipe


def test_lenet5_776_is_what_the_results_are_of():
    recipe = recipes.named("lenet5-776")
    twin, regime = prepared(zoo.lenet5(batch_norm=True), recipe)
    assert sum(regime.keep.values()) == 776
    weights = {one.name: one.get_config()["axis_weights"] for one in frequency_layers(twin)}
    assert weights == {name: pytest.approx(one) for name, one in recipe.axis_weights.items()}


@pytest.mark.slow
def test_membrane_unet_fits_the_u_net():
    recipe = recipes.named("membrane-unet")
    twin, regime = prepared(zoo.unet((128, 128, 1)), recipe)
    assert sum(regime.keep.values()) == 1981
    assert summary(twin).kept == sum(recipe.start.values())


def test_a_run_can_be_repeated_from_what_it_wrote(tmp_path, npz, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small().save("m.keras")
    words = ("--epochs", 1, "--keep", 0.5, "--batch-size", 16, "--learning-rate", 0.01)
    assert call("train", "m.keras", "--data", npz, *words, "--out", "a.keras").exit_code == 0
    written = recipes.read(recipe_path(tmp_path / "a.keras"))
    assert (written.model, written.keep, written.batch_size) == ("m.keras", 0.5, 16)
    assert (written.scale, written.truncation_epochs) == ("0..1", 1)  # as they were found
    chosen = []
    stub = lambda model, data, out, recipe, **options: chosen.append(recipe)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("fr_bench.train.train", stub)
        call("train", "--config", "a.recipe.toml", "--out", "b.keras")
    assert chosen == [written]
    words = ("--keep", 0.4, "--resume", "--out", "c.keras")
    done = call("train", "--config", "a.recipe.toml", *words)
    assert done.exit_code == 0, done.output
    assert "No training was stopped: it begins." in done.stderr
    assert recipes.read("c.recipe.toml") == dataclasses.replace(written, keep=0.4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", r"'epoch'"),
        ('keep = "many"', "--keep must be a count"),
        ("keep = 1.5", "--keep must be a count"),
        ("keep = true", "--keep must be a count"),
        ("[keep]\nconv = 0", "--keep must be a count"),
        ("[keep.a]\nconv = 1", "--keep must be a count"),
        ("epochs = 0", "--epochs must be a whole number of at least 1"),
        ("epochs = 2.0", "--epochs must be a whole number"),
        ("warmup = 1", "`warmup` must be a number from 0 and below 1"),
        ("learning_rate = 0", "--learning-rate must be a number above 0"),
        ("steps = 5", "need `crop`"),
        ("turns = 1", "`turns` must be true or false"),
        ("seed = -1", "--seed must be a whole number from 0"),
        ("axis_weights = 2", "`axis_weights` must be a table"),
        ("image_size = [16]", "--image-size must be a height and a width"),
        ("epochs = 2\ntruncation_epochs = 3", "--truncation-epochs must be at most --epochs, 2"),
        ("schedule = 1", "--schedule must be a text"),
        ('schedule = "up"', "--schedule"),
        ('loss = "up"', "--loss must be the name of a loss of Keras"),
        ("epochs = ", "must be a recipe in TOML"),
        ("[keep]\nnothing = 3", "nothing"),
    ],
)
def test_wrong_recipes_are_named_with_the_key(tmp_path, npz, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    small().save("m.keras")
    (tmp_path / "r.toml").write_text(text)
    before = {*tmp_path.iterdir()}
    done = call("train", "m.keras", "--data", npz, "--config", "r.toml", "--out", "o.keras")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert {*tmp_path.iterdir()} == before
