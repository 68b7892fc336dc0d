"""The networks and data with which the mistakes of a newcomer are made."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image
from solved_tasks import CLASSES, SIDE, classifier


def make_files(folder: Path) -> None:
    """Writes the networks and data of the mistakes."""
    y = np.random.default_rng(0).integers(0, CLASSES, 160)
    # How bright a picture is tells its class, so that no network can do without the right range.
    noise = np.random.default_rng(1).integers(0, 10, (len(y), SIDE, SIDE, 1))
    x = (20 + 60 * y[:, None, None, None] + noise).astype("uint8")
    _make_networks(folder, x, y)
    _make_arrays(folder, x, y)
    for name in ("photos", "colours", "large", "broken", "empty", "flat"):
        _make_images(folder / name, x, y)


def _make_networks(folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    network = classifier(x, y)
    network.save(folder / "model.keras")
    network.save(folder / "model.h5")
    (folder / "model.tflite").write_bytes(b"no command reads it")
    for name, first in (("own", Doubled()), ("rescaling", keras.layers.Rescaling(1 / 255))):
        keras.Sequential([keras.Input(x.shape[1:]), first, network]).save(folder / f"{name}.keras")
    inputs = keras.Input((SIDE, SIDE, 3))
    grey = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(inputs / 3)
    keras.Model(inputs, network(grey)).save(folder / "colour.keras")
    network.get_layer("head").activation = keras.activations.linear
    network.save(folder / "logits.keras")


def _make_arrays(folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    scaled = x.astype("float32") / 255
    one_hot = np.eye(CLASSES, dtype=int)[y]
    few = y < CLASSES - 1
    arrays = {"bars": (x, y), "onehot": (x, one_hot), "scaled": (scaled, y)}
    arrays |= {"twice": (scaled / 255, y), "few": (x[few], y[few])}
    for name, (images, labels) in arrays.items():
        cut = 3 * len(images) // 4
        parts = {"x_train": images[:cut], "y_train": labels[:cut], "x_val": images}
        parts |= {"y_val": labels, "x_test": images[cut:], "y_test": labels[cut:]}
        np.savez(folder / f"{name}.npz", **parts)


def _make_images(folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    for number, (pixels, label) in enumerate(zip(x[..., 0], y, strict=True)):
        if folder.name == "empty" and label == CLASSES - 1:
            (folder / "d").mkdir(parents=True, exist_ok=True)
            continue
        image = Image.fromarray(pixels)
        if folder.name == "colours":
            image = image.convert("RGB")
        if folder.name == "large":
            image = image.resize((3 * SIDE, 2 * SIDE), Image.Resampling.NEAREST)
        path = folder / ("" if folder.name == "flat" else "abcd"[label]) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        if folder.name == "broken":
            path.write_bytes(path.read_bytes()[:40])
