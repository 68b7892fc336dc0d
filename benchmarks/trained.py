"""Trains the networks that the benchmarks of trained networks start from, and keeps them.

    python benchmarks/trained.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

A network that is in the folder is not trained again, so that the work can be stopped and resumed.
All have the same training: Adam along a cosine, flips and shifts of the images. CIFAR-10: the first
20,000 training images; the last 5,000 are for validation.
"""

import argparse
from pathlib import Path

import cifar
import keras
import membrane_unet
import numpy as np
import tensorflow as tf
from keras import layers

from fr_bench.data import Dataset, Split
from fr_keras import zoo

ROWS, BATCH = 20_000, 128
SEEDS = (0, 1, 2)
EPOCHS = {"vgg": 10, "resnet20": 15, "unet": 10, "mobile": 15}
LEARNING_RATE = {"vgg": 2e-3, "resnet20": 4e-3, "unet": 2e-3, "mobile": 4e-3}
UNET_STEPS = 100
WIDTHS = (32, 32, 64, 64, 128, 128)  # of the VGG


def vgg(widths=WIDTHS, classes: int = 10) -> keras.Model:
    """Six 3x3 convolutions in three stages and a hidden layer, each with batch normalization."""
    x = inputs = keras.Input((32, 32, 3), name="image")
    for number, width in enumerate(widths, start=1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"conv{number}_bn")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
        if number % 2 == 0:
            x = layers.MaxPooling2D(name=f"pool{number // 2}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, use_bias=False, name="hidden")(x)
    x = layers.ReLU(name="hidden_relu")(
        layers.BatchNormalization(momentum=0.9, name="hidden_bn")(x)
    )
    return keras.Model(inputs, layers.Dense(classes, "softmax", name="classifier")(x), name="vgg")


def mobile(classes: int = 10) -> keras.Model:
    """Depthwise and pointwise convolutions in turn, as in MobileNet, for pixels of 0 to 255."""
    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = _normalized(layers.Conv2D(32, 3, padding="same", use_bias=False, name="stem")(x))
    for number, (width, stride) in enumerate([(64, 2), (128, 1), (128, 2), (256, 1), (256, 1)]):
        depthwise = layers.DepthwiseConv2D(
            3, stride, padding="same", use_bias=False, name=f"depthwise{number}"
        )
        x = _normalized(depthwise(x))
        x = _normalized(layers.Conv2D(width, 1, use_bias=False, name=f"pointwise{number}")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(
        inputs, layers.Dense(classes, "softmax", name="classifier")(x), name="mobile"
    )


def _normalized(x):
    return layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))


def untrained(name: str, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    if name == "unet":
        return zoo.unet((membrane_unet.SIDE, membrane_unet.SIDE, 1), filters=16)
    return {"vgg": vgg, "resnet20": zoo.resnet20, "mobile": mobile}[name]()


class Task:
    """The data of a network, and how long it is trained on them.

    Attributes:
        steps: Training steps of an epoch.
    """

    def __init__(self, name: str, data: str, membranes: str):
        self.name = name
        if name == "unet":
            self._path, self.steps = membranes, UNET_STEPS
            return
        self._cifar: Dataset = cifar.load(data, ROWS)
        if name == "mobile":  # it scales its pictures itself
            self._cifar = self._cifar.scaled(1.0, 0.0)
        self.steps = ROWS // BATCH

    def batches(self) -> tf.data.Dataset:
        """Training rows in a new order each epoch, changed at random."""
        if self.name == "unet":
            return membrane_unet.batches(self._path)
        split = self._cifar.train

        def augmented(x, y):
            x = tf.image.random_flip_left_right(tf.pad(x, [[4, 4], [4, 4], [0, 0]]))
            return tf.image.random_crop(x, (32, 32, 3)), y

        rows = tf.data.Dataset.from_tensor_slices((split.inputs(), split.y)).repeat().shuffle(ROWS)
        return rows.map(augmented, 2).batch(BATCH).prefetch(2)

    def rows(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of a split."""
        if self.name == "unet":
            return membrane_unet.tiles(self._path, split)
        part = getattr(self._cifar, split)
        return part.inputs(), part.y

    def some(self, count: int) -> np.ndarray:
        """So many training inputs, in even steps."""
        x = self.rows("train")[0]
        return x[:: max(1, len(x) // count)][:count]

    def dataset(self) -> Dataset:
        """The rows as a data set of `fr_bench`."""
        if self.name != "unet":
            return self._cifar
        splits = (Split(*self.rows(name)) for name in ("train", "validation", "test"))
        return Dataset("membranes", *splits, labels=("inside", "membrane"))

    def score(self, predict, split: str) -> float:
        """Accuracy, or the Dice of the membranes."""
        x, y = self.rows(split)
        outputs = predict(x)
        if self.name == "unet":
            return membrane_unet.dice(y, outputs)
        return float(np.mean(outputs.argmax(-1) == y))

    def fit(
        self, model: keras.Model, epochs: int, rate: float, callbacks=(), steps: int | None = None
    ) -> list[float]:
        """Trains the model, for some steps an epoch or all, and returns its loss by epoch."""
        steps = steps or self.steps
        whole = steps * epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, int(whole * 0.9), warmup_target=rate, warmup_steps=int(whole * 0.1)
        )
        model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
        history = model.fit(
            self.batches(), epochs=epochs, steps_per_epoch=steps, callbacks=list(callbacks),
            verbose=2,
        ).history  # fmt: skip
        return [round(float(loss), 4) for loss in history["loss"]]


def base(task: Task, seed: int, work: Path) -> keras.Model:
    """The trained network of a seed, from the folder if it is there."""
    path = work / f"{task.name}_{seed}.keras"
    if not path.exists():
        model = untrained(task.name, seed)
        task.fit(model, EPOCHS[task.name], LEARNING_RATE[task.name])
        model.compile()  # the file needs no optimizer
        model.save(path.with_suffix(".part.keras"))
        path.with_suffix(".part.keras").rename(path)
    return keras.models.load_model(path, compile=False)


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments of all scripts that start from trained networks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", required=True, help="CIFAR-10 as a .npz of JPEG files")
    parser.add_argument("--membranes", required=True, help="the membranes as a .npz with x and y")
    parser.add_argument("--work", type=Path, required=True, help="where trained networks are kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser


def main() -> None:
    given = arguments(__doc__.splitlines()[0]).parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        for name in EPOCHS:
            task = Task(name, given.data, given.membranes)
            model = base(task, seed, given.work)
            predict = lambda x, model=model: model.predict(x, batch_size=64, verbose=0)  # noqa: E731
            print(name, seed, task.score(predict, "validation"), flush=True)


if __name__ == "__main__":
    main()
