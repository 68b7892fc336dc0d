"""How much the outputs of a model change when one layer alone is cut."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from fr_keras.layers import numbers
from fr_keras.methods._chained import chained
from fr_keras.methods._fitting import nearest, whole_kernel
from fr_keras.methods._linear import Linear
from fr_keras.methods._output_changes import change, outputs_of
from fr_keras.methods._outputs import Statistics
from fr_keras.methods._rank_shares import Curve
from fr_keras.models.walk import named_layers

_MEASURED = (0.3, 0.1, 0.03)  # errors of a layer, beside that of its cheapest chain


def sensitive(
    model: keras.Model,
    layers: Mapping[str, Linear],
    curves: Mapping[str, Curve],
    seen: Mapping[str, Statistics],
    rows: Sequence,
) -> dict[str, Curve]:
    """Returns the curves with the change of the model's outputs as the error of each chain.

    It is measured for the cheapest chain and for up to three others of each layer, and between
    these a straight line is drawn over the error of the layer. No change is below one of a smaller
    error.

    Args:
        model: The model.
        layers: Its layers by name.
        curves: Their chains, with the error of each layer.
        seen: How their inputs and outputs vary.
        rows: The inputs of the model.
    """
    probes = {name: _probes(one) for name, one in curves.items()}
    changes: dict[str, list[float]] = {name: [] for name in curves}
    copy, before = chained(model, {}, {}), outputs_of(model, rows)
    for step in range(1 + len(_MEASURED)):
        asked = {n: layers[n] for n, found in probes.items() if step < len(found)}
        plan = {n: tuple(map(int, curves[n].pairs[probes[n][step]])) for n in asked}
        factors, shifts = nearest(model, asked, plan, seen, rows)
        for name, one in asked.items():
            kernel = one.like(whole_kernel(factors[name])).kernel
            after = _with(named_layers(copy)[name], kernel, shifts[name], copy, rows)
            changes[name].append(change(before, after))
    return {name: _measured(one, probes[name], changes[name]) for name, one in curves.items()}


def _probes(curve: Curve) -> list[int]:
    """The cheapest chain, and the first ones within some errors; none that has no error."""
    falling = -curve.errors
    found = {0, *(int(np.searchsorted(falling, -error)) for error in _MEASURED)}
    return sorted(number for number in found if curve.errors[number] > 0)


def _measured(curve: Curve, probes: Sequence[int], changes: Sequence[float]) -> Curve:
    """The curve with changes at the errors between those that were measured."""
    errors = np.append(0.0, curve.errors[probes][::-1])
    changes = np.maximum.accumulate(np.append(0.0, changes[::-1]))
    return Curve.of(curve.pairs, curve.costs, np.interp(curve.errors, errors, changes))


def _with(layer: keras.layers.Layer, kernel, shift, model: keras.Model, rows: Sequence) -> list:
    """The outputs of a model while one of its layers has another kernel, and more bias."""
    changed = [layer.kernel] if shift is None else [layer.kernel, layer.bias]
    before = [keras.ops.copy(weight) for weight in changed]
    layer.kernel.assign(kernel)
    if shift is not None:
        layer.bias.assign(numbers(layer.bias) + shift)
    found = outputs_of(model, rows)
    for weight, value in zip(changed, before, strict=True):
        weight.assign(value)
    return found
