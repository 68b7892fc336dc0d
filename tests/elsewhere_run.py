"""Converts under the backend that the environment names: `elsewhere_run.py FOLDER`.

The folder gets models, archives, and a pickle of what was converted, warned and raised.
"""

import os
import pickle
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
from elsewhere_parts import Deadly, Scaled, doubled
from keras import layers

import fr_archive
from fr_keras import regularize, save_archive, tflite


def images(rows: int = 12) -> np.ndarray:
    return np.random.default_rng(0).random((rows, 12, 12, 3), np.float32)


def numbers(rows: int = 30) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(rows, size)).astype(np.float32) for size in (8, 5)]


def network() -> keras.Model:
    """An FR network whose int8 file has chains."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(32, 3, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(48, 3, strides=2, activation="relu", name="down")(x)
    x = layers.Dense(5, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))
    return regularize(keras.Model(inputs, x, name="small"), start=0.05)


def two_inputs() -> keras.Model:
    """A network with two inputs, a layer and a function of the user's own, and a shared name."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((8,), name="left"), keras.Input((5,), name="right")]
    side = keras.Sequential([keras.Input((5,)), layers.Dense(6, name="fc")], name="side")
    x = layers.Dense(6, activation=doubled, name="fc")(inputs[0])
    x = Scaled(0.5, name="scaled")(layers.Add(name="sum")([x, side(inputs[1])]))
    return keras.Model(inputs, layers.Dense(3, name="out")(x), name="two")


def unnamed() -> keras.Model:
    """A sequential model of full rank, whose input has a name that Keras made up."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Dense(12), layers.Dense(12)], name="unnamed")
    model.build((None, 10))
    return regularize(model)


def stateful() -> keras.Model:
    rnn = layers.SimpleRNN(3, stateful=True, unroll=True, name="rnn")
    return keras.Sequential([keras.Input(batch_shape=(1, 4, 2)), rnn], name="stateful")


def deadly() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), Deadly(name="deadly")], name="deadly")


class InMain(layers.Layer):
    """Is defined in `__main__`, if this is the script."""

    def call(self, x):
        return x


def main(folder: Path) -> None:
    found = {}

    def keep(name, model, work, **arguments):
        model.save(folder / f"{name}.keras")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found[name] = work(model, **arguments)
        found[f"{name} warned"] = [(one.category, str(one.message)) for one in told]

    def refused(name, model, **arguments):
        try:
            tflite.convert(model, **arguments)
        except Exception as error:
            found[name] = error

    x = images()
    keep("float32", unnamed(), tflite.convert, form="factored")
    int8 = {"quantize": "int8", "calibration": numbers(), "float_layers": ["side/fc"]}
    keep("int8", two_inputs(), tflite.convert, **int8, labels=["a", "b", "c"], memory=2**20)
    aware = tflite.quantization_aware(network(), x)
    keep("aware", aware, tflite.convert, quantize="int8", calibration=x)
    keep("sensitivity", two_inputs(), tflite.sensitivity, calibration=numbers(), verbose=0)
    given = keras.ops.convert_to_tensor(x)
    save_archive(network(), folder / "small.fr", calibration=given, skeleton={"form": "factored"})
    found["expanded"] = fr_archive.expand(fr_archive.decode((folder / "small.fr").read_bytes()))
    refused("stateful", stateful())
    refused("killed", deadly())
    keras.saving.register_keras_serializable("elsewhere")(InMain)
    refused("main", keras.Sequential([keras.Input((4,)), InMain()]))
    found["left behind"] = os.listdir(tempfile.gettempdir())
    (folder / "found").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
