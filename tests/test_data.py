from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from fr_bench import data


def arrays(rows=40, shape=(20, 20), dtype=np.uint8):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (rows, *shape)).astype(dtype),
        "y_train": np.arange(rows) % 4,
        "x_test": rng.integers(0, 256, (8, *shape)).astype(dtype),
        "y_test": np.arange(8) % 4,
    }


def saved(path, **changes):
    np.savez(path, **{k: v for k, v in {**arrays(), **changes}.items() if v is not None})
    return str(path)


def test_digits():
    digits = data.load("digits")
    sizes = [len(part.x) for part in (digits.train, digits.validation, digits.test)]
    assert sizes == [1293, 144, 360]
    assert digits.train.x.shape[1:] == (28, 28, 1)
    assert 0.9 < digits.train.inputs().max() <= 1
    assert digits.labels == tuple("0123456789")
    assert set(digits.test.y) == set(range(10))


def test_splits_share_no_row():
    digits = data.load("digits")
    rows = [
        {row.tobytes() for row in part.x} for part in (digits.train, digits.validation, digits.test)
    ]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


def test_npz_of_pixels_and_of_floats(tmp_path):
    pixels = data.load(saved(tmp_path / "a.npz"))
    assert pixels.train.x.shape == (36, 20, 20, 1)
    assert pixels.normalization == (1 / 255, 0.0)
    assert pixels.train.inputs().max() <= 1
    floats = {k: v.astype(np.float32) if k[0] == "x" else v for k, v in arrays().items()}
    as_is = data.load(saved(tmp_path / "b.npz", **floats))
    assert as_is.normalization == (1.0, 0.0)
    assert as_is.train.inputs().max() > 200


def test_labels_as_a_column(tmp_path):
    column = data.load(saved(tmp_path / "a.npz", y_train=arrays()["y_train"][:, None]))
    assert column.train.y.shape == (36,)


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
def test_one_hot_labels_are_integers_and_tell_all_classes(tmp_path, dtype):
    one_hot = {k: np.eye(6, dtype=dtype)[v] for k, v in arrays().items() if k[0] == "y"}
    found = data.load(saved(tmp_path / "a.npz", **one_hot))
    plain = data.load(saved(tmp_path / "b.npz"))
    np.testing.assert_array_equal(found.train.y, plain.train.y)
    np.testing.assert_array_equal(found.test.y, plain.test.y)
    assert (found.labels, plain.labels) == (tuple("012345"), tuple("0123"))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"y_test": None}, r"without \['y_test'\]"),
        ({"y_train": np.arange(7)}, "a label for each"),
        ({"x_train": np.zeros((40, 20))}, "images"),
        ({"y_train": np.linspace(0, 1, 40)}, "labels that count from 0"),
        ({"y_train": np.arange(40) - 1}, "labels that count from 0.*the smallest -1"),
        ({"y_train": np.eye(4)[np.arange(40) % 4] * 0.9}, "an integer or a one-hot row"),
        ({"y_train": np.ones((40, 4))}, "an integer or a one-hot row"),
        (
            {"y_train": np.eye(4)[np.arange(40) % 4], "y_test": np.eye(3)[np.arange(8) % 3]},
            "one-hot labels of the same length",
        ),
        ({"y_train": np.eye(4)[np.arange(40) % 4], "y_test": np.arange(8)}, "labels below 4"),
        ({"x_train": np.full((40, 20, 20), np.nan)}, "finite"),
        ({"x_train": np.array([{}] * 40, object)}, "plain arrays"),
        ({"x_train": np.full((40, 20, 20), "a")}, "uint8 or float"),
        ({"x_train": np.zeros((40, 20, 20), np.uint16)}, "uint8 or float"),
        ({"x_test": np.zeros((8, 20, 21), np.uint8)}, "the same shape and type"),
        ({"x_test": np.zeros((8, 20, 20), np.float32)}, "the same shape and type"),
        ({"x_train": np.zeros((1, 20, 20), np.uint8), "y_train": np.array([0])}, "two or more"),
    ],
)
def test_unfit_npz_is_named(tmp_path, changes, match):
    with pytest.raises(ValueError, match=f"`data`.*{match}"):
        data.load(saved(tmp_path / "a.npz", **changes))


