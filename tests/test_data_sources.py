"""Splits, their batches, and data from arrays and from what `fit` takes."""

import errno
import tempfile
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

from fr_bench import data, training
from fr_bench.data import Dataset, Split, from_batches

ROWS = 40
X = np.random.default_rng(0).integers(0, 256, (ROWS, 12, 12, 1)).astype(np.uint8)
FORMS = {
    "classes": (np.arange(ROWS) % 3, tuple("012")),
    "a column of classes": ((np.arange(ROWS) % 3)[:, None], tuple("012")),
    "one-hot": (np.eye(4, dtype=np.float32)[np.arange(ROWS) % 4], tuple("0123")),
    "several labels": (np.arange(ROWS)[:, None] >> np.arange(3) & 1, tuple("012")),
    "masks": ((X[..., 0] > 128).astype(np.uint8), ("0", "1")),
    "masks in black and white": ((X[..., 0] > 128) * np.uint8(255), ("0", "1")),
    "masks with a channel": ((X > 128).astype(np.int64), ("0", "1")),
    "numbers": (np.linspace(0, 1, ROWS), ()),
    "whole numbers": (np.arange(ROWS) * 100_000, ()),
    "rows of numbers": (np.random.default_rng(1).normal(size=(ROWS, 2)), ()),
}


