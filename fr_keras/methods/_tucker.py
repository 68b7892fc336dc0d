"""`tucker`: a trained network with its kernels as chains of smaller ones."""

import warnings
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from fr_keras.methods._chained import chained
from fr_keras.methods._layer_ranks import LayerRanks, described, found_layers
from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import Statistics, output_errors, statistics
from fr_keras.methods._ranks import Ranks, checked_ranks, chosen_ranks
from fr_keras.methods._rows import batches
from fr_keras.methods._tucker2 import LONGEST, Factors, fitted, is_randomized, tucker2


def tucker(model: keras.Model, ranks: Ranks = "evbmf", data: Iterable | None = None) -> keras.Model:
    """Returns a smaller copy of a trained model, with kernels as chains of smaller ones.

    A kernel `(k, s, t)` of `k` positions, `s` input and `t` output channels is replaced by

        K[i] = A @ C[i] @ B,    A (s, r_in), C (k, r_in, r_out), B (r_out, t):

    a 1x1 convolution, the convolution with stride, padding, dilation and groups, and a 1x1
    convolution with bias and activation. Transposed convolutions alike. A matrix, as of a Dense, of
    a 1x1 convolution, or of an EinsumDense that is a plain product, becomes two: its truncated
    singular value decomposition. A Dense behind a Flatten is taken as the tensor that was
    flattened. Axes of up to three channels, as those of a picture, are not factored, unless a pair
    of ranks says so. Each group of a convolution has factors of its own.

    A stage is left out where that takes fewer weights. A layer stays whole where its chain has no
    fewer weights, and if it is of another type, as a depthwise convolution; `tucker_ranks` says
    what each layer becomes, and why one stays whole. Nothing is trained: train on afterwards.

    With `data`, the error of the layer's *outputs* on these rows counts, in place of that of its
    kernel: `B` has the directions in which the outputs vary most, and `A` those of the inputs that
    matter most for them. Where the outputs of the plain factors are nearer, these are taken. The
    mean error of each output then goes into the bias, if the layer has one. Behind layers without
    one, batch normalizations can be measured again with `fr_keras.interop.calibrate_batch_norm`, if
    the model is not trained on. Take a few hundred rows: with fewer than a layer has inputs, the
    factors may fit these alone.

    Args:
        model: A built functional or sequential model of plain layers. It is not changed.
        ranks: `"evbmf"` finds the rank and the noise of each kernel by empirical variational Bayes.
            In a kernel that was trained only briefly it takes most of what was learnt for noise, so
            its ranks are too small. A number of kernel weights of the whole model (int), or a
            fraction of them (float), is a budget: without `data` all ranks are the same share of
            their axes; with it each axis loses at most the same share of the variance of the
            layer's outputs.
            A dict from layer name to a rank, or a pair `(r_in, r_out)` of the channels in a group,
            factors only these layers; where layers of nested models share a name, it has their
            paths, such as `"left/fc"`.
        data: Representative rows: an array `(rows, *input)`, a dict of arrays by input name, or a
            finite iterable of batches of either. Of `(inputs, labels)` tuples, the inputs are used.

    Returns:
        A plain model that is not compiled. A chain is a model with the name of the layer; its
        stages are `<layer>_in`, `<layer>_core` and `<layer>_out`. Chains that meet at a
        `Concatenate` are joined as those of `fr_keras.bake`.

    Raises:
        ValueError: If no layer can become a chain; if `ranks` names a layer that cannot or is not
            there, has a rank of zero or above the axis, or is a budget that cannot be met; if the
            model has FR layers, no graph, or weights or activations that are not finite; if `data`
            has no rows.

    Example:

    >>> inputs = keras.Input((16, 16, 8))
    >>> x = keras.layers.Conv2D(32, 3, activation="relu", name="conv")(inputs)
    >>> model = keras.Model(inputs, x)
    >>> small = tucker(model, {"conv": (4, 6)})
    >>> [(one.name, tuple(one.kernel.shape)) for one in small.get_layer("conv").layers]
    [('conv_in', (1, 1, 8, 4)), ('conv_core', (3, 3, 4, 6)), ('conv_out', (1, 1, 6, 32))]

    Source: Kim et al., "Compression of deep convolutional neural networks for fast and low power
    mobile applications", ICLR 2016, arXiv 1511.06530; ranks: Nakajima et al., JMLR 14, 2013; the
    directions of outputs: Zhang et al., arXiv 1505.06798, 2015.
    """
    rows = None if data is None else list(batches(model, data))
    found, table, seen = _planned(model, ranks, rows)
    plan = {name: table[name].ranks for name in found if table[name].reason is None}
    _say(ranks, table, plan, found)
    layers = {name: found[name] for name in plan}
    if rows is None:
        factors = {name: _factored(one, plan[name]) for name, one in layers.items()}
        return chained(model, layers, factors, {})
    return chained(model, layers, *_fitted(model, layers, plan, seen, rows))