def test_damaged_npz_is_named(tmp_path):
    whole = (tmp_path / "a.npz", tmp_path / "b.npz")
    content = Path(saved(whole[0])).read_bytes()
    for bad in (b"", b"no zip at all", content[: len(content) // 2], content[:-10]):
        whole[1].write_bytes(bad)
        with pytest.raises(ValueError, match=r"`data` must be an intact \.npz"):
            data.load(str(whole[1]))
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 0xFF
    whole[1].write_bytes(bytes(flipped))
    with pytest.raises(ValueError, match=r"`data` must be an intact \.npz"):
        data.load(str(whole[1]))


def test_unknown_sources(tmp_path):
    with pytest.raises(ValueError, match="`data` must be one of"):
        data.load("mnits")
    with pytest.raises(FileNotFoundError):
        data.load(str(tmp_path / "none.npz"))


def test_shapes_are_the_same_everywhere():
    shapes = data.load("shapes")
    assert shapes.train.x.shape == (432, 64, 64, 1)
    assert shapes.test.y.shape == (120, 64, 64)
    assert set(np.unique(shapes.train.y)) == {0, 1}
    assert 0.05 < shapes.train.y.mean() < 0.4
    assert np.array_equal(data.load("shapes").test.x, shapes.test.x)
    # Brightness alone must not solve it: the best threshold is far from the mask.
    pixels = shapes.test.inputs()[..., 0]
    best = max(np.mean((pixels > t) == shapes.test.y) for t in np.linspace(0, 1, 50))
    assert best < 0.95


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_names_of_keras_datasets(name, monkeypatch):
    columns = {k: v[:, None] if k[0] == "y" else v for k, v in arrays().items()}
    loaded = (
        (columns["x_train"], columns["y_train"]),
        (columns["x_test"], columns["y_test"]),
    )
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: loaded)
    found = data.load(name)
    assert (found.name, found.train.y.shape) == (name, (36,))

    def without_network():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", without_network)
    with pytest.raises(OSError, match=rf"`data` '{name}' could not be downloaded.*\.npz"):
        data.load(name)


def image_folder(path, sizes=((20, 24),) * 10, classes=("cat", "dog")):
    for number, label in enumerate(classes):
        (path / label).mkdir(parents=True)
        for i, (height, width) in enumerate(sizes):
            pixels = np.full((height, width, 3), 100 * number + i, np.uint8)
            Image.fromarray(pixels).save(path / label / f"{i}.png")
    return path


def test_a_folder_of_images(tmp_path):
    found = data.load(str(image_folder(tmp_path / "pets")))
    assert (found.name, found.labels) == ("pets", ("cat", "dog"))
    sizes = [len(part.x) for part in (found.train, found.validation, found.test)]
    assert sizes == [14, 2, 4]
    for part in (found.train, found.validation, found.test):
        assert part.x.shape[1:] == (20, 24, 3)
        pixels = np.round(part.inputs()[:, 0, 0, 0] * 255).astype(int)
        assert np.array_equal(pixels // 100, part.y)
    small = data.load(str(tmp_path / "pets"), image_size=(16, 18))
    assert small.train.x.shape[1:] == (16, 18, 3)


def test_a_folder_with_train_and_test(tmp_path):
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "test", sizes=[(30, 30)] * 3)
    found = data.load(str(tmp_path))
    assert len(found.train.x) + len(found.validation.x) == 20
    assert found.test.x.shape == (6, 20, 24, 3)


def test_unfit_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match="two or more folders of images"):
        data.load(str(image_folder(tmp_path / "one", classes=("cat",))))
    mixed = image_folder(tmp_path / "mixed", sizes=[(20, 20), (20, 21)])
    with pytest.raises(ValueError, match=r"`image_size` must be given.*1\.png"):
        data.load(str(mixed))
    assert data.load(str(mixed), image_size=(16, 16)).train.x.shape[1:] == (16, 16, 3)
    damaged = image_folder(tmp_path / "damaged")
    whole = (damaged / "dog" / "3.png").read_bytes()
    (damaged / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"3\.png' is damaged"):
        data.load(str(damaged))
    (tmp_path / "damaged" / "empty").mkdir()
    with pytest.raises(ValueError, match=r"none in \['empty'\]"):
        data.load(str(damaged))
    image_folder(tmp_path / "both" / "train")
    image_folder(tmp_path / "both" / "test", classes=("cat", "cow"))
    with pytest.raises(ValueError, match="same classes"):
        data.load(str(tmp_path / "both"))


def test_mnist(real_data):
    mnist = data.load(str(real_data / "mnist.npz"))
    assert mnist.train.x.shape == (54_000, 28, 28, 1)
    assert len(mnist.test.y) == 10_000
