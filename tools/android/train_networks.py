"""Trains the networks of the app from fixed seeds, and packs them with their skeletons.

    PYTHONPATH=. python tools/android/train_networks.py

The networks are LeNet-5 on scikit-learn's digits and a U-Net on drawn shapes, and the nested ones
of `nested_networks.py`. All are trained briefly: they show that a file of kilobytes works on a
phone, not how good such a network can be. The score of the int8 file that each archive makes, on
the test split, goes to `networks.json` beside the archives. Names choose some of the networks.
"""

import argparse
import json
from pathlib import Path

import keras
import nested_networks
import numpy as np

import fr_archive
from fr_bench import data
from fr_keras import interop, regularize, save_archive, tflite, zoo

FOLDER = Path(__file__).resolve().parents[2] / "android_demo" / "models"
SEED = 0
#: Coefficients of the kernels of LeNet-5, in their order: 1 % of each, but for the small first.
LENET_KEPT = (200, 500, 3000, 600)
#: Coefficients of each kernel of the U-Net, and its filters.
UNET_KEPT, UNET_FILTERS = 33, 16


def lenet() -> keras.Model:
    """LeNet-5 with few coefficients from the start."""
    plain = zoo.lenet5()
    names = [layer.name for layer in _kernels(plain)]
    return regularize(plain, start=dict(zip(names, LENET_KEPT, strict=True)))


def unet() -> keras.Model:
    """The U-Net of the paper with a quarter of its filters."""
    plain = zoo.unet((64, 64, 1), filters=UNET_FILTERS)
    sizes = {one.name: int(np.prod(one.kernel.shape)) for one in _kernels(plain)}
    return regularize(plain, start={name: min(UNET_KEPT, size) for name, size in sizes.items()})


#: Name -> data set, network, epochs and batch.
NETWORKS = {"digits": ("digits", lenet, 30, 32), "shapes": ("shapes", unet, 12, 16)}


def make(name: str) -> dict:
    """Trains one and writes its archive; returns what it is."""
    source, network, epochs, batch = NETWORKS[name]
    found = data.load(source)
    keras.utils.set_random_seed(SEED)
    model = network()
    steps = epochs * -(-len(found.train) // batch)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps)),
        "sparse_categorical_crossentropy",
    )
    model.fit(found.train.inputs(), found.train.y, epochs=epochs, batch_size=batch, verbose=2)
    calibration = found.train.inputs(slice(96))
    has_statistics = any(isinstance(one, keras.layers.BatchNormalization) for one in model.layers)
    if has_statistics:
        interop.calibrate_batch_norm(model, [calibration])
    path = FOLDER / f"{name}.fr"
    packing = save_archive(
        model,
        path,
        step=0.005,
        error=0.01,
        calibration=[calibration] if has_statistics else None,
        skeleton={
            "calibration": calibration,
            "labels": found.labels or ("ground", "shape"),
            "normalization": found.normalization,
            "command": "python tools/android/train_networks.py",
        },
        overwrite=True,
    )
    content = fr_archive.expand(fr_archive.decode(path.read_bytes()))
    guessed = tflite.run(content, found.test.inputs()).argmax(-1)
    return {
        "file": path.name,
        "bytes": packing.bytes,
        "tflite_bytes": len(content),
        "kernel_weights": sum(int(np.prod(one.kernel.shape)) for one in _kernels(model)),
        "test_accuracy": float(np.mean(guessed == found.test.y)),
        "always_the_first_class": float(np.mean(found.test.y == 0)),
        "rows": len(found.test),
    }


def _kernels(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*NETWORKS, *nested_networks.RECIPES]
    parser.add_argument("names", nargs="*", default=names, choices=names)
    FOLDER.mkdir(exist_ok=True)
    notes = FOLDER / "networks.json"
    known = json.loads(notes.read_text()) if notes.exists() else {}
    for name in parser.parse_args().names:
        known[name] = make(name) if name in NETWORKS else nested_networks.make(name, FOLDER)
        notes.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
