"""Compares formats for the same networks: bytes, and the accuracy that lossy formats lose.

    python benchmarks/archive_formats.py --mnist mnist.npz --membrane membrane.npz --work folder

All formats except two hold the same numbers: the kept coefficients, in zigzag order, and the other
weights. `whole kernels` are those of the plain network. `sparse` is the content of a frereg
checkpoint: positions and values of the coefficients that are not 0, without statistics. The
`.keras` file, which is of the compact model, and the archive hold the architecture too; the other
formats need it from elsewhere. `integers` are the whole numbers in the archive, with their steps
and counts, so that only the coders are compared. Trainings are short, because formats are the
subject. Scores are accuracies on test rows for LeNet-5 and Dice on validation slices for the U-Net.
"""

import argparse
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import archive_unet
import keras
import lenet5_mnist
import numpy as np
from environment import environment

import fr_archive
from fr_bench import data, training
from fr_keras import bake, compact, load_archive, regularize, save_archive, summary
from fr_keras.models.coefficients import keep_series, kept_series
from fr_keras.models.vectors import weights
from fr_keras.models.walk import frequency_layers

DIGITS_EPOCHS, MNIST_EPOCHS, UNET_STEPS = 20, 10, 300
CALIBRATION_ROWS = 2000
# Coarse steps, which lose little here.
STEP, ERROR = 0.005, 0.01
FORMATS = {
    "gzip": lambda content: gzip.compress(content, 9, mtime=0),
    "xz": lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME),
}


def numbers(model: keras.Model, dtype: str) -> list[np.ndarray]:
    """The kept coefficients and the other weights."""
    found = [kept_series(part) for part in frequency_layers(model)]
    return [one.astype(dtype) for one in [*found, *(one.values() for one in weights(model))]]


def npz(arrays: list[np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, *arrays)
    return file.getvalue()


def in_float16(model: keras.Model) -> keras.Model:
    """A copy with the numbers as float16 holds them."""
    copy = compact(model)
    for part in frequency_layers(copy):
        keep_series(part, kept_series(part).astype("float16"))
    for weight in weights(copy):
        weight.assign(weight.values().astype("float16").astype("float32"))
    return copy


def whole_in_float16(model: keras.Model) -> keras.Model:
    """The plain network with whole kernels, as float16 holds them."""
    plain = bake(model, form="dense")
    plain.set_weights([one.astype("float16").astype("float32") for one in plain.get_weights()])
    return plain


def sparse(model: keras.Model) -> list[np.ndarray]:
    """Positions and values of the coefficients, as sparse tensors of torch have them."""
    spectra = [part.kept_coefficients() for part in frequency_layers(model)]
    positions = [np.stack(np.nonzero(one)).astype(np.int64) for one in spectra]
    return [*positions, *(one[np.nonzero(one)] for one in spectra)]


def integers(file: Path) -> bytes:
    """Counts, steps and whole numbers of an archive, each series in the smallest type it fits."""
    held = fr_archive.decode(file.read_bytes())
    table, content = [], b""
    for one in (*held.tensors, *held.vectors):
        width = np.min_scalar_type(-max([*map(abs, one.values), 0]) - 1)
        table.append((len(one.values), one.step, width.itemsize))
        content += np.array(one.values, width).tobytes()
    return np.array(table, np.int16).T.tobytes() + content


def sizes(model: keras.Model, folder: Path, calibration) -> tuple[dict[str, int], keras.Model]:
    """The bytes of each format, and the model that the archive loads to."""
    compact(model).save(folder / "compact.keras")
    keras_file = (folder / "compact.keras").read_bytes()
    floats = {dtype: numbers(model, dtype) for dtype in ("float32", "float16")}
    found = {"keras": len(keras_file)}
    for name, pack in FORMATS.items():
        found[f"keras, {name}"] = len(pack(keras_file))
    for dtype, arrays in floats.items():
        found[f"{dtype}, npz"] = len(npz(arrays))
        content = b"".join(one.tobytes() for one in arrays)
        for name, pack in FORMATS.items():
            found[f"{dtype}, {name}"] = len(pack(content))
    whole = [one.astype("float16") for one in whole_in_float16(model).get_weights()]
    found["whole kernels, float16, npz"] = len(npz(whole))
    found["sparse, npz"] = len(npz(sparse(model)))
    found["sparse, xz"] = len(FORMATS["xz"](b"".join(one.tobytes() for one in sparse(model))))
    file = folder / "model.fr"
    packing = save_archive(model, file, STEP, ERROR, calibration=calibration, overwrite=True)
    for name, pack in FORMATS.items():
        found[f"integers, {name}"] = len(pack(integers(file)))
    found["archive"] = packing.bytes
    found["archive, architecture"] = packing.sections["architecture"]
    return found, load_archive(file)


def kept_in(path: Path, train: Callable[[], keras.Model]) -> keras.Model:
    """The network of an earlier run, else a new one."""
    if not path.exists():
        train().save(path)
    return keras.models.load_model(path, compile=False)


def digits_network(digits: data.Dataset) -> keras.Model:
    regime = training.Regime(epochs=DIGITS_EPOCHS, truncation_epochs=6)
    model = regularize(training.network(digits, regime.seed))
    training.fit(model, digits, regime, (training.truncation(regime),))
    return model


def accuracy(split: data.Split) -> Callable[[keras.Model], float]:
    def measure(model: keras.Model) -> float:
        scores = model.predict(split.batches(500), verbose=0)
        return float(np.mean(scores.argmax(-1) == split.y))

    return measure


def row(name: str, trained: str, model: keras.Model, score, calibration, folder: Path) -> dict:
    found, loaded = sizes(model, folder, calibration)
    result = {
        "network": name,
        "training": trained,
        "kept": summary(model).kept,
        "other_numbers": summary(model).total("other"),
        "bytes": found,
        "score": {
            "float32": score(model),
            "float16": score(in_float16(model)),
            "whole kernels, float16": score(whole_in_float16(model)),
            "archive and integers": score(loaded),
        },
    }
    print(json.dumps(result, indent=1), flush=True)
    return result


def lenet5_row(name: str, source: str, epochs: int, work: Path) -> dict:
    found = data.load(source)

    def train() -> keras.Model:
        if source == "digits":
            return digits_network(found)
        return lenet5_mnist.train(found, 0, epochs)[0]

    model = kept_in(work / f"{found.name}_{epochs}.keras", train)
    x = found.train.inputs(slice(CALIBRATION_ROWS))
    return row(name, f"{epochs} epochs", model, accuracy(found.test), x, work)


def unet_row(path: str, work: Path) -> dict:
    file = work / f"unet_{UNET_STEPS}.keras"
    model = kept_in(file, lambda: archive_unet.train(path, UNET_STEPS)[0])
    return row(
        "U-Net, membranes",
        f"{UNET_STEPS} steps",
        model,
        lambda one: archive_unet.score(one, path),
        archive_unet.calibration(path),
        work,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--membrane", required=True, help="the membranes as a .npz with x and y")
    parser.add_argument("--work", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    result = {"benchmark": "archive_formats", "environment": environment()}
    result["rows"] = [
        lenet5_row("LeNet-5, digits", "digits", DIGITS_EPOCHS, arguments.work),
        lenet5_row("LeNet-5, MNIST", arguments.mnist, MNIST_EPOCHS, arguments.work),
        unet_row(arguments.membrane, arguments.work),
    ]
    path = arguments.out / "archive_formats.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
