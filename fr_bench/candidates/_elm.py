"""The candidate that is solved instead of trained."""

import math
import time
from collections.abc import Iterator

import keras
import numpy as np

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.data import Dataset, Split
from fr_bench.tasks import Head, Kind
from fr_bench.training import classification
from fr_keras import methods
from fr_keras.layers import SeededSigns
from fr_keras.models.summaries import summary

_BATCH, _SAMPLE = 256, 256


class Elm(Candidate):
    """Solves `fr_keras.methods.elm` with as many numbers in its output layer as the budget says.

    It takes nothing of the network but its inputs and outputs. There are at most as many neurons as
    training rows: more could tell nothing that these cannot.
    """

    description = (
        "A random layer, known from a seed, and an output layer that ridge regression solves for "
        "in one pass (Huang et al. 2006): small as an archive, large on the device."
    )

    def check_installed(self) -> None:
        try:
            import scipy  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"the method 'elm' needs the extra `elm`: pip install 'fr-keras[elm]' ({error})"
            ) from error

    def train(self, model, data, regime, progress, title) -> Trained:
        head = _checked(model, data)
        begin, outputs = time.perf_counter(), model.output_shape[-1]
        whole = summary(model).to_dict()["kernel_weights"]
        budget = regime.keep if isinstance(regime.keep, int) else round(regime.keep * whole)
        neurons = min(budget // outputs, len(data.train))
        if neurons < 1:
            raise ValueError(
                f"`keep` must be at least {outputs} numbers for 'elm', one for each output. "
                f"Received: {regime.keep}, which is {budget}"
            )
        largest = float(np.abs(data.train.sample(_SAMPLE)).max())
        unit = 2.0 ** round(math.log2(largest)) if 0 < largest < math.inf else 1.0
        # Also where the rows lack a class, the network has an output for it.
        classes = outputs if head.kind is Kind.CLASSES else None
        bar = progress.add_task(title, total=None)
        solved = methods.elm(
            _batches(data.train, unit, classes, regime.seed),
            neurons,
            _batches(data.validation, unit, classes, regime.seed),
            regime.seed,
            progress=lambda text, share: progress.update(bar, description=f"{title}: {text}"),
        )
        _take(solved, unit, head.logits)
        seconds = time.perf_counter() - begin
        return Trained(solved, neurons * outputs, {}, seconds, len(data.train))


def _checked(model: keras.Model, data: Dataset) -> Head:
    """What the only output solves, which must be classes or numbers."""
    task = data.task or classification(data)
    kinds = [one.kind for one in task.heads]
    if len(model.inputs) != 1 or kinds not in ([Kind.CLASSES], [Kind.NUMBERS]):
        raise ValueError(
            "`model` must have one input, and one output of classes or of numbers, for 'elm'. "
            f"Received: {len(model.inputs)} inputs and outputs of {[str(one) for one in kinds]}"
        )
    if data.train.sample_weight is not None:
        raise ValueError("`data` must have no weights of rows for 'elm'. Received: weights")
    return task.heads[0]


def _batches(
    split: Split, unit: float, classes: int | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields inputs in units, and labels: one-hot rows for so many classes, or numbers."""
    rows = split.batches(_BATCH, seed)
    for number in range(len(rows)):
        x, y = rows[number][:2]
        yield x / np.float32(unit), y if classes is None else np.eye(classes, dtype=np.uint8)[y]


def _take(solved: keras.Model, unit: float, logits: bool) -> None:
    """Has the network take inputs that are `unit` times as large, and give logits if asked."""
    hidden = solved.get_layer("hidden")
    signs = hidden.kernel_initializer
    # A power of two: the division is exact.
    hidden.kernel_initializer = SeededSigns(signs.seed, signs.scale / unit)
    hidden.kernel.assign(hidden.kernel / unit)
    if logits:
        solved.get_layer("output").activation = keras.activations.linear
