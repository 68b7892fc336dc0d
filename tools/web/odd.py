"""Writes networks that a browser cannot run, for the test of the page of `web/demo`.

python tools/web/odd.py build/web/odd
"""

import argparse
from pathlib import Path

import keras
import tensorflow as tf

_SIDE = 64


def network(rows: int | None, larger: int) -> tf.lite.TFLiteConverter:
    """A network that makes each side of a picture so much longer, of one row or any number."""
    x = inputs = keras.Input((_SIDE, _SIDE, 1), batch_size=rows)
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.UpSampling2D(larger)(x))
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, x))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    # A tensor of 17 GB, and an open number of rows.
    for name, rows, larger in (("huge", 1, 1024), ("open", None, 2)):
        (folder / f"{name}.tflite").write_bytes(network(rows, larger).convert())
