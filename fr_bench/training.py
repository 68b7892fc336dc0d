"""The training regime of the demo, of `fr-keras train` and of comparisons."""

import dataclasses
import functools
import time

import keras
import numpy as np
from rich.progress import Progress

from fr_bench.data import Arrays, Dataset, Rows, Split
from fr_bench.tasks import Head, Kind, Task
from fr_bench.teaching import taught
from fr_keras.callbacks import TailTruncation
from fr_keras.models.budget import Keep
from fr_keras.tflite import signature
from fr_keras.zoo import lenet5, resnet20

# Rows that a network answers at a time.
_BATCH = 64


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
        distillation: The share of a teacher's answers in the loss, from 0 to 1; only for candidates
            that start from a trained network.
        best: Whether the weights of the best epoch are kept, of those that train with the target,
            instead of those of the last one.
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
    distillation: float = 0.0
    best: bool = False


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
    teacher: keras.Model | None = None,
) -> Fitted:
    """Trains on the train split, and does not touch the test split.

    Args:
        model: The network to train.
        data: The data set. Without a task it is taken for classification into integer classes, and
            the model for one that ends in a softmax.
        regime: How it is trained.
        callbacks: Called after each epoch, when the history has the score of the validation rows
            as `val_` and the name of the score.
        teacher: A trained network, whose answers take part in the loss if the regime says so.
    """
    task = data.task or classification(data)
    trained = model
    if teacher is not None and regime.distillation:
        trained = taught(model, teacher, task, regime.distillation)
    steps = -(-len(data.train) // regime.batch_size) * regime.epochs
    schedule = keras.optimizers.schedules.CosineDecay(regime.learning_rate, steps)
    trained.compile(keras.optimizers.Adam(schedule), task.losses)
    score = _ValidationScore(model, data.validation, task)
    best = (_best_epoch(score, regime),) if regime.best else ()
    start = time.perf_counter()
    history = trained.fit(
        data.train.batches(regime.batch_size, regime.seed),
        epochs=regime.epochs,
        shuffle=False,
        callbacks=[score, *callbacks, *best],
        verbose=0,
    ).history
    seconds = time.perf_counter() - start
    history = {name: [float(value) for value in values] for name, values in history.items()}
    return Fitted(history, seconds, len(data.train) * len(history["loss"]))


def classification(data: Dataset) -> Task:
    """The task of a network that ends in a softmax, for integer classes."""
    return Task((Head(Kind.CLASSES, "integers", len(data.labels), logits=False),))


class _ValidationScore(keras.callbacks.Callback):
    """Puts the score of the validation rows into the history."""

    def __init__(self, model: keras.Model, split: Split, task: Task):
        super().__init__()
        self._network, self._split, self._task = model, split, task
        self.key = f"val_{task.metric_name}"

    def on_epoch_end(self, epoch, logs=None):
        outputs = answers(self._network, self._split)
        found = self._task.value(self._split.y, outputs, self._split.sample_weight)
        if logs is not None:
            logs[self.key] = found


def _best_epoch(score: _ValidationScore, regime: Regime) -> keras.callbacks.Callback:
    """Keeps the weights of the best epoch of those that have all been cut to the target."""
    return keras.callbacks.EarlyStopping(
        score.key,
        mode="max",
        patience=regime.epochs,
        restore_best_weights=True,
        start_from_epoch=regime.truncation_epochs - 1,
    )


def answers(model: keras.Model, split: Split, rows: Rows = slice(None)) -> Arrays:
    """The outputs of a network, float32; a tuple if it has several."""
    inputs = split.inputs(rows)
    inputs = signature.packed(model, inputs if isinstance(inputs, tuple) else (inputs,))
    found = keras.tree.flatten(model.predict(inputs, batch_size=_BATCH, verbose=0))
    parts = tuple(np.asarray(one, np.float32) for one in found)
    return parts if len(parts) > 1 else parts[0]


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
        scores = [value for name, value in logs.items() if name.startswith("val_")]
        score = f": {scores[0]:.4f} on validation rows" if scores else ""
        self._progress.update(self._task, advance=1, description=f"{self._title}{score}{kept}")
