from pathlib import Path

import numpy as np
import pytest

from fr_keras import data


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
    assert 0.9 < digits.train.x.max() <= 1
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
    assert pixels.train.x.max() <= 1
    floats = {k: v.astype(np.float32) if k[0] == "x" else v for k, v in arrays().items()}
    as_is = data.load(saved(tmp_path / "b.npz", **floats))
    assert as_is.normalization == (1.0, 0.0)
    assert as_is.train.x.max() > 200


def test_labels_as_a_column(tmp_path):
    column = data.load(saved(tmp_path / "a.npz", y_train=arrays()["y_train"][:, None]))
    assert column.train.y.shape == (36,)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"y_test": None}, r"without \['y_test'\]"),
        ({"y_train": np.arange(7)}, "a label for each"),
        ({"x_train": np.zeros((40, 20))}, "images"),
        ({"y_train": np.linspace(0, 1, 40)}, "labels that count from 0"),
        ({"y_train": np.arange(40) - 1}, "labels that count from 0"),
        ({"x_train": np.full((40, 20, 20), np.nan)}, "finite"),
        ({"x_train": np.array([{}] * 40, object)}, "plain arrays"),
        ({"x_train": np.full((40, 20, 20), "a")}, "uint8 or float"),
        ({"x_train": np.zeros((40, 20, 20), np.uint16)}, "uint8 or float"),
        ({"x_test": np.zeros((8, 20, 21), np.uint8)}, "one shape and type"),
        ({"x_test": np.zeros((8, 20, 20), np.float32)}, "one shape and type"),
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
        with pytest.raises(ValueError, match=r"`data` must be a whole \.npz"):
            data.load(str(whole[1]))
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 0xFF
    whole[1].write_bytes(bytes(flipped))
    with pytest.raises(ValueError, match=r"`data` must be a whole \.npz"):
        data.load(str(whole[1]))


def test_unknown_sources(tmp_path):
    with pytest.raises(ValueError, match="`data` must be 'digits'"):
        data.load("mnits")
    with pytest.raises(FileNotFoundError):
        data.load(str(tmp_path / "none.npz"))


def test_mnist(real_data):
    mnist = data.load(str(real_data / "mnist.npz"))
    assert mnist.train.x.shape == (54_000, 28, 28, 1)
    assert len(mnist.test.y) == 10_000
