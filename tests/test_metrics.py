import keras
import numpy as np
import pytest
from backends import not_under

from fr_keras.metrics import Dice


def by_hand(truth, predicted, classes):
    shares = []
    for one in classes:
        a, b = truth == one, predicted == one
        if a.sum() + b.sum():
            shares.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    return np.mean(shares)


@pytest.mark.parametrize("classes", [[1], [0, 1], [0, 2, 3]])
def test_dice_and_iou_are_what_one_computes_by_hand(classes):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (4, 8, 8))  # class 3 is never there
    scores = rng.random((4, 8, 8, 4)) * [1, 1, 1, 0]
    dice = Dice(num_classes=4, target_class_ids=classes, sparse_y_pred=False)
    iou = keras.metrics.IoU(num_classes=4, target_class_ids=classes, sparse_y_pred=False)
    for half in (slice(2), slice(2, 4)):  # over all batches, not a mean of batches
        dice.update_state(truth[half], scores[half])
        iou.update_state(truth[half], scores[half])
    predicted = scores.argmax(-1)
    assert float(dice.result()) == pytest.approx(by_hand(truth, predicted, classes), rel=1e-5)
    shares = [
        ((truth == c) & (predicted == c)).sum() / ((truth == c) | (predicted == c)).sum()
        for c in classes
        if c != 3
    ]
    assert float(iou.result()) == pytest.approx(np.mean(shares), rel=1e-5)
    dice.reset_state()
    assert float(dice.result()) == 0


@not_under("torch", "it cannot train this network")
def test_dice_in_compile_and_in_a_file(tmp_path):
    inputs = keras.Input((4, 4, 1))
    outputs = keras.layers.Conv2D(2, 1, activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    dice = Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False, name="dice")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[dice])
    x = np.random.default_rng(0).random((8, 4, 4, 1))
    y = (x[..., 0] > 0.5).astype(int)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    found = [one.evaluate(x, y, verbose=0, return_dict=True)["dice"] for one in (model, loaded)]
    predicted = model.predict(x, verbose=0).argmax(-1)
    assert found == [pytest.approx(by_hand(y, predicted, [1]), rel=1e-4)] * 2
