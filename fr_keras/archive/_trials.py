"""The trials of a search for an archive: settings, their archives, and the accuracy of these.

No model is built for a trial: one copy takes on the numbers of each archive in turn.
"""

import math
from collections.abc import Iterable

import keras
import numpy as np

from fr_archive import Archive, Quantized
from fr_keras.archive._load import loaded
from fr_keras.archive._precision import ERROR, KERNEL_ERROR, STEP
from fr_keras.archive._quantization import quantize_tensor
from fr_keras.archive._save import packed, prepared
from fr_keras.archive._statistics import Fitting, normalizes
from fr_keras.archive._weights import (
    Rounded,
    fill_kernels,
    fill_weights,
    rounded_kernels,
    rounded_vectors,
)
from fr_keras.models.coefficients import keep_series, kept_series
from fr_keras.models.vectors import weights
from fr_keras.models.walk import frequency_layers, named_kernels

#: What a number of a search sets: `("step" | "error" | "kernel_error" | "kept", layer name)`, with
#: names as in `walk.named_layers`.
Place = tuple[str, str]
#: A level of a step or an error is half an octave, one of a count an eighth.
Levels = dict[Place, int]
# At level 0: they make a small file, and most networks tolerate them.
_UNITS = {"step": 0.005, "error": 0.01, "kernel_error": 0.0125}


class Measure:
    """Measures the accuracy: the part of the rows, or pixels, whose class has the largest score.

    Args:
        x: Inputs, as `search` takes them; a batch at a time is read.
        y: The classes of all rows.
        first: 0 or 1: every second row is measured, from this one.
        batch_size: Number of rows that are computed at once.
    """

    def __init__(self, x, y: np.ndarray, first: int, batch_size: int):
        self._x, self._y, self._size = x, np.asarray(y), batch_size
        self._starts = range(first, len(self._y), 2 * batch_size)

    def __call__(self, model: keras.Model) -> float:
        right = count = 0
        for start in self._starts:
            rows = slice(start, start + 2 * self._size, 2)
            y = self._y[rows]
            scores = model.predict_on_batch(self._x[rows])
            _check_scores(scores, y)
            right += np.count_nonzero(scores.argmax(-1) == y)
            count += y.size
        return right / count


def _check_scores(scores, y: np.ndarray) -> None:
    shape = getattr(scores, "shape", None)
    if shape is None or shape[:-1] != y.shape or shape[-1] < 2 or not y.size:
        raise ValueError(
            "`y` must hold one class for each row or pixel, and the model must have one output "
            f"with a score for each of several classes. Received: y of shape {y.shape} "
            f"for outputs of shape {shape or [one.shape for one in scores]}"
        )


class Network:
    """One copy of a model that can take on the numbers of any of its archives."""

    def __init__(self, model: keras.Model, calibration: Iterable | None, search_kept: bool):
        given = prepared(model)
        model = given.model
        start, _ = packed(given, STEP, ERROR, KERNEL_ERROR, None)
        self._architecture = start.architecture
        self._series = [kept_series(part) for part in frequency_layers(model)]
        self._values = [weight.values() for weight in weights(model)]
        self.model = loaded(start)
        self._parts = named_kernels(self.model)
        self._weights = weights(self.model)
        # What the parts hold now.
        self._tensors: dict[str, Quantized] = {}
        self._rounded: dict[str, Rounded] = {}
        self._fitting = self.calibration = None
        if calibration is not None and normalizes(model):
            self._set_weights()
            self._fitting = Fitting(self.model, calibration)
            self.calibration = self._fitting.batches
        kinds = ("step", "kept") if search_kept else ("step",)
        self.places: list[Place] = [(kind, name) for kind in kinds for name in self._parts]
        self.places += [
            ("kernel_error" if weight.in_space else "error", weight.layer_name)
            for weight in self._weights
        ]
        self.places = list(dict.fromkeys(self.places))

    def numbers(self, kind: str, levels: Levels) -> dict[str, float]:
        """The steps or the errors of the layers, by their names in `walk.named_layers`."""
        unit = _UNITS[kind]
        return {name: unit * 2 ** (n / 2) for (one, name), n in levels.items() if one == kind}

    def archive(self, levels: Levels) -> Archive:
        """The archive that `save_archive` makes with the steps and errors of these levels."""
        steps, errors = self.numbers("step", levels), self.numbers("error", levels)
        kernel_errors = self.numbers("kernel_error", levels)
        tensors = []
        for name, series in zip(self._parts, self._series, strict=True):
            shorter = 2 ** (-levels.get(("kept", name), 0) / 8)
            count = math.ceil(shorter * len(series))
            tensors.append(quantize_tensor(series[:count], steps[name]))
        self._set_coefficients(tensors)
        self._set_weights()
        kernels, _ = rounded_kernels(self._weights, kernel_errors, self._rounded)
        fill_kernels(self._weights, kernels)
        if self._fitting is not None:
            self._fitting.fit()
        vectors, _ = rounded_vectors(self.model, self._weights, errors)
        return Archive(self._architecture, tensors, vectors, kernels=kernels)

    def become(self, archive: Archive) -> keras.Model:
        """The model that an archive loads to; it changes with the next call."""
        self._set_coefficients(archive.tensors)
        fill_weights(self._weights, archive)
        return self.model

    def _set_weights(self) -> None:
        """Sets all weights but the coefficients as they were given."""
        for weight, values in zip(self._weights, self._values, strict=True):
            weight.assign(values)

    def _set_coefficients(self, tensors: Iterable[Quantized]) -> None:
        """Changes the layers that hold others."""
        for (name, part), series, tensor in zip(
            self._parts.items(), self._series, tensors, strict=True
        ):
            if self._tensors.get(name) == tensor:
                continue
            values = np.zeros_like(series)  # what was cut is 0: the corner stays
            values[: len(tensor.values)] = tensor.reals()
            keep_series(part, values)
            self._tensors[name] = tensor
