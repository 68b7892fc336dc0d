"""What a network solves is found in labels and outputs, and is scored as by brute force."""

import keras
import numpy as np
import pytest
from solved_tasks import sigmoid, softmax

from fr_bench._intervals import wilson
from fr_bench.tasks import Kind, find_task

RNG = np.random.default_rng(0)
ROWS = 40


CLASSES = RNG.integers(0, 4, ROWS)
MASKS = RNG.integers(0, 3, (ROWS, 5, 6))
LABELS = (RNG.random((ROWS, 4)) < 0.4).astype("float32")
TWO = RNG.integers(0, 2, ROWS)
TWO_MASKS = RNG.integers(0, 2, (ROWS, 5, 6))
NUMBERS = RNG.normal(size=(ROWS, 2))
four, three, one = (RNG.normal(size=(ROWS, *s)) for s in ((4,), (5, 6, 3), (1,)))
one_mask, two_masks = RNG.normal(size=(ROWS, 5, 6, 1)), RNG.normal(size=(ROWS, 5, 6, 2))

FOUND = {
    "integers": (CLASSES, softmax(four), Kind.CLASSES, "integers", False),
    "integers of a column": (CLASSES[:, None], softmax(four), Kind.CLASSES, "integers", False),
    "float integers": (CLASSES.astype(float), softmax(four), Kind.CLASSES, "integers", False),
    "logits": (CLASSES, four * 5, Kind.CLASSES, "integers", True),
    "one-hot": (np.eye(4)[CLASSES], softmax(four), Kind.CLASSES, "one-hot", False),
    "one-hot, a sigmoid each": (np.eye(4)[CLASSES], sigmoid(four), Kind.CLASSES, "one-hot", False),
    "two classes": (TWO, sigmoid(one), Kind.TWO_CLASSES, "0 and 1", False),
    "two classes, logits": (TWO[:, None], 9 * one, Kind.TWO_CLASSES, "0 and 1", True),
    "labels": (LABELS, sigmoid(four), Kind.LABELS, "0 and 1", False),
    "labels, logits": (LABELS, 9 * four, Kind.LABELS, "0 and 1", True),
    "masks": (MASKS, softmax(three), Kind.MASKS, "integers", False),
    "masks of a channel": (MASKS[..., None], softmax(three), Kind.MASKS, "integers", False),
    "one-hot masks": (np.eye(3)[MASKS], softmax(three), Kind.MASKS, "one-hot", False),
    "masks, logits": (MASKS, 5 * three, Kind.MASKS, "integers", True),
    "black and white": (
        (255 * TWO_MASKS).astype("uint8"), softmax(two_masks), Kind.MASKS, "0 and 255", False,
    ),
    "masks of one number": (TWO_MASKS, sigmoid(one_mask), Kind.TWO_MASKS, "0 and 1", False),
    "black and white, one number": (
        (255 * TWO_MASKS[..., None]).astype("uint8"), 9 * one_mask, Kind.TWO_MASKS, "0 and 255",
        True,
    ),
    "numbers": (NUMBERS, RNG.normal(size=(ROWS, 2)), Kind.NUMBERS, "numbers", False),
    "a number": (RNG.normal(size=ROWS), one, Kind.NUMBERS, "numbers", False),
    "a whole number": (RNG.integers(0, 90, ROWS), one, Kind.NUMBERS, "numbers", False),
    "pictures": (
        RNG.normal(size=(ROWS, 5, 6, 2)), RNG.normal(size=(ROWS, 5, 6, 2)), Kind.NUMBERS,
        "numbers", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_kind_form_and_loss_are_found(case):
    y, outputs, kind, form, logits = FOUND[case]
    task = find_task(y, outputs)
    (head,) = task.heads
    assert (head.kind, head.form, head.logits) == (kind, form, logits)
    prepared = task.prepared(y)
    loss = task.losses(prepared, outputs.astype("float32"))
    assert np.isfinite(float(loss))
    found = task.score(prepared, outputs)
    assert found.low <= found.value <= found.high
    assert found.n == ROWS


@pytest.mark.parametrize("case", [name for name in FOUND if FOUND[name][2] is not Kind.NUMBERS])
def test_right_answers_score_one_and_have_the_smallest_loss(case):
    y, outputs, kind, _, logits = FOUND[case]
    task = find_task(y, outputs)
    prepared = task.prepared(y)
    if kind in (Kind.CLASSES, Kind.MASKS):
        right = np.eye(outputs.shape[-1])[prepared]
    else:
        right = prepared.reshape(outputs.shape).astype(float)
    right = 20 * (right - 0.5) if logits else right
    assert task.score(prepared, right).value == 1
    assert float(task.losses(prepared, right.astype("float32"))) < 0.01


def test_scores_are_those_of_keras():
    softly = softmax(three)
    dice = np.mean([
        2 * np.sum((softly.argmax(-1) == c) & (c == MASKS))
        / (np.sum(softly.argmax(-1) == c) + np.sum(c == MASKS)) for c in (1, 2)
    ])  # fmt: skip
    assert find_task(MASKS, softly).score(MASKS, softly).value == pytest.approx(dice)
    for y, outputs in ((CLASSES, softmax(four)), (LABELS, sigmoid(four))):
        metric = keras.metrics.F1Score("macro", threshold=0.5 if y is LABELS else None)
        metric.update_state(y if y is LABELS else np.eye(4)[y], outputs)
        found = find_task(y, outputs, metric="f1").score(y, outputs).value
        assert found == pytest.approx(float(metric.result()), abs=1e-6)
    outputs = NUMBERS + 0.3 * RNG.normal(size=NUMBERS.shape)
    metric = keras.metrics.R2Score()
    metric.update_state(NUMBERS, outputs)
    found = find_task(NUMBERS, outputs).score(NUMBERS, outputs).value
    assert found == pytest.approx(float(metric.result()), abs=1e-5)


def test_a_weight_counts_as_that_many_rows():
    weight = RNG.integers(0, 4, ROWS)
    repeated = np.repeat(np.arange(ROWS), weight)
    for case in ("integers", "labels", "masks", "numbers"):
        y, outputs, *_ = FOUND[case]
        task = find_task(y, outputs)
        y = task.prepared(y)
        whole = task.score(y[repeated], outputs[repeated])
        found = task.score(y, outputs, weight)
        # R2 is about the mean of the labels, which is that of the rows given.
        assert found.value == pytest.approx(whole.value, abs=1e-9)


def test_a_class_that_is_nowhere_does_not_count():
    outputs = softmax(three)
    without = np.where(MASKS == 2, 0, MASKS)
    outputs[..., 2] = 0
    task = find_task(without, softmax(three))
    decided = outputs.argmax(-1)
    both = 2 * np.sum((decided == 1) & (without == 1))
    expected = both / (np.sum(decided == 1) + np.sum(without == 1))
    assert task.score(without, outputs).value == pytest.approx(expected)


def test_the_interval_of_an_accuracy_is_wilsons():
    # Computed with scipy.stats.binomtest(70, 100).proportion_ci(method="wilson").
    assert wilson(0.7, 100) == pytest.approx((0.604151, 0.781051), abs=1e-6)
    low, high = wilson(1.0, 10)
    assert low < 0.75
    assert high == 1
    assert all(wilson(share, n)[share] == share for n in range(1, 200) for share in (0, 1))
    y = np.arange(100) % 4
    outputs = np.eye(4)[np.where(np.arange(100) < 70, y, (y + 1) % 4)]
    found = find_task(y, outputs).score(y, outputs)
    assert (found.low, found.high) == pytest.approx(wilson(0.7, 100))


def test_masks_of_a_memory_map_are_not_copied(tmp_path):
    masks = np.memmap(tmp_path / "masks", np.uint8, "w+", shape=MASKS.shape)
    masks[:] = MASKS
    outputs = softmax(three)
    task = find_task(masks, outputs)
    assert np.shares_memory(task.prepared(masks), masks)
    assert task.score(task.prepared(masks), outputs) == task.score(MASKS, outputs)


@pytest.mark.parametrize("case", FOUND)
def test_chance_is_the_best_score_of_one_answer(case):
    y, outputs, kind, *_ = FOUND[case]
    task = find_task(y, outputs)
    y, found = task.prepared(y), task.chance(task.prepared(y), outputs)
    if kind is Kind.NUMBERS:
        always = np.broadcast_to(y.mean(0), y.shape)
        assert task.score(y, always).value == pytest.approx(found, abs=1e-6)
        return
    width = outputs.shape[-1]
    answers = (
        np.eye(width) if kind in (Kind.CLASSES, Kind.MASKS) else [np.zeros(width), np.ones(width)]
    )
    logits = 20 if task.heads[0].logits else 1
    shift = 0.5 if task.heads[0].logits else 0
    scores = [
        task.score(y, np.broadcast_to(logits * (np.asarray(one) - shift), outputs.shape)).value
        for one in answers
    ]
    assert found == pytest.approx(max(scores))


def test_several_outputs_have_the_mean_of_their_scores():
    y, outputs = (CLASSES, MASKS), (softmax(four), softmax(three))
    task = find_task(y, outputs)
    single = [find_task(a, b).score(a, b).value for a, b in zip(y, outputs, strict=True)]
    assert task.score(y, outputs).value == pytest.approx(np.mean(single))
    assert task.metric_name == "accuracy+dice"
    assert len(task.losses) == 2


def test_a_function_of_ones_own_scores():
    def worst_class(y, outputs):
        right = outputs.argmax(-1) == y
        return min(np.mean(right[y == c]) for c in np.unique(y))

    outputs = softmax(four)
    task = find_task(CLASSES, outputs, metric=worst_class)
    assert task.metric_name == "worst_class"
    found = task.score(CLASSES, outputs)
    assert found.value == worst_class(CLASSES, outputs)
    assert found.low <= found.high


@pytest.mark.parametrize(
    ("y", "outputs", "metric", "message"),
    [
        (CLASSES + 1, softmax(four), None, r"labels from 0 to 3.*labels from 1 to 4"),
        (CLASSES - 1, softmax(four), None, r"labels from -1 to 2"),
        (CLASSES, NUMBERS[:, :, None], None, r"labels of shape \(\).*outputs of shape \(2, 1\)"),
        (MASKS, softmax(four), None, r"labels of shape \(5, 6\)"),
        (NUMBERS[:, :1], NUMBERS, None, r"numbers of the outputs' shape"),
        (CLASSES, softmax(four), "dice", r"`metric` must be one of \('accuracy', 'f1'\)"),
        (CLASSES, softmax(four), "auc", r"Received: 'auc'"),
        (CLASSES, (softmax(four), softmax(four)), None, r"labels for 1, and 2 outputs"),
    ],
    ids=range(8),
)
def test_labels_that_do_not_fit_are_refused(y, outputs, metric, message):
    with pytest.raises(ValueError, match=message):
        find_task(y, outputs, metric=metric)