class Batches(keras.utils.PyDataset):
    def __init__(self, *parts, size=7):
        super().__init__()
        self.parts, self.size = parts, size

    def __len__(self):
        return -(-ROWS // self.size)

    def __getitem__(self, number):
        rows = slice(number * self.size, (number + 1) * self.size)
        return tuple(keras.tree.map_structure(lambda part: part[rows], part) for part in self.parts)


def generator(*parts):
    batches = Batches(*parts)
    return (batches[number] for number in range(len(batches)))


KINDS = {
    "arrays": lambda *parts: parts,
    "tf.data": lambda *parts: tf.data.Dataset.from_tensor_slices(parts).batch(7),
    "generator": generator,
    "function": lambda *parts: lambda: generator(*parts),
    "PyDataset": Batches,
    "list": lambda *parts: [*generator(*parts)],
}


def same(found, expected):
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_source_gives_its_rows(kind):
    y, weight = FORMS["classes"][0], np.linspace(0.5, 1, ROWS, dtype=np.float32)
    two = (X.astype(np.float32), np.arange(ROWS * 5).reshape(ROWS, 5))
    for parts in ((X, y), (X, y, weight), (two, y), (X, (y, weight)), (two, (y, y), weight)):
        train, test = KINDS[kind](*parts), KINDS[kind](*parts)
        found = from_batches(train, KINDS[kind](*parts), test, name="my own")
        assert (found.name, found.drawn) == ("my own", ())
        for split in (found.train, found.validation, found.test):
            given = (split.x, split.y, split.sample_weight)
            same(given[: len(parts)], parts)
            assert (split.scale, len(split)) == (1, ROWS)
            for array in keras.tree.flatten(given[: len(parts)]):
                assert isinstance(array, np.memmap) == (kind != "arrays")


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_labels_from_batches(form):
    y, labels = FORMS[form]
    found = from_batches(generator(X, y))
    assert found.labels == labels
    assert found.drawn == ("validation", "test")
    whole = [(one.x.tobytes(), one.y) for one in (found.train, found.validation, found.test)]
    assert sum(len(y) for _, y in whole) == ROWS
    order = {row.tobytes(): number for number, row in enumerate(X)}
    for split in (found.train, found.validation, found.test):
        for row, label in zip(split.x, split.y, strict=True):
            np.testing.assert_array_equal(label, y[order[row.tobytes()]])
    assert from_batches(generator(X, y), labels=("a", "b")).labels == ("a", "b")


@pytest.mark.parametrize("with_validation", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_labels_in_an_npz(tmp_path, form, with_validation):
    y, labels = FORMS[form]
    parts = ("train", "val", "test") if with_validation else ("train", "test")
    np.savez(
        tmp_path / "a.npz", **{f"{a}_{one}": v for one in parts for a, v in (("x", X), ("y", y))}
    )
    found = data.load(str(tmp_path / "a.npz"))
    assert (found.labels, found.drawn) == (labels, () if with_validation else ("validation",))
    assert len(found.validation) == (ROWS if with_validation else 4)
    expected = y.argmax(1) if form == "one-hot" else y
    is_mask = expected.shape[1:3] == X.shape[1:3]
    expected = expected.reshape(ROWS, 12, 12) if is_mask else expected
    expected = expected[:, 0] if form == "a column of classes" else expected
    np.testing.assert_array_equal(found.test.y, expected)
    np.savez(tmp_path / "more.npz", x=X[:5], y=y[:5])
    if with_validation:
        with pytest.raises(ValueError, match="`validation` must not be given"):
            data.load(str(tmp_path / "a.npz"), validation=str(tmp_path / "more.npz"))
    else:
        more = data.load(str(tmp_path / "a.npz"), validation=str(tmp_path / "more.npz"))
        assert (more.drawn, len(more.train)) == ((), ROWS)
        np.testing.assert_array_equal(more.validation.y, expected[:5])


def test_labels_of_images_for_images():
    one_hot = np.eye(3, dtype=np.uint8)[X[..., 0] % 3]
    assert from_batches((X, one_hot)).labels == ("0", "1", "2")
    colours = np.repeat(X, 3, -1)
    for y in (colours, colours / 255, X / 255, np.arange(ROWS) - 5):
        assert from_batches((X, y)).labels == ()


def test_rows_stay_as_they_came_and_are_scaled_for_the_network():
    split = Split(X, np.arange(ROWS), scale=0.5, offset=-1)
    expected = X.astype(np.float32) * np.float32(0.5) - 1
    assert split.x is X
    for rows in (slice(None), slice(3, 9), np.array([5, 2])):
        np.testing.assert_array_equal(split.inputs(rows), expected[rows])
        assert split.inputs(rows).dtype == np.float32
    np.testing.assert_array_equal(split.sample(4), expected[[0, 13, 26, 39]])
    assert len(split.sample(100)) == ROWS
    found = Dataset("d", split, split, split, ()).scaled(1 / 255, 0)
    assert found.normalization == (1 / 255, 0)
    assert found.test.x is X
    assert found.test.inputs().max() <= 1


def test_batches_hold_each_row_once_and_shuffling_is_repeatable():
    split = Split(X, np.arange(ROWS), np.arange(ROWS) / ROWS)
    epochs = []
    for batches in (split.batches(16, seed=3), split.batches(16, seed=3)):
        for _ in range(2):
            assert [len(y) for _, y, _ in batches] == [16, 16, 8]
            order = np.concatenate([y for _, y, _ in batches])
            for x, y, weight in batches:
                np.testing.assert_array_equal(x, X[y])
                np.testing.assert_array_equal(weight, y / ROWS)
            epochs.append(order.tolist())
            batches.on_epoch_end()
    assert epochs[0] != epochs[1]
    assert epochs[:2] == epochs[2:]
    assert all(sorted(epoch) == [*range(ROWS)] for epoch in epochs)
    assert np.concatenate([y for _, y, _ in split.batches(16)]).tolist() == [*range(ROWS)]


def test_only_a_batch_of_a_memory_map_is_read(monkeypatch):
    found = from_batches(generator(X, np.arange(ROWS)))
    read = []
    inputs = Split.inputs
    monkeypatch.setattr(
        Split, "inputs", lambda self, rows: read.append(inputs(self, rows)) or read[-1]
    )
    model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(ROWS))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(found.train.batches(8, seed=0), epochs=2, shuffle=False, verbose=0)
    assert max(map(len, read)) == 8


def test_two_inputs_and_weights_train_as_arrays_do():
    """On one step of all rows, so that their order does not matter."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3)).astype(np.float32), rng.normal(size=(ROWS, 2)).astype(np.float32)
    y, weight = rng.normal(size=(ROWS, 1)).astype(np.float32), rng.random(ROWS, np.float32)

    def trained(*given, **arguments):
        keras.utils.set_random_seed(1)
        ends = [keras.Input((3,)), keras.Input((2,))]
        z = keras.layers.Dense(1)(keras.layers.Concatenate()(ends))
        model = keras.Model(ends, z)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(*given, epochs=2, verbose=0, **arguments)
        return model.get_weights()

    found = from_batches(generator(x, y, weight), (x, y, weight), (x, y, weight))
    one = trained(found.train.batches(ROWS, seed=0), shuffle=False)
    other = trained(list(x), y, sample_weight=weight, batch_size=ROWS)
    without = trained(list(x), y, batch_size=ROWS)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)  # sums in another order
    assert not np.allclose(other[0], without[0], atol=1e-4)


def test_the_regime_trains_on_the_rows_of_a_memory_map():
    y = np.arange(ROWS) % 3
    found = from_batches(Batches(X, y)).scaled(1 / 255, 0)
    model = keras.Sequential(
        [keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    regime = training.Regime(epochs=2, batch_size=8)
    fitted = training.fit(model, found, regime)
    assert fitted.rows == 2 * len(found.train) == 58
    assert len(fitted.history["val_accuracy"]) == 2


def endless():
    while True:
        yield X[:8], np.zeros(8, int)


def ragged():
    yield X[:8], np.zeros(8, int)
    yield X[:8, :6], np.zeros(8, int)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (X, "must be a tuple"),
        ("digits", "must be a tuple"),
        ({"x": X}, "must be a tuple"),
        (5, "must be a tuple"),
        ([X[:4], X[4:8]], "must be a tuple"),
        ([], "at least one batch"),
        ([(X[:0], X[:0])], "at least one row"),
        (ragged(), r"one shape and type.*\(6, 12, 1\).*after \(12, 12, 1\)"),
        ([(X, X.argmax(1)[:5])], "as many rows"),
        ((X, np.zeros(ROWS - 1)), "as many rows"),
        ([({"a": X}, X)], r"tuples of arrays.*\['a'\]"),
        ([(X, np.full(ROWS, "cat"))], "numbers.*<U3"),
        ([(X[0], 3)], r"`\.batch\(32\)`"),
        ([(X / np.nan, np.zeros(ROWS))], "finite"),
        ((X, np.zeros(ROWS), np.ones((ROWS, 2))), "one for each row"),
        ([(X, np.zeros(ROWS)), (X, np.zeros(ROWS), np.ones(ROWS))], "same parts in each batch"),
        (tf.data.Dataset.from_tensor_slices((X, X)).batch(4).repeat(), r"`repeat\(\)`"),
        ((X[:2], np.zeros(2, int)), "more rows"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero|invalid value:RuntimeWarning")
def test_unfit_sources_are_named(source, match):
    with pytest.raises(ValueError, match=f"`(train|data)`.*{match}"):
        from_batches(source)


def test_splits_must_be_alike():
    y = np.arange(ROWS) % 3
    for other in ((X[:, :6], y), (X.astype(np.float32), y), (X, y / 2), (X, np.eye(3)[y])):
        with pytest.raises(ValueError, match=r"same shape and type in each split.*in test"):
            from_batches((X, y), test=other)
    assert len(from_batches((X, y), test=(X, y.astype(np.int32))).test) == ROWS
    with pytest.raises(ValueError, match="as many rows"):
        Split(X, y[:-1])


def test_a_full_disk_says_so(monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(OSError, match=r"`train` must fit in the folder.*TMPDIR"):
        from_batches(endless)


def test_nothing_is_left_of_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = from_batches(generator(X, np.arange(ROWS) % 3))
    assert isinstance(found.train.x, np.memmap)
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match="read-only"):
        found.train.x[0] = 0


def test_spooling_takes_the_memory_of_a_batch():
    batch, count = np.zeros((64, 64, 64), np.uint8), 200

    def batches():
        for number in range(count):
            yield batch, np.full(len(batch), number)

    tracemalloc.start()
    found = from_batches(batches)
    x, y = found.train.batches(32, seed=0)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.train.x.nbytes > 30 * 2**20
    assert (len(x), len(y)) == (32, 32)
    assert peak < 8 * 2**20


OUTPUTS = {
    "classes": (3, "softmax"),
    "one-hot": (4, "softmax"),
    "several labels": (3, "sigmoid"),
    "numbers": (1, "linear"),
    "whole numbers": (1, "linear"),
    "rows of numbers": (2, "linear"),
}


@pytest.mark.parametrize("form", OUTPUTS)
def test_a_network_of_the_zoo_has_the_outputs_that_labels_need(form):
    y, labels = FORMS[form]
    split = Split(X, y)
    found = Dataset("a", split, split, split, labels)
    for name in ("lenet5", "resnet20"):
        model = training.network(found, 0, name, side=24)
        outputs = model.output_shape[1], model.layers[-1].activation.__name__
        assert outputs == OUTPUTS[form]
        assert model.input_shape == (None, 24, 24, 1)
    with pytest.raises(ValueError, match="`model` must be lenet5 or resnet20, or a file, for 'a'"):
        training.network(found, 0, "unet")


def test_masks_need_the_u_net():
    y, labels = FORMS["masks"]
    split = Split(X, y)
    found = Dataset("a", split, split, split, labels)
    assert training.network(found, 0, "unet", side=16).output_shape == (None, 16, 16, 2)
    with pytest.raises(ValueError, match=r"`model` must be unet, or a file, .* a mask for each"):
        training.network(found, 0)
