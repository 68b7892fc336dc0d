"""The membrane benchmark in small: a U-Net on `shapes`, plain and FR, to its int8 file."""

import keras
import numpy as np
import pytest

from fr_keras import TailTruncation, data, metrics, regularize, summary, tflite, zoo

KEPT = 5000


def dice(truth: np.ndarray, probabilities: np.ndarray) -> float:
    metric = metrics.Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False)
    metric.update_state(truth, probabilities)
    return float(metric.result())


@pytest.fixture(scope="module")
def shapes():
    return data.load("shapes")


def trained(model, rate: float, shapes, callbacks=()) -> keras.Model:
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    train = shapes.train
    model.fit(train.x, train.y, batch_size=16, epochs=6, callbacks=[*callbacks], verbose=0)
    return model


def test_fr_keeps_up_with_plain_and_int8_with_fr(shapes):
    keras.utils.set_random_seed(0)
    plain = zoo.unet((64, 64, 1), filters=8)
    model = regularize(plain, start=2 * KEPT)
    trained(plain, 3e-3, shapes)
    trained(model, 1e-2, shapes, [TailTruncation(KEPT, epochs=3)])
    assert summary(model).kept == KEPT
    x, y = shapes.test.x, shapes.test.y
    reference, fr = (dice(y, one.predict(x, verbose=0)) for one in (plain, model))
    print(f"Dice: plain {reference:.3f}, FR {fr:.3f}")
    assert reference > 0.6
    assert fr > reference - 0.05  # a short training, of a network that is narrow already
    done = tflite.convert(model, quantize="int8", calibration=shapes.train.x[:100])
    assert dice(y, tflite.run(done.content, x)) > fr - 0.01
