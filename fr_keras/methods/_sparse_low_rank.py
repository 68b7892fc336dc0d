"""`sparse_low_rank`: layers as a chain of two for the low rank of a kernel, beside a sparse one."""

import warnings
from collections.abc import Mapping

import keras
import numpy as np

from fr_keras.layers import FrequencyTwin
from fr_keras.methods._magnitude import MagnitudePruning
from fr_keras.methods._split_choice import cost
from fr_keras.methods._split_keep import KeepSplit, splits
from fr_keras.methods._split_layers import KINDS, as_matrix, fill_split, split_layer, unsplittable
from fr_keras.methods._splits import Split
from fr_keras.models.walk import (
    carry,
    check_exact,
    check_finite,
    check_graph,
    frequency_layers,
    input_shapes,
    named_layers,
    plain_kernels,
    rebuild_by,
)


def sparse_low_rank(model: keras.Model, keep: KeepSplit, sparse: bool = True) -> keras.Model:
    """Returns a model whose kernels are the sum of a low-rank and a sparse part.

    A kernel `(kh, kw, in, out)` is read as the matrix `W` with `kh * kw * in` rows and `out`
    columns, that of a Dense as it is, and

        W = first @ last + S + error,

    where `first` has `rank` columns and `S` is zero but for some entries. The layer becomes a small
    `keras.Model` of the same name, made of plain layers: `<layer>_core` is the layer with `first`
    as its kernel, so with `rank` filters and its strides and padding; `<layer>_out` is 1x1 with
    `last`; beside them `<layer>_sparse` is the layer with the kernel `S`, and `<layer>_sum` adds
    both. Without entries, or with `sparse=False`, there is only the chain of two.

    A split counts `rank * (rows + columns)` numbers and 2 for each entry, a value and its place.
    **The entries save bytes only under gzip or another coder, and cost time**: the kernel `S` has
    its full size in a plain file, is computed in full, and zeros make nothing faster ("Patterns of
    zeros" in `docs/results.md`). For speed, take `sparse=False`.

    Each step of a split takes the eigenvectors of the smaller of both Gram matrices, and there are
    dozens to hundreds of steps: a kernel with thousands of rows and columns takes long.

    Layers stay whole where a split does not count fewer numbers than the kernel, and a warning says
    which and why. Convolutions in groups, layers with a constraint on the kernel, with LoRA or with
    a quantized dtype always stay. Other kinds of layers are copied. Regularizers of kernels go to
    each new kernel. The weights are a start: train on. With a sparse part, give `fit` the callback
    `keep_zeros(model)`, or the zeros of `S` become other numbers.

    Args:
        model: A built functional or sequential model of plain layers, trained. It is not changed.
        keep: Which split each kernel gets:
            a fraction (float) or a count (int), the usual choice: the numbers that all kernels
            together keep, the same share of each, at least a rank of 1; the algorithm GoDec divides
            them between both parts;
            `"criterion"`: no budget, but the rank and the entries with the least extended Bayesian
            information criterion; it cuts too much where the singular values fall slowly;
            `"pursuit"`: no budget either, but robust principal component pursuit, which leaves no
            error and so often saves nothing; then the layer stays whole;
            a dict from the name of a layer to a fraction, a count, or `(rank, entries)`; other
            layers stay as they are.
        sparse: Whether there may be a sparse part. Without, the low-rank part is the best one of
            its rank, which is nearer to the kernel than that of the split.

    Returns:
        A model of plain layers that is not compiled.

    Raises:
        ValueError: If `keep` is out of range, names a layer that is not there, has a rank above an
            axis, or is below rank 1; if the model has no layer to split, FR layers, no graph, or
            weights that are not finite.

    Example:

    >>> model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(30, name="fc")])
    >>> small = sparse_low_rank(model, {"fc": (5, 20)})
    >>> [layer.name for layer in small.get_layer("fc").layers[1:]]
    ['fc_core', 'fc_out', 'fc_sparse', 'fc_sum']
    >>> int(np.count_nonzero(small.get_layer("fc").get_layer("fc_sparse").kernel))
    20

    Source: Yu et al., "On Compressing Deep Models by Low Rank and Sparse Decomposition", CVPR 2017.
    Pursuit: Candès et al., Journal of the ACM 2011, arXiv 0912.3599. GoDec: Zhou and Tao, ICML
    2011. Criterion: Chen and Chen, Biometrika 2008.
    """
    matrices, reasons = _matrices(model)
    if isinstance(keep, Mapping):
        asked = {name: reason for name, reason in reasons.items() if name in keep}
        if asked:
            raise ValueError(
                f"`keep` must name layers that can be split: {sorted(matrices)}. Received: "
                + "; ".join(f"'{name}', but {reason}" for name, reason in asked.items())
            )
        reasons = {}
    found = {}
    for name, split in splits(matrices, keep, sparse):
        reason = _does_not_pay(matrices[name].shape, split)
        if reason:
            reasons[name] = reason
        else:
            found[name] = split
    if reasons:
        whole = "; ".join(f"'{name}' because {reason}" for name, reason in reasons.items())
        warnings.warn(f"these layers stay whole: {whole}.", stacklevel=2)
    return _rebuilt(model, found)


