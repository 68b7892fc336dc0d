"""`adaptive_float`: how many bits each layer of a trained network gets, and which exponents."""

import math
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np
from keras import ops

from fr_keras._backends import assign_copy, exact_type
from fr_keras.layers import QUANTIZED, numbers
from fr_keras.methods._adaptive_float import FEWEST_BITS, MOST_BITS, AdaptiveFloat
from fr_keras.methods._float_search import searched
from fr_keras.methods._output_changes import change, outputs_of
from fr_keras.methods._quantize_kernels import chosen_layers
from fr_keras.methods._rank_shares import Curve, spent
from fr_keras.methods._rows import batches
from fr_keras.models.selectors import Selector
from fr_keras.models.walk import check_graph, rebuild_with_twins

_PAIRS = [(n, e) for n in range(FEWEST_BITS, MOST_BITS + 1) for e in range(1, n)]


def adaptive_float(
    model: keras.Model,
    bits: float,
    data: Iterable | None = None,
    exclude: Selector = (),
    score: Callable[[keras.Model], float] | None = None,
    trials: int = 50,
) -> dict[str, AdaptiveFloat]:
    """Chooses the bits and exponent bits of each layer of a trained network, without training.

    For each layer, all 28 formats of 2 to 8 bits are tried. Their errors are the squared errors of
    the kernels as shares of their squares, or, with `data`, the squared change of the network's
    outputs as a share of their squares, when only this layer is quantized. The budget is spent
    where it takes the most of the sum of these errors. With `score`, other divisions of the budget
    are tried, too, by a Bayesian search, and the one with the best score is returned.

    The result is for `quantize_kernels`, with which the network can be trained further; `bake` then
    gives the network with rounded kernels.

    Args:
        model: A built functional or sequential model.
        bits: The mean number of bits of a weight, over the quantized kernels, from 2 to 8.
        data: Representative rows: an array, a dict of arrays for several inputs, a tuple of inputs
            and labels, or batches of these. Labels are not needed. Each layer takes 28 passes.
        exclude: Layers to leave as they are, as for `quantize_kernels`; by default none.
        score: A function that returns how good a plain model with rounded kernels is, for instance
            its accuracy on validation rows. Higher is better. It needs the extra `optuna`.
        trials: How many divisions are tried with `score`, of which the first is that without it.

    Returns:
        The format of each layer by its name, or its path where several layers share a name.

    Raises:
        ValueError: If `bits` or `trials` is out of range, no layer is left, a kernel cannot be
            quantized, or a score is not finite.
        ImportError: If `score` is given and the extra `optuna` is not installed.

    Example:

    >>> from fr_keras.methods import quantize_kernels
    >>> keras.utils.set_random_seed(0)
    >>> dense = keras.layers.Dense(4, name="dense")
    >>> model = keras.Sequential([keras.Input((8,)), dense])
    >>> adaptive_float(model, bits=5)
    {'dense': AdaptiveFloat(bits=5, exponent_bits=1)}
    >>> small = quantize_kernels(model, adaptive_float(model, bits=5))

    Source: as `AdaptiveFloat`. The paper compares distributions instead of squared errors.
    """
    if not FEWEST_BITS <= bits <= MOST_BITS:
        raise ValueError(
            f"`bits` must be from {FEWEST_BITS} to {MOST_BITS}, because no format has fewer or "
            f"more. Received: {bits}"
        )
    if trials < 1:
        raise ValueError(f"`trials` must be at least 1. Received: {trials}")
    check_graph(model)
    layers = {
        name: layer
        for name, (layer, _) in chosen_layers(model, AdaptiveFloat(8, 4), exclude).items()
    }
    if data is None:
        errors = {name: _kernel_errors(layer) for name, layer in layers.items()}
    else:
        errors = _output_errors(model, layers, list(batches(model, data)))
    sizes = {n: sum(math.prod(one.shape) for one in _kernels(x)) for n, x in layers.items()}
    pairs = np.array(_PAIRS)
    curves = {n: Curve.of(pairs, sizes[n] * pairs[:, 0], errors[n]) for n in layers}
    budget = bits * sum(sizes.values())
    if score is None:
        return _formats(curves, spent(curves, budget))

    def scored(plan: dict[str, int]) -> float:
        return score(_with_formats(model, layers, _formats(curves, plan)))

    return _formats(curves, searched(curves, budget, scored, trials))


def _formats(curves: Mapping[str, Curve], plan: Mapping[str, int]) -> dict[str, AdaptiveFloat]:
    return {name: AdaptiveFloat(*map(int, curves[name].pairs[at])) for name, at in plan.items()}


def _with_formats(model: keras.Model, layers: dict, formats: dict) -> keras.Model:
    copy, twins = rebuild_with_twins(model, lambda layer: None)
    for name, layer in layers.items():
        for own, its in zip(_kernels(twins[id(layer)]), _kernels(layer), strict=True):
            assign_copy(own, _rounded(its, formats[name]))
    return copy


def _kernels(layer: keras.layers.Layer) -> list[keras.Variable]:
    return [getattr(layer, name) for name in QUANTIZED[type(layer)].kernel_names]


def _rounded(kernel, quantizer: AdaptiveFloat):
    exact = exact_type(kernel.dtype)
    return quantizer(ops.cast(kernel, exact), {}, training=False)


def _kernel_errors(layer: keras.layers.Layer) -> np.ndarray:
    kernels = [numbers(one) for one in _kernels(layer)]
    return np.array(
        [
            change(
                [kernels],
                [[ops.convert_to_numpy(_rounded(one, AdaptiveFloat(*pair))) for one in kernels]],
            )
            for pair in _PAIRS
        ]
    )


def _output_errors(model: keras.Model, layers: dict, rows: list) -> dict[str, np.ndarray]:
    copy, twins = rebuild_with_twins(model, lambda layer: None)
    before = outputs_of(copy, rows)
    found = {}
    for name, layer in layers.items():
        ours, theirs = _kernels(twins[id(layer)]), _kernels(layer)
        found[name] = np.zeros(len(_PAIRS))
        for number, pair in enumerate(_PAIRS):
            for own, its in zip(ours, theirs, strict=True):
                assign_copy(own, _rounded(its, AdaptiveFloat(*pair)))
            found[name][number] = change(before, outputs_of(copy, rows))
        for own, its in zip(ours, theirs, strict=True):
            assign_copy(own, its)
    return found
