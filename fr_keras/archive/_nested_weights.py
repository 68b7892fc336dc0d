"""The numbers of networks of which each contains the one before, in whole steps."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from fr_archive import Axis, Codebook, GrownKernel, GrownVector, Kernel, Quantized, new_parts
from fr_keras.archive._normalization import move_biases
from fr_keras.archive._precision import ERROR, KERNEL_ERROR, Precision, by_layer
from fr_keras.archive._quantization import quantize_kernel
from fr_keras.archive._weights import rounded_values
from fr_keras.methods import Nested
from fr_keras.models.vectors import LONGEST, Weight, weights


@dataclasses.dataclass(frozen=True)
class Held:
    """A weight of a network.

    Attributes:
        values: Its numbers before they were rounded, in its shape.
        parts: Its vectors, or its only kernel.
    """

    values: np.ndarray
    parts: tuple[Quantized | GrownVector | Kernel | Codebook | GrownKernel, ...]


#: The weights of a network by their names, in the order of an archive.
Numbers = dict[str, Held]


def numbers_of(
    nested: Nested,
    number: int,
    model: keras.Model,
    before: Numbers | None,
    error: Precision,
    kernel_error: Precision,
) -> Numbers:
    """Returns the weights of a network.

    Args:
        nested: The networks.
        number: The place of this one.
        model: This network, as an archive holds it.
        before: The weights of the network before it.
        error: As for `save_archive`; it is that of the new numbers.
        kernel_error: Likewise.

    Raises:
        ValueError: If the network before is not in this one, or an error is out of range.
    """
    found = weights(model)
    values = _values(model, found)
    grown = _grown(nested, number, found, values, before) if before else {}
    new = [one for one in found if one.name not in grown or grown[one.name]]
    parts = {one.name: _new_of(one, values[one.name], grown.get(one.name)) for one in new}
    held = _rounded_kernels([one for one in new if one.in_space], found, parts, kernel_error)
    held |= _rounded_vectors([one for one in new if not one.in_space], found, parts, error)
    numbers = {}
    for one in found:
        axes, rounded = grown.get(one.name), held.get(one.name)
        if axes is None:
            whole = tuple(rounded)
        elif not axes:
            whole = before[one.name].parts
        elif one.in_space:
            whole = (GrownKernel(*before[one.name].parts, axes, rounded),)
        else:
            whole = (GrownVector(*before[one.name].parts, *axes, *rounded),)
        numbers[one.name] = Held(values[one.name], whole)
    return numbers


def _values(model: keras.Model, found: list[Weight]) -> dict[str, np.ndarray]:
    """The numbers of all weights, each in its shape."""
    vectors = [one for one in found if not one.in_space]
    moved = [one.values() for one in vectors]
    move_biases(model, vectors, moved)
    values = {one.name: one.values() for one in found if one.in_space}
    values |= {one.name: numbers for one, numbers in zip(vectors, moved, strict=True)}
    return {one.name: values[one.name].reshape(one.variable.shape) for one in found}


def _grown(
    nested: Nested,
    number: int,
    found: list[Weight],
    values: dict[str, np.ndarray],
    before: Numbers,
) -> dict[str, tuple[Axis, ...]]:
    """The axes of each weight that contains the one before; none if it is that."""
    added = nested.added(number)
    along = {one.name: added.get(id(one.variable), {}) for one in weights(nested.models[number])}
    grown = {}
    for one in found:
        if one.layer_name in nested.own or not one.size:
            continue
        places = [(False, np.zeros(length, bool)) for length in one.variable.shape]
        for axis, place in along[one.name].items():
            places[axis] = place
        _check_contained(one, values[one.name], before[one.name].values, places)
        if not any(positions.any() for _, positions in places):
            grown[one.name] = ()
        elif one.in_space:
            grown[one.name] = tuple(Axis.of(new, not is_read) for is_read, new in places)
        else:
            _check_length(one, before[one.name])
            grown[one.name] = (Axis.of(_any(places, values[one.name].shape).ravel()),)
    return grown


def _any(places: list, shape: tuple[int, ...]) -> np.ndarray:
    """Which numbers are new along any of some axes."""
    new = np.zeros(shape, bool)
    for axis, (_, positions) in enumerate(places):
        new |= np.expand_dims(positions, [n for n in range(len(shape)) if n != axis])
    return new


def _check_contained(weight: Weight, values: np.ndarray, old: np.ndarray, places: list) -> None:
    """Refuses a weight whose old numbers have changed, or read something new."""
    kept = values[np.ix_(*(~positions for _, positions in places))]
    same = kept.shape == old.shape and (kept == old).all()
    if same and weight.in_space:
        made = [(None, new if not is_read else np.zeros_like(new)) for is_read, new in places]
        same = not values[_any(places, values.shape) & ~_any(made, values.shape)].any()
    if not same:
        raise ValueError(
            "`nested` must have networks of which each contains the one before, as `nest` returns "
            f"them. Received: other numbers of old channels in '{weight.name}'"
        )


def _check_length(weight: Weight, before: Held) -> None:
    if len(weight.lengths) != 1 or len(before.parts) != 1:
        raise ValueError(
            f"`nested` must have biases and statistics of at most {LONGEST} numbers that grow: "
            f"save each network by itself with `save_archive`. Received: '{weight.name}' with "
            f"{weight.size}"
        )


def _new_of(weight: Weight, values: np.ndarray, axes: tuple[Axis, ...] | None) -> list[np.ndarray]:
    """The numbers of a weight that are not in the network before, in parts."""
    if not axes:
        return [values]
    return new_parts(values if weight.in_space else values.ravel(), axes)


def _rounded_kernels(
    new: list[Weight],
    found: list[Weight],
    parts: dict[str, list[np.ndarray]],
    error: Precision,
) -> dict[str, list[Kernel | Codebook]]:
    names = dict.fromkeys(one.layer_name for one in found if one.in_space)
    errors: Mapping[str, float] = by_layer("kernel_error", error, names, KERNEL_ERROR)
    return {
        one.name: [
            quantize_kernel(part.ravel(), max(1, part.shape[-1]), errors[one.layer_name])
            for part in parts[one.name]
        ]
        for one in new
    }


def _rounded_vectors(
    new: list[Weight],
    found: list[Weight],
    parts: dict[str, list[np.ndarray]],
    error: Precision,
) -> dict[str, list[Quantized]]:
    names = dict.fromkeys(one.layer_name for one in found if not one.in_space)
    errors = by_layer("error", error, names, ERROR)
    return rounded_values(new, [parts[one.name][0].ravel() for one in new], errors)[0]