def keep_zeros(model: keras.Model) -> MagnitudePruning:
    """Returns the callback under which the kernels of a model train without their zeros.

    It is for kernels that were made sparse before, as by `sparse_low_rank`.

    Args:
        model: A built functional or sequential model of plain layers.

    Raises:
        ValueError: If no trainable kernel has both zeros and other numbers, such as after
            `sparse_low_rank(..., sparse=False)`.

    Example:

    >>> model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(30, name="fc")])
    >>> small = sparse_low_rank(model, {"fc": (5, 20)})
    >>> keep_zeros(small).keep
    {'fc_sparse': 20}
    """
    check_graph(model)
    kernels = {
        name: keras.ops.convert_to_numpy(keras.ops.cast(kernel, "float32"))
        for name, (_, kernel) in plain_kernels(model).items()
        if isinstance(kernel, keras.Variable) and kernel.trainable
    }
    kept = {name: int(np.count_nonzero(one)) for name, one in kernels.items()}
    kept = {name: count for name, count in kept.items() if 0 < count < kernels[name].size}
    if not kept:
        raise ValueError(
            "`model` must have a trainable kernel with zeros among its numbers, whose zeros are to "
            f"stay. Received: '{model.name}' without one"
        )
    return MagnitudePruning(kept, epochs=1)


def _matrices(model: keras.Model) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The kernels that can be split, as matrices, and why others of their kinds cannot."""
    check_graph(model)
    if twins := frequency_layers(model):
        raise ValueError(
            "`model` must have plain layers only: `fr_keras.bake(model)` gives them. Received: FR "
            f"layer '{twins[0].name}'"
        )
    check_exact(
        model, "because their levels would be lost: give `fr_keras.bake(model)` to let them go"
    )
    layers = {name: x for name, x in named_layers(model).items() if type(x) in KINDS}
    matrices, reasons, shapes = {}, {}, input_shapes(model)
    for name, layer in layers.items():
        check_finite(layer)
        reason = unsplittable(layer, shapes[id(layer)])
        if reason:
            reasons[name] = reason
        else:
            matrices[name] = as_matrix(layer)
    if not matrices:
        kinds = sorted(kind.__name__ for kind in KINDS)
        raise ValueError(
            f"`model` must have a layer to split, of type {kinds}. Received: {reasons or 'none'}"
        )
    return matrices, reasons


def _does_not_pay(shape: tuple[int, int], split: Split) -> str | None:
    if not split.rank:
        return "its low-rank part is zero"
    counted = cost(shape, split.rank, split.entries)
    if counted < shape[0] * shape[1]:
        return None
    return (
        f"rank {split.rank} and {split.entries} entries count {counted:,} of its "
        f"{shape[0] * shape[1]:,} numbers"
    )


def _rebuilt(model: keras.Model, found: dict[str, Split]) -> keras.Model:
    layers, shapes = named_layers(model), input_shapes(model)
    parts = {id(layers[name]): split for name, split in found.items()}

    def exchange(layer):
        split = parts.get(id(layer))
        return split and split_layer(layer, split, shapes[id(layer)])

    def fill(layer, twin):
        if id(layer) in parts:
            fill_split(layer, twin, parts[id(layer)])
        else:
            carry(layer, twin, FrequencyTwin.fill_plain)

    return rebuild_by(model, exchange, fill)[0]
