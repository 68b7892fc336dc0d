"""The training regime of the demo and of `fr-keras train`."""

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
    """How long and how a network is trained; plain networks ignore the truncation.

    Attributes:
        keep: Coefficients kept in the end, as `TailTruncation` takes them.
        epochs: Epochs in all.
        truncation_epochs: Epochs in which the target is reached; the rest trains on it.
        schedule: Name of the truncation schedule.
        floors: The least a layer keeps from a total.
        sharing: How a total is shared among the layers.
        batch_size: Rows a step.
        learning_rate: Peak of Adam's learning rate, which falls to 0 along a cosine.
        seed: Seed of weights, shuffling and dropout.
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


#: The networks that can be trained by name.
NETWORKS = {"lenet5": functools.partial(lenet5, batch_norm=True), "resnet20": resnet20}


def network(data: Dataset, seed: int, name: str = "lenet5") -> keras.Model:
    """Returns an untrained network for the data, equal for equal seeds."""
    keras.utils.set_random_seed(seed)
    return NETWORKS[name](data.train.x.shape[1:], len(data.labels))


def truncation(regime: Regime) -> TailTruncation:
    """Returns the callback of the regime."""
    return TailTruncation(
        regime.keep,
        regime.truncation_epochs,
        schedule=regime.schedule,
        floors=regime.floors,
        sharing=regime.sharing,
    )


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What one training gave, and what it took.

    Attributes:
        history: Metrics by epoch, as Keras names them.
        seconds: On this machine, with the validation after each epoch.
        rows: Rows of the train split that it saw, each as often as it was seen.
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
    """Trains on the train split; the test split is not touched."""
    steps = -(-len(data.train.x) // regime.batch_size) * regime.epochs
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(regime.learning_rate, steps)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(
        data.train.x,
        data.train.y,
        batch_size=regime.batch_size,
        epochs=regime.epochs,
        validation_data=(data.validation.x, data.validation.y),
        callbacks=list(callbacks),
        verbose=0,
    ).history
    seconds = time.perf_counter() - start
    history = {name: [float(value) for value in values] for name, values in history.items()}
    return Fitted(history, seconds, len(data.train.x) * len(history["loss"]))


class EpochProgress(keras.callbacks.Callback):
    """Moves a bar of `rich` on by one each epoch."""

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
