"""The weights of a model beside its coefficients, in whole steps, and back."""

import math
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from fr_archive import Archive, Codebook, Kernel, Quantized, Signs
from fr_keras.archive._normalization import move_biases, scales
from fr_keras.archive._quantization import (
    quantize_kernel,
    quantize_vector,
    restore_vector,
    root_of_squares,
)
from fr_keras.archive._seeds import keep_seed, signs_of
from fr_keras.models.vectors import Weight

#: A kernel in space as it was rounded, with the error that was allowed and that it has.
Rounded = tuple[float, Kernel | Codebook | Signs, float]


def rounded_kernels(
    found: list[Weight], errors: Mapping[str, float], known: dict[str, Rounded] | None = None
) -> tuple[list[Kernel | Codebook | Signs], dict[str, float]]:
    """Returns the kernels in space as an archive holds them, and the error of each by its name.

    Args:
        found: The weights of a model.
        errors: The allowed errors, by the name of the layer in `named_layers`.
        known: What was found for the same weights with other errors, by their names; it is renewed.
    """
    known = {} if known is None else known
    in_space = [weight for weight in found if weight.in_space]
    for weight in in_space:
        error = errors[weight.layer_name]
        if weight.name in known and known[weight.name][0] == error:
            continue
        values = weight.values()
        kernel = signs_of(weight) or quantize_kernel(values, weight.columns, error)
        size = root_of_squares(values)
        difference = root_of_squares(kernel.reals() - values)
        known[weight.name] = error, kernel, difference / size if size else 0.0
    rounded = {weight.name: known[weight.name] for weight in in_space}
    kernels = [kernel for _, kernel, _ in rounded.values()]
    return kernels, {name: residual for name, (_, _, residual) in rounded.items()}


def rounded_vectors(
    model: keras.Model, found: list[Weight], errors: Mapping[str, float]
) -> tuple[list[Quantized], dict[str, float]]:
    """Returns the vectors of all other weights, and the error of each weight by its name.

    Args:
        model: The model.
        found: Its weights.
        errors: The allowed errors, by the name of the layer in `named_layers`.
    """
    found = [weight for weight in found if not weight.in_space]
    values = [weight.values() for weight in found]
    move_biases(model, found, values)
    vectors, residuals = rounded_values(found, values, errors)
    return [one for some in vectors.values() for one in some], residuals


def rounded_values(
    found: list[Weight], values: list[np.ndarray], errors: Mapping[str, float]
) -> tuple[dict[str, list[Quantized]], dict[str, float]]:
    """Returns the vectors of each weight by its name, and its error.

    Args:
        found: Weights.
        values: The numbers of each, or those of them that are to be rounded.
        errors: The allowed errors, by the name of the layer in `named_layers`.
    """
    allowed = scales(found, values)
    parts = [
        (place, part)
        for place, (weight, numbers) in enumerate(zip(found, values, strict=True))
        for part in weight.cut(numbers)
    ]
    vectors: list[Quantized | None] = [None] * len(parts)
    restored: list[np.ndarray] = [np.empty(0)] * len(parts)
    # Vectors of one length share a matrix.
    for number in sorted(range(len(parts)), key=lambda number: len(parts[number][1])):
        place, part = parts[number]
        variance = found[place].is_statistic("variance")
        error = errors[found[place].layer_name] * allowed[place]
        vectors[number] = quantize_vector(part, error, variance)
        restored[number] = restore_vector(vectors[number], len(part), variance)
    of_weights: dict[int, list[np.ndarray]] = {}
    by_name: dict[str, list[Quantized]] = {weight.name: [] for weight in found}
    for (place, _), vector, one in zip(parts, vectors, restored, strict=True):
        of_weights.setdefault(place, []).append(one)
        by_name[found[place].name].append(vector)
    residuals = {}
    for place, (weight, numbers, scale) in enumerate(zip(found, values, allowed, strict=True)):
        difference = np.concatenate([*of_weights.get(place, ()), []]) - numbers
        norm = root_of_squares(difference) / math.sqrt(max(1, len(numbers)))
        residuals[weight.name] = norm / scale if scale else 0.0
    return by_name, residuals


def fill_weights(found: list[Weight], archive: Archive) -> None:
    """Sets the weights of a model to the vectors and kernels of an archive."""
    vectors = iter(archive.vectors)
    kernels = iter(archive.kernels)
    for weight in found:
        if weight.in_space and archive.kernels:
            kernel = next(kernels)
            weight.assign(kernel.reals())
            if isinstance(kernel, Signs):
                keep_seed(weight, kernel)
            continue
        variance = weight.is_statistic("variance")
        parts = [restore_vector(next(vectors), length, variance) for length in weight.lengths]
        if parts:
            weight.assign(np.concatenate(parts))


def fill_kernels(found: list[Weight], kernels: Iterable[Kernel | Codebook | Signs]) -> None:
    """Sets the kernels in space of a model."""
    in_space = [weight for weight in found if weight.in_space]
    for weight, kernel in zip(in_space, kernels, strict=True):
        weight.assign(kernel.reals())
