"""The membrane benchmark in small: an FR U-Net on an easy task, cut, to its int8 file."""

import keras
import numpy as np
import pytest

from fr_keras import TailTruncation, metrics, regularize, summary, tflite, zoo

KEPT = 3000


def dice(truth: np.ndarray, probabilities: np.ndarray) -> float:
    metric = metrics.Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False)
    metric.update_state(truth, probabilities)
    return float(metric.result())


def squares(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright squares on dark ground, and their masks: each pixel says itself what it is."""
    rng = np.random.default_rng(rows)
    y = np.zeros((rows, 32, 32), int)
    for mask in y:
        for down, across in rng.integers(0, 24, (3, 2)):
            mask[down : down + 8, across : across + 8] = 1
    return (0.8 * y[..., None] + rng.uniform(0, 0.2, (rows, 32, 32, 1))).astype("float32"), y


@pytest.mark.slow
@pytest.mark.slow  # 14 seconds; the U-Net notebook is the larger proof
def test_a_unet_learns_is_cut_and_keeps_its_metric_in_int8():
    model = regularize(zoo.unet((32, 32, 1), filters=8), start=2 * KEPT)
    x, y = squares(64)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    cut = TailTruncation(KEPT, epochs=3)
    model.fit(x, y, batch_size=8, epochs=8, callbacks=[cut], verbose=0)
    assert summary(model).kept == KEPT
    x_test, y_test = squares(24)
    learned = dice(y_test, model.predict(x_test, verbose=0))
    # Every processor gets beyond 0.99. All ground has 0, all square 0.29.
    assert learned > 0.7
    done = tflite.convert(model, quantize="int8", calibration=x)
    assert dice(y_test, tflite.run(done.content, x_test)) > learned - 0.1
