"""`tucker`: a trained network with its kernels as chains of smaller ones."""

import warnings
from collections.abc import Iterable, Mapping

import keras

from fr_keras.methods._chain_costs import Costs
from fr_keras.methods._chained import chained
from fr_keras.methods._cosines import without_twins
from fr_keras.methods._fitting import factored, nearest
from fr_keras.methods._layer_ranks import LayerRanks, described, found_layers
from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import statistics
from fr_keras.methods._ranks import Candidates, Ranks, check_sharing, checked_ranks, chosen_ranks
from fr_keras.methods._rows import batches
from fr_keras.methods._tucker2 import LONGEST, is_randomized


def tucker(
    model: keras.Model,
    ranks: Ranks = "evbmf",
    data: Iterable | None = None,
    sharing: str = "error",
    measure: str = "weights",
) -> keras.Model:
    """Returns a smaller copy of a trained model, with kernels as chains of smaller ones.

    A kernel `(k, s, t)` of `k` positions, `s` input and `t` output channels is replaced by

        K[i] = A @ C[i] @ B,    A (s, r_in), C (k, r_in, r_out), B (r_out, t):

    a 1x1 convolution, the convolution with stride, padding, dilation and groups, and a 1x1
    convolution with bias and activation. Transposed convolutions alike. A matrix, as of a Dense, of
    a 1x1 convolution, or of an EinsumDense that is a plain product, becomes two: its truncated
    singular value decomposition. A Dense behind a Flatten is taken as the tensor that was
    flattened. Axes of up to three channels, as those of a picture, are not factored, unless a pair
    of ranks says so. Each group of a convolution has factors of its own.

    A stage is left out where that takes fewer weights, or multiply-adds if these are the `measure`.
    A layer stays whole where its chain has no fewer, and if it is of another type, as a depthwise
    convolution; `tucker_ranks` says what each layer becomes, and why one stays whole. Nothing is
    trained: train on afterwards.

    With `data`, the error of the layer's *outputs* on these rows counts, in place of that of its
    kernel: `B` has the directions in which the outputs vary most, and `A` those of the inputs that
    matter most for them. Where the outputs of the plain factors are nearer, these are taken. The
    mean error of each output then goes into the bias, if the layer has one. Behind layers without
    one, batch normalizations can be measured again with `fr_keras.interop.calibrate_batch_norm`, if
    the model is not trained on. Take a few hundred rows: with fewer than a layer has inputs, the
    factors may fit these alone.

    **FR layers** may be among the plain ones. One that is a convolution, a dense layer or a matrix
    product becomes the chain of cosines that it is at its corner, which has no error, unless learnt
    factors of the ranks that it gets cost less; singular vectors have a smaller error than as many
    cosines. Its ranks are never above its corner. A fraction is of what the model would have with
    whole kernels. FR layers of other kinds become plain layers with whole kernels.

    Args:
        model: A built functional or sequential model. It is not changed.
        ranks: `"evbmf"` finds the rank and the noise of each kernel by empirical variational Bayes.
            In a kernel that was trained only briefly it takes most of what was learnt for noise, so
            its ranks are too small. A number (int), or a fraction of what the whole model has
            (float), is a budget of kernel weights, or of what `measure` counts, and the layers
            share it as `sharing` says.
            A dict from layer name to a rank, or a pair `(r_in, r_out)` of the channels in a group,
            gives learnt factors to these layers only; where layers of nested models share a name,
            it has their paths, such as `"left/fc"`.
        data: Representative rows: an array `(rows, *input)`, a dict of arrays by input name, or a
            finite iterable of batches of either. Of `(inputs, labels)` tuples, the inputs are used.
        sharing: How the layers share a budget. `"error"`: it is spent where it buys most, so that
            the sum of the layers' errors is small; the error of a layer is the share of its outputs
            that it loses, or without `data` that of its kernel. `"sensitivity"`: the same with the
            change of the *model's* outputs on `data` when that layer alone is cut. It is measured
            at up to four ranks of each layer, which takes as many passes of all rows. `"equal"`:
            without `data` all ranks are the same share of their axes; with it each axis loses at
            most the same share of the variance of the layer's outputs.
        measure: What is counted, as in `fr_keras.summary`: `"weights"` of kernels, or
            `"multiply_adds"`, of which early layers, and the stages that run at a larger
            resolution, have many.

    Returns:
        A plain model that is not compiled. A chain is a model with the name of the layer; its
        stages are `<layer>_in`, `<layer>_core` and `<layer>_out`. Chains that meet at a
        `Concatenate` are joined as those of `fr_keras.bake`.

    Raises:
        ValueError: If no layer can become a chain; if `ranks` names a layer that cannot or is not
            there, has a rank of zero or above the axis, or is a budget that cannot be met; if the
            model has no graph, or weights or activations that are not finite; if `data` has no
            rows; if `sharing` is unknown or needs `data`; if `measure` is unknown, or the
            multiply-adds of a layer are.

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
    found, table = _planned(model, ranks, data, sharing, measure)
    chains = {name: table[name] for name in found.layers if table[name].reason is None}
    plan = {name: one.ranks for name, one in chains.items() if not one.cosines}
    layers = {name: found.layers[name] for name in plan}
    _say(ranks, table, chains, layers)
    if found.rows is None:
        factors, shifts = {name: factored(one, plan[name]) for name, one in layers.items()}, {}
    else:
        factors, shifts = nearest(found.model, layers, plan, found.seen, found.rows)
    stages = {
        name: found.costs.of[name].cosines.stages()
        if one.cosines
        else layers[name].stages(factors[name])
        for name, one in chains.items()
    }
    return chained(found.model, stages, shifts)


def tucker_ranks(
    model: keras.Model,
    ranks: Ranks = "evbmf",
    data: Iterable | None = None,
    sharing: str = "error",
    measure: str = "weights",
) -> dict[str, LayerRanks]:
    """Returns what each layer with a kernel becomes in `tucker`, and why one stays whole.

    The arguments and errors are those of `tucker`, which takes a dict of these ranks: a budget that
    takes long to share need not be shared twice.

    Example:

    >>> import fr_keras
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, name="hidden"),
    ...                           keras.layers.Dense(2, name="logits")])
    >>> for name, one in tucker_ranks(model, {"hidden": 8}).items():
    ...     print(name, one.ranks, one.weights, one.chain_weights, one.reason)
    hidden (64, 8) 2048 768 None
    logits None 64 64 `ranks` does not name it
    >>> table = tucker_ranks(model, 0.5)
    >>> small = tucker(model, {name: one.ranks for name, one in table.items() if one.ranks})

    Of two layers, one is an FR layer:

    >>> twin = fr_keras.regularize(model, include="hidden")
    >>> twin.get_layer("hidden").truncate(60)
    >>> for name, one in tucker_ranks(twin, 0.5).items():
    ...     print(name, one.ranks, one.chain_weights, one.cosines)
    hidden (64, 10) 960 True
    logits None 64 False
    """
    return _planned(model, ranks, data, sharing, measure)[1]


def _planned(
    model: keras.Model, ranks: Ranks, data: Iterable | None, sharing: str, measure: str
) -> tuple[Candidates, dict[str, LayerRanks]]:
    """The layers that could be chains, and what all layers become."""
    model, twins = without_twins(model)
    found, others = found_layers(model)
    checked = checked_ranks(found, ranks)
    check_sharing(sharing, checked, data is not None)
    costs = Costs.counted(model, found, measure, twins)
    asked = {n: found[n] for n in (checked if isinstance(checked, Mapping) else found)}
    rows = None if data is None else list(batches(model, data))
    seen = None if rows is None else statistics(model, asked, rows)
    candidates = Candidates(model, found, costs, rows, seen)
    chosen = chosen_ranks(candidates, checked, sharing)
    table = {
        name: described(one, costs.of[name], costs.unit, chosen.get(name))
        for name, one in found.items()
    }
    return candidates, {**table, **others}


def _say(
    ranks: Ranks, table: dict[str, LayerRanks], chains: Mapping, learnt: dict[str, Linear]
) -> None:
    """Warns of layers that were asked for and stay whole, and of approximations."""
    none = ranks == "evbmf" and not chains
    asked = ranks if isinstance(ranks, Mapping) else table if none else ()
    whole = [f"'{name}' because {table[name].reason}" for name in asked if name not in chains]
    if whole:
        warnings.warn(f"these layers stay whole: {'; '.join(whole)}.", stacklevel=3)
    drawn = [name for name, one in learnt.items() if is_randomized(one.shape[1:])]
    if drawn:
        warnings.warn(
            f"the kernels of {drawn} have two sides longer than {LONGEST}: their ranks and factors "
            "are approximated by a randomized decomposition, which takes less memory.",
            stacklevel=3,
        )
