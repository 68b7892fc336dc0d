"""The networks of the screen *Together*: three, each in several capacities, with their profiles.

`train_networks.py` makes them. Each network is trained, and `fr_keras.methods.nest` makes smaller
ones of it, of which each is the beginning of the next. One archive holds all capacities of a
network, with their profiles.
"""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

import fr_archive
from fr_bench import data
from fr_bench.benchmark import capacity_profile, host, subject
from fr_keras import methods, zoo
from fr_keras.archive import NestedPacking, save_nested

SEED = 0
#: Root mean square error of the kernels of an archive, relative to theirs.
KERNEL_ERROR = 0.05
#: How often each file is measured, in a process of its own. The median counts.
MEASURED = 3


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a nested network is made.

    Attributes:
        source: The data set.
        network: Makes the plain network.
        epochs: Of the whole network, of each step of the pruning, and of each capacity.
        rate: The learning rate of Adam.
        batch: The rows of a batch.
        keep: The multiply-adds of the smallest network, as a share.
        capacities: How many networks there are.
        criterion: How channels are ranked.
        labels: The names of the classes.
        classes: Makes the classes of the data set's labels.
    """

    source: str
    network: Callable[[], keras.Model]
    epochs: tuple[int, int, int]
    rate: float
    batch: int
    keep: float
    capacities: int
    criterion: str
    labels: tuple[str, ...]
    classes: Callable[[np.ndarray], np.ndarray] = np.asarray


def parity() -> keras.Model:
    """A small network of two convolutions, for whether a digit is even or odd."""
    inputs = x = keras.Input((28, 28, 1), name="image")
    for number, filters in enumerate((16, 32), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Dense(64, activation="relu", name="hidden")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax", name="classifier")(x))


def unet() -> keras.Model:
    """The U-Net of the paper with an eighth of its filters."""
    return zoo.unet((64, 64, 1), filters=8)


#: The name of a nested network -> how it is made.
RECIPES = {
    "nested_digits": Recipe(
        source="digits",
        network=zoo.lenet5,
        epochs=(8, 2, 8),
        rate=1e-3,
        batch=32,
        keep=0.008,
        capacities=5,
        criterion="triplet",
        labels=tuple("0123456789"),
    ),
    "nested_shapes": Recipe(
        source="shapes",
        network=unet,
        epochs=(10, 4, 10),
        rate=3e-3,
        batch=16,
        # With a single channel before the classifier, which has no bias, all is ground.
        keep=0.25,
        capacities=4,
        criterion="information",
        labels=("ground", "shape"),
    ),
    "nested_parity": Recipe(
        source="digits",
        network=parity,
        epochs=(15, 3, 8),
        rate=1e-3,
        batch=32,
        keep=0.05,
        capacities=4,
        criterion="triplet",
        labels=("even", "odd"),
        classes=lambda y: y % 2,
    ),
}


def make(name: str, folder: Path) -> dict:
    """Trains a nested network and writes its archive; returns what it is."""
    recipe = RECIPES[name]
    found = data.load(recipe.source)
    classes = recipe.classes(found.test.y)
    keras.utils.set_random_seed(SEED)
    nested = trained(recipe, found)
    path = folder / f"{name}.fr"
    with tempfile.TemporaryDirectory() as temporary:
        draft = Path(temporary) / path.name
        pack(nested, draft, recipe, found)
        files = expanded(draft)
        profiles, device = measured(files, found.test.inputs(), classes)
        sizes = [file.stat().st_size for file in files]
    packing = pack(nested, path, recipe, found, profiles)
    entries = [
        {**one.profile, "bytes": one.bytes, "bytes_alone": one.alone, "tflite_bytes": size}
        for one, size in zip(packing.capacities, sizes, strict=True)
    ]
    return {
        "file": path.name,
        "bytes": packing.bytes,
        "capacities": entries,
        "rows": len(classes),
        "always_the_first_class": float(np.mean(classes == 0)),
        "measured_on": device,
    }


def trained(recipe: Recipe, found: data.Dataset) -> methods.Nested:
    """The networks, from the smallest to the largest."""
    x, y = found.train.inputs(), recipe.classes(found.train.y)
    whole, pruned, grown = recipe.epochs
    epochs = pruned

    def fit(model: keras.Model, callbacks: list) -> None:
        length = grown if callbacks else epochs
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(recipe.rate), loss, metrics=["accuracy"])
        model.fit(x, y, recipe.batch, length, verbose=2, callbacks=callbacks)

    model, epochs = recipe.network(), whole
    fit(model, [])
    epochs = pruned
    return methods.nest(
        model,
        (x[:256], y[:256]),
        fit,
        keep=recipe.keep,
        steps=recipe.capacities - 1,
        capacities=recipe.capacities,
        criterion=recipe.criterion,
        scope="layer",
    )


def pack(
    nested: methods.Nested,
    path: Path,
    recipe: Recipe,
    found: data.Dataset,
    profiles: list[dict] | None = None,
) -> NestedPacking:
    """Writes the archive of all capacities."""
    return save_nested(
        nested,
        path,
        kernel_error=KERNEL_ERROR,
        skeleton={
            "calibration": found.train.inputs(slice(96)),
            "labels": recipe.labels,
            "normalization": found.normalization,
            "command": "python tools/android/train_networks.py",
        },
        profiles=profiles,
        overwrite=True,
    )


def expanded(archive: Path) -> list[Path]:
    """Writes the int8 file of each capacity beside the archive, from the smallest on."""
    files = []
    with archive.open("rb") as content:
        for number, network in enumerate(fr_archive.stream(content), start=1):
            files.append(archive.with_name(f"{number}.tflite"))
            files[-1].write_bytes(fr_archive.expand(network))
    return files


def measured(files: list[Path], x: np.ndarray, y: np.ndarray) -> tuple[list[dict], dict]:
    """What the scheduler reads, on this machine with one thread; and this machine.

    The memory is what a network adds to a process that has the smallest one already.
    """
    subjects = [subject(path, x, y) for path in files]
    rounds = [
        [host.measure(one, "xnnpack", threads=1, runs=50, warmup=5) for one in subjects]
        for _ in range(MEASURED)
    ]
    found = [capacity_profile(one) for one in rounds]
    profiles = []
    for place, file in enumerate(files):
        times = [one[place]["latency_ms"] for one in found]
        added = [_added(files[0], file) for _ in range(MEASURED)]
        profiles.append(
            {
                "accuracy": found[0][place]["accuracy"],
                "memory": int(statistics.median(added)),
                "latency_ms": round(statistics.median(times), 4),
            }
        )
    return profiles, rounds[0][0].device


def _added(other: Path, file: Path) -> int:
    script = Path(__file__).with_name("network_memory.py")
    command = [sys.executable, str(script), str(other), str(file)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
