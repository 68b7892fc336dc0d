"""The training regime of the demo, of `fr-keras train` and of comparisons."""

import dataclasses
import functools
import time

import keras
from rich.progress import Progress

from fr_bench.data import Dataset
from fr_keras.callbacks import TailTruncation
from fr_keras.models.budget import Keep
from fr_keras.zoo import lenet5, resnet20


@dataclasses.dataclass(frozen=True)
class Regime:
    """How a network is trained, and for how long; plain networks ignore the truncation.

    Attributes:
        keep: How many coefficients to keep at the end, as for `TailTruncation`.
        epochs: The total number of epochs.
        truncation_epochs: Epochs until the target is reached; the other epochs train with it.
        schedule: The name of the truncation schedule.
        floors: The fewest coefficients that a layer gets from a total.
        sharing: How a total is divided among the layers.
        batch_size: Training rows per step.
        learning_rate: Adam's learning rate at the beginning, which falls to 0 along a cosine.
        seed: The seed for the initial weights, shuffling and dropout.
    """

    keep: Keep = 0.01
    epochs: int = 40
    truncation_epochs: int = 12
    schedule: str = "geometric"
    floors: int | str = 1
    sharing: str = "bandwidth"
    batch_size: int = 32
    learning_rate: float = 5e-3
    seed: int = 0


#: The networks that have a name here.
NETWORKS = {"lenet5": functools.partial(lenet5, batch_norm=True), "resnet20": resnet20}


def network(data: Dataset, seed: int, name: str = "lenet5") -> keras.Model:
    """Returns an untrained network for the data; the same seed gives the same weights."""
    keras.utils.set_random_seed(seed)
    return NETWORKS[name](data.train.x.shape[1:], len(data.labels))


def truncation(regime: Regime) -> TailTruncation:
    """Returns the truncation callback of the regime."""
    return TailTruncation(
        regime.keep,
        regime.truncation_epochs,
        schedule=regime.schedule,
        floors=regime.floors,
        sharing=regime.sharing,
    )


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The result of one training, and what it took.

    Attributes:
        history: Metrics by epoch, as Keras names them.
        seconds: Seconds on this machine, including the validation after each epoch.
        rows: Rows of the train split that it saw, each counted as often as it was seen.
    """

    history: dict[str, list[float]]
    seconds: float
    rows: int


def fit(
    model: keras.Model,
    data: Dataset,
    regime: Regime,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> Fitted:
    """Trains on the train split, and does not touch the test split."""
    steps = -(-len(data.train) // regime.batch_size) * regime.epochs
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(regime.learning_rate, steps)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(
        data.train.batches(regime.batch_size, regime.seed),
        epochs=regime.epochs,
        validation_data=data.validation.batches(regime.batch_size),
        shuffle=False,
        callbacks=list(callbacks),
        verbose=0,
    ).history
    seconds = time.perf_counter() - start
    history = {name: [float(value) for value in values] for name, values in history.items()}
    return Fitted(history, seconds, len(data.train) * len(history["loss"]))


class EpochProgress(keras.callbacks.Callback):
    """Advances a progress bar of `rich` by one each epoch."""

    def __init__(self, progress: Progress, title: str, epochs: int):
        super().__init__()
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=epochs)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        kept = f", {int(logs['kept']):,} kept" if "kept" in logs else ""
        accuracy = logs.get("val_accuracy", float("nan"))
        self._progress.update(
            self._task, advance=1, description=f"{self._title}: {accuracy:.1%} validation{kept}"
        )
