"""The training regime of the demo, of `fr-keras train` and of comparisons."""

import dataclasses
import functools
import time

import keras
import numpy as np
from rich.progress import Progress

from fr_bench._teaching import taught
from fr_bench.data import Arrays, Dataset, Rows, Split
from fr_bench.tasks import Head, Kind, Task
from fr_keras.callbacks import TailTruncation
from fr_keras.models.budget import Keep
from fr_keras.tflite import signature
from fr_keras.zoo import lenet5, resnet20, unet

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
        learning_rate: Adam's learning rate at its highest; it falls to 0 along a cosine.
        warmup: The share of all steps, at the beginning, in which the learning rate rises from 0.
        beta_2: Adam's decay of squared gradients.
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
    warmup: float = 0.0
    beta_2: float = 0.999
    seed: int = 0
    distillation: float = 0.0
    best: bool = False


#: The networks that have a name here.
NETWORKS = {
    "lenet5": functools.partial(lenet5, batch_norm=True),
    "resnet20": resnet20,
    "unet": unet,
}


def network(data: Dataset, seed: int, name: str = "lenet5", side: int | None = None) -> keras.Model:
    """Returns an untrained network for the data; the same seed gives the same weights.

    Args:
        data: The data set.
        seed: The seed of the weights.
        name: One of `NETWORKS`: `"unet"` for masks, another one for all else.
        side: Height and width of the inputs; by default those of the pictures.

    Raises:
        ValueError: If the network has no outputs for such labels.
    """
    x, y = data.train.x, data.train.y
    if not all(isinstance(part, np.ndarray) for part in (x, y)) or x.ndim != 4:
        raise ValueError(
            f"`data` must have one picture and one label a row for '{name}'. Received: "
            f"'{data.name}'; give a network of your own"
        )
    of_masks = y.ndim > 2
    if of_masks != (NETWORKS[name] is unet):
        fitting = [one for one in NETWORKS if (NETWORKS[one] is unet) == of_masks]
        labels = "a mask for each picture" if of_masks else "a class or numbers for each picture"
        raise ValueError(
            f"`model` must be {' or '.join(fitting)}, or a file, for '{data.name}', which has "
            f"{labels}. Received: {name!r}"
        )
    activation, outputs = "softmax", len(data.labels)
    if not data.labels:  # numbers
        activation, outputs = None, y.shape[-1] if y.ndim in (2, 4) else 1
    elif y.ndim == 2 and np.any(y.sum(1) != 1):
        activation = "sigmoid"  # several labels a row
    shape = x.shape[1:] if side is None else (side, side, x.shape[-1])
    keras.utils.set_random_seed(seed)
    return NETWORKS[name](shape, outputs, classifier_activation=activation)


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
    batches: keras.utils.PyDataset | None = None,
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
        batches: What it is trained on, in place of the batches of the train split.
    """
    task = data.task or classification(data)
    trained = model
    if teacher is not None and regime.distillation:
        trained = taught(model, teacher, task, regime.distillation)
    rows = len(data.train) if batches is None else len(batches) * regime.batch_size
    if batches is None:
        batches = data.train.batches(regime.batch_size, regime.seed)
    rate = _rate(regime, len(batches) * regime.epochs)
    trained.compile(keras.optimizers.Adam(rate, beta_2=regime.beta_2), task.losses)
    score = _ValidationScore(model, data.validation, task)
    best = (_best_epoch(score, regime),) if regime.best else ()
    start = time.perf_counter()
    history = trained.fit(
        batches,
        epochs=regime.epochs,
        shuffle=False,
        callbacks=[score, *callbacks, *best],
        verbose=0,
    ).history
    seconds = time.perf_counter() - start
    history = {name: [float(value) for value in values] for name, values in history.items()}
    return Fitted(history, seconds, rows * len(history.get("loss", ())))


def _rate(regime: Regime, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Rises from 0 along a line, if the regime says so, and falls to 0 along a cosine."""
    rising = round(steps * regime.warmup)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(regime.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, warmup_target=regime.learning_rate, warmup_steps=rising
    )


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
    found = [_predicted(model, inputs) for inputs in split.pieces(rows)]
    parts = tuple(np.concatenate(one) for one in zip(*found, strict=True))
    return parts if len(parts) > 1 else parts[0]


def _predicted(model: keras.Model, inputs: Arrays) -> list[np.ndarray]:
    inputs = signature.packed(model, inputs if isinstance(inputs, tuple) else (inputs,))
    found = keras.tree.flatten(model.predict(inputs, batch_size=_BATCH, verbose=0))
    return [np.asarray(one, np.float32) for one in found]


class EpochProgress(keras.callbacks.Callback):
    """Advances a progress bar of `rich` by one each epoch."""

    def __init__(self, progress: Progress, title: str, epochs: int, done: int = 0):
        super().__init__()
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=epochs, completed=done)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        kept = f", {int(logs['kept']):,} kept" if "kept" in logs else ""
        scores = [value for name, value in logs.items() if name.startswith("val_")]
        score = f": {scores[0]:.4f} on validation rows" if scores else ""
        self._progress.update(self._task, advance=1, description=f"{self._title}{score}{kept}")
