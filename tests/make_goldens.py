"""Writes the goldens that are missing: a model per public layer and quantizer, and archives.

A golden is never rewritten: it is what an older version saved, and must load forever.
"""

from pathlib import Path

import keras
import numpy as np
from layer_cases import CASES
from networks import images, live, small_convnet, truncated_twin

from fr_keras import load_archive, methods, regularize, save_archive, zoo

FOLDER = Path(__file__).parent / "goldens"
QUANTIZERS = (
    methods.Ternary(0.2),
    methods.KBit(2, "optimal"),
    methods.SoftLevels((-2, -1, 1, 2)),
    methods.AdaptiveFloat(4, 2),
    methods.WholeSteps(0.25),
)


def make(case) -> None:
    path = FOLDER / f"{case.cls.__name__}.keras"
    if path.exists():
        return
    keras.utils.set_random_seed(0)
    layer = case.layer(name="layer")
    model = case.model(layer)
    for part in layer.parts():
        part.truncate(9)
    x = case.inputs()
    model.save(path)
    np.savez(path.with_suffix(".npz"), x=x, y=keras.ops.convert_to_numpy(model(x)))


def make_quantized(quantizer) -> None:
    """A quantizer in a layer of each kind that holds its kernels in another way."""
    path = FOLDER / "levels" / f"{type(quantizer).__name__}.keras"
    if path.exists():
        return
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            layers.Conv2D(3, 2, name="conv"),
            layers.SeparableConv2D(4, 2, name="separable"),
            layers.Conv2DTranspose(3, 2, name="transposed"),
            layers.Flatten(),
            layers.Dense(5, name="dense"),
        ]
    )
    few = methods.quantize_kernels(model, quantizer, exclude=[])
    x = images(4, (5, 5, 2))
    few.compile("sgd", "mse")
    few.fit(x, np.ones((4, 5)), verbose=0)  # so that kernels and scales are not at their start
    without_optimizer = keras.models.clone_model(few)
    without_optimizer.set_weights(few.get_weights())
    without_optimizer.save(path)
    np.savez(path.with_suffix(".npz"), x=x, y=keras.ops.convert_to_numpy(few(x)))


def make_archives() -> None:
    """A network that is described, and one that goes by name."""
    keras.utils.set_random_seed(0)
    networks = {"described": truncated_twin(live(small_convnet(), images()), 0.2)}
    networks["by_name"] = regularize(zoo.resnet20((16, 16, 3), classes=4), start=0.01)
    for name, model in networks.items():
        path = FOLDER / f"archive_{name}_v1.fr"
        if not path.exists():
            save_archive(model, path)
            x = images(4, model.input_shape[1:])
            y = keras.ops.convert_to_numpy(load_archive(path)(x))
            np.savez(path.with_suffix(".npz"), x=x, y=y)


if __name__ == "__main__":
    for one in CASES:
        make(one)
    for one in QUANTIZERS:
        make_quantized(one)
    make_archives()
