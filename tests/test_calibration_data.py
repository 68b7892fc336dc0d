"""Representative data in every form that people have it in."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fr_keras.tflite._calibration_data import Wanted, representative, representative_rows

IMAGE, NUMBERS = Wanted("image", (4, 4, 1), "float32"), Wanted("numbers", (3,), "float32")
BOTH = [IMAGE, NUMBERS]


def arrays(rows: int = 20) -> dict[str, np.ndarray]:
    """Sorted: the values of a row are its number."""
    number = np.arange(rows, dtype="float32")
    return {
        one.name: np.broadcast_to(number.reshape(-1, *[1] * len(one.shape)), (rows, *one.shape))
        for one in BOTH
    }


def batches(*parts, size: int = 8):
    return [tuple(p[i : i + size] for p in parts) for i in range(0, len(parts[0]), size)]


def dataset(structure):
    return tf.data.Dataset.from_tensor_slices(structure)


class Batches(keras.utils.PyDataset):
    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def __len__(self):
        return len(batches(*self.parts))

    def __getitem__(self, index):
        return batches(*self.parts)[index]


X, LABELS = arrays()["image"], np.arange(20) % 3
N = arrays()["numbers"]


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.astype("float64"),
        X.tolist(),
        {"image": X},
        {"image": X, "label": LABELS},
        {"pixels": X, "label": LABELS},
        iter(X),
        [row.tolist() for row in X],
        [{"image": row, "label": 1} for row in X],
        [({"image": row}, 1) for row in X],
        [(row, 1) for row in X],
        [(row, 1, 0.5) for row in X],
        batches(X),
        batches(X, LABELS),
        lambda: ([row[None]] for row in X),  # TFLite's representative_dataset
        lambda: X,
        lambda: ({"image": row[None]} for row in X),
        dataset(X),
        dataset((X, LABELS)),
        dataset((X, LABELS)).batch(6),
        dataset({"image": X, "label": LABELS}),
        dataset({"pixels": X, "label": LABELS}).batch(6),
        dataset(({"image": X}, LABELS)).batch(6),
        Batches(X, LABELS),
    ],
)
def test_one_input(data):
    (found,) = representative(data, [IMAGE], 100)
    np.testing.assert_array_equal(found, X)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "data",
    [
        {"image": X, "numbers": N},
        {"image": X, "numbers": N, "label": LABELS},
        {"image": list(X), "numbers": dataset(N).batch(7)},
        {"image": iter(X), "numbers": N},
        [X, N],
        (X, list(N)),
        zip(X, N, strict=True),
        [{"image": a, "numbers": b} for a, b in zip(X, N, strict=True)],
        [({"image": a, "numbers": b}, 1) for a, b in zip(X, N, strict=True)],
        [((a, b), 1) for a, b in zip(X, N, strict=True)],
        [[a, b] for a, b in zip(X, N, strict=True)],
        lambda: ([a[None], b[None]] for a, b in zip(X, N, strict=True)),
        dataset((X, N)),
        dataset(((X, N), LABELS)).batch(6),
        dataset(({"image": X, "numbers": N}, LABELS)).batch(6),
        dataset({"image": X, "numbers": N, "label": LABELS}),
        batches(X, N),
    ],
)
def test_several_inputs(data):
    image, numbers = representative(data, BOTH, 100)
    np.testing.assert_array_equal(image, X)
    np.testing.assert_array_equal(numbers, N)


@pytest.mark.parametrize(
    ("data", "wanted", "match"),
    [
        (X[0], [IMAGE], r"a single row: `calibration\[None\]` adds the axis"),
        (np.zeros((700, 700, 1)), [Wanted("a", (700, 700, 1), "float32")], "which is a single row"),
        ({"a": X, "b": X}, [IMAGE], r"one entry for each of the inputs \['image'\].*'a', 'b'"),
        ([{"a": X[0], "b": X[0]}], [IMAGE], r"one entry for each of the inputs \['image'\]"),
        ({"image": X}, BOTH, r"one entry for each of the inputs \['image', 'numbers'\]"),
        ({"image": X, "numbers": N[:4]}, BOTH, "the same number of rows for each input"),
        ({"image": X, "numbers": iter(N[:4])}, BOTH, r"ends first for \['numbers'\]"),
        (iter(X), BOTH, r"elements that are a dict.*Received: ndarray"),
        ([(X[0], N[0], 1)] * 3, BOTH, "elements that are a dict.*Received: tuple of 3"),
        ([(X[:2], N[:3])] * 3, BOTH, "the same number of rows for each input"),
        (lambda: 3, [IMAGE], "or a function that returns one of these. Received: int"),
        (iter(()), [IMAGE], "at least one row"),
        ([["a"]], [Wanted("a", (1,), "float32")], "must hold numbers"),
    ],
)
def test_the_rest_is_refused_and_said(data, wanted, match):
    with pytest.raises(ValueError, match=match):
        representative(data, wanted, 100)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        list,
        iter,
        lambda x: [x[:700], x[700:]],
        dataset,
        lambda x: dataset(x).batch(100),
        lambda x: lambda: ([row[None]] for row in x),
    ],
)
def test_the_pick_is_fair_and_the_same_again(wrap):
    """Of sorted data every tenth has its share, so that no class is left out."""
    x = np.repeat(np.arange(1000, dtype="float32")[:, None], 2, axis=1)
    first, again = (representative_rows(wrap(x), (2,), 200) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first[:, 0])) == len(first) == 200
    shares = np.histogram(first[:, 0], 10, (0, 1000))[0]
    assert shares.min() >= 10
    assert list(first[:, 0]) == sorted(first[:, 0])


def test_rows_that_belong_together_stay_together():
    """Also where one input has an array, and another an iterable."""
    x = np.arange(3000, dtype="float32").repeat(16).reshape(-1, 4, 4, 1)
    numbers = x.reshape(-1, 16)[:, :3]
    for data in (
        {"image": x, "numbers": (row for row in numbers)},
        {"image": x, "numbers": numbers},
        dataset(((x, numbers), numbers)),
    ):
        image, found = representative(data, BOTH, 300)
        assert len(image) == 300
        np.testing.assert_array_equal(image[:, 0, 0, 0], found[:, 0])
        assert found.max() > 1500


def test_of_endless_data_a_bounded_number_is_read():
    read = []

    def endless():
        while True:
            read.append(1)
            yield np.full((2, 3), len(read))

    found = representative_rows(endless(), (3,), 10)
    assert found.shape == (10, 3)
    assert len(read) == 50
    assert found.max() > 10
    forever = dataset(N).repeat()
    assert representative_rows(forever, (3,), 10).shape == (10, 3)