def tucker_ranks(
    model: keras.Model, ranks: Ranks = "evbmf", data: Iterable | None = None
) -> dict[str, LayerRanks]:
    """Returns what each layer with a kernel becomes in `tucker`, and why one stays whole.

    The arguments and errors are those of `tucker`.

    Example:

    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, name="hidden"),
    ...                           keras.layers.Dense(2, name="logits")])
    >>> for name, one in tucker_ranks(model, {"hidden": 8}).items():
    ...     print(name, one.ranks, one.weights, one.chain_weights, one.reason)
    hidden (64, 8) 2048 768 None
    logits None 64 64 `ranks` does not name it
    """
    return _planned(model, ranks, None if data is None else list(batches(model, data)))[1]


def _planned(
    model: keras.Model, ranks: Ranks, rows: list | None
) -> tuple[dict[str, Linear], dict[str, LayerRanks], dict[str, Statistics] | None]:
    """The layers that could be chains, what all become, and how they vary on rows."""
    found, others = found_layers(model)
    checked = checked_ranks(found, ranks)
    asked = {n: found[n] for n in (checked if isinstance(checked, Mapping) else found)}
    seen = None if rows is None else statistics(model, asked, rows)
    chosen = chosen_ranks(model, found, checked, seen)
    table = {name: described(one, chosen.get(name)) for name, one in found.items()}
    return found, {**table, **others}, seen


def _say(ranks: Ranks, table: dict[str, LayerRanks], plan: dict, found: dict[str, Linear]) -> None:
    """Warns of layers that were asked for and stay whole, and of approximations."""
    asked = ranks if isinstance(ranks, Mapping) else table if ranks == "evbmf" and not plan else ()
    whole = [f"'{name}' because {table[name].reason}" for name in asked if name not in plan]
    if whole:
        warnings.warn(f"these layers stay whole: {'; '.join(whole)}.", stacklevel=3)
    drawn = [name for name in plan if is_randomized(found[name].shape[1:])]
    if drawn:
        warnings.warn(
            f"the kernels of {drawn} have two sides longer than {LONGEST}: their ranks and factors "
            "are approximated by a randomized decomposition, which takes less memory.",
            stacklevel=3,
        )


def _factored(one: Linear, ranks: tuple[int, int], seen: Statistics | None = None) -> list[Factors]:
    """The factors of each group."""
    kernel = one.kernel()
    if seen is None:
        return [tucker2(group, ranks) for group in kernel]
    ends = ([None] * len(kernel) if end is None else end for end in (seen.roots, seen.outputs))
    return [fitted(group, ranks, *both) for group, *both in zip(kernel, *ends, strict=True)]


def _fitted(
    model: keras.Model, layers: dict[str, Linear], plan: dict, seen: dict, rows: list
) -> tuple[dict[str, list[Factors]], dict[str, np.ndarray | None]]:
    """The factors with the least error on rows, and what their biases have to take."""
    choices, missing = {}, {}
    for name, one in layers.items():
        choices[name] = [_factored(one, plan[name])]
        if name in seen:
            choices[name].append(_factored(one, plan[name], seen[name]))
        kernel = one.kernel()
        missing[name] = [kernel - _kernel(found) for found in choices[name]]
    errors = output_errors(model, layers, missing, rows)
    best = {name: int(np.argmin([error for error, _ in found])) for name, found in errors.items()}
    factors = {name: choices[name][number] for name, number in best.items()}
    return factors, {n: errors[n][number][1] for n, number in best.items()}


def _kernel(factors: list[Factors]) -> np.ndarray:
    return np.stack([one.kernel() for one in factors])
