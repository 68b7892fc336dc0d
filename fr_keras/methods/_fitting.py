"""The factors of layers, from their kernels or from what the layers compute on rows."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import Statistics, output_errors
from fr_keras.methods._tucker2 import Factors, fitted, tucker2


def factored(one: Linear, ranks: tuple[int, int], seen: Statistics | None = None) -> list[Factors]:
    """Returns the factors of each group; with statistics, those of the outputs."""
    kernel = one.kernel()
    if seen is None:
        return [tucker2(group, ranks) for group in kernel]
    ends = ([None] * len(kernel) if end is None else end for end in (seen.roots, seen.outputs))
    return [fitted(group, ranks, *both) for group, *both in zip(kernel, *ends, strict=True)]


def nearest(
    model: keras.Model,
    layers: Mapping[str, Linear],
    plan: Mapping[str, tuple[int, int]],
    seen: Mapping[str, Statistics],
    rows: Sequence,
) -> tuple[dict[str, list[Factors]], dict[str, np.ndarray | None]]:
    """Returns the factors with the least error on rows, and what their biases have to take."""
    choices, missing = {}, {}
    for name, one in layers.items():
        choices[name] = [factored(one, plan[name])]
        if name in seen:
            choices[name].append(factored(one, plan[name], seen[name]))
        kernel = one.kernel()
        missing[name] = [kernel - whole_kernel(found) for found in choices[name]]
    errors = output_errors(model, layers, missing, rows)
    best = {name: int(np.argmin([error for error, _ in found])) for name, found in errors.items()}
    factors = {name: choices[name][number] for name, number in best.items()}
    return factors, {n: errors[n][number][1] for n, number in best.items()}


def whole_kernel(factors: Sequence[Factors]) -> np.ndarray:
    """Returns the kernel `(groups, k, s, t)` of the factors of each group."""
    return np.stack([one.kernel() for one in factors])
