"""Kernels whose smallest weights are zero, and which kernels of a model can be such."""

import math
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from fr_keras._backends import exact_type
from fr_keras.layers import TWINS
from fr_keras.models.budget import Keep
from fr_keras.models.twins import flattened_axes
from fr_keras.models.walk import check_exact, check_graph, frequency_layers, plain_kernels


class PrunedKernel:
    """A kernel, and which of its weights are kept; `budget.targets` takes it."""

    axis_weights = None
    target: int

    def __init__(self, layer: keras.layers.Layer, kernel: keras.Variable):
        self.kernel = kernel
        self.size = self.kept = math.prod(kernel.shape)
        flattened = flattened_axes(layer) if type(layer) is keras.layers.Dense else None
        self.spectrum_shape = (*(flattened or kernel.shape[:-1]), kernel.shape[-1])
        self._mask = None

    def cut(self, kept: int) -> None:
        """Keeps only the largest of the weights that were kept until now."""
        if kept >= self.kept:
            return
        exact = exact_type(self.kernel.dtype)
        sizes = ops.convert_to_numpy(ops.abs(ops.cast(self.kernel, exact)))
        if self._mask is not None:
            sizes = np.where(ops.convert_to_numpy(self._mask), sizes, -1.0)
        self.kept = kept
        self._mask = ops.convert_to_tensor(largest(sizes, kept))

    def zero(self) -> None:
        """Sets the other weights to zero: an optimizer with momentum has moved them."""
        if self._mask is not None:
            self.kernel.assign(ops.where(self._mask, ops.convert_to_tensor(self.kernel), 0.0))

    def is_cut(self) -> bool:
        """Whether the other weights are zero."""
        if self._mask is None:
            return True
        others = ops.logical_and(ops.not_equal(self.kernel, 0), ops.logical_not(self._mask))
        return not bool(ops.any(others))


def largest(sizes: np.ndarray, kept: int) -> np.ndarray:
    """Returns the mask of the `kept` largest numbers: the first of equal ones, and NaN as infinite.

    Example:

    >>> largest(np.array([1.0, 3.0, 1.0, 2.0]), 3)
    array([ True,  True, False,  True])
    """
    sizes = np.where(np.isnan(sizes), np.inf, sizes)
    least = np.partition(sizes, sizes.size - kept, axis=None)[sizes.size - kept]
    mask = sizes > least
    equal = np.flatnonzero(sizes == least)[: kept - np.count_nonzero(mask)]
    mask.flat[equal] = True
    return mask


def prunable(model: keras.Model, keep: Keep) -> dict[str, PrunedKernel]:
    """Returns the trainable kernels by name, all kept.

    Raises:
        ValueError: If the model has no graph, FR layers, no trainable kernel, or LoRA in a layer
            that `keep` prunes.
    """
    check_graph(model)
    if twins := frequency_layers(model):
        raise ValueError(
            "`model` must have plain layers only: FR layers hold coefficients, which "
            "`fr_keras.TailTruncation` cuts. To prune weights, train the plain model, or that of "
            f"`fr_keras.bake(model)`. Received: layer '{twins[0].name}'"
        )
    check_exact(
        model,
        "because their levels would take the place of the zeros: prune first, or give "
        "`fr_keras.bake(model)` to let the levels go",
    )
    found = {}
    for name, (layer, kernel) in plain_kernels(model).items():
        if isinstance(kernel, keras.Variable):
            if kernel.trainable:
                found[name] = PrunedKernel(layer, kernel)
        elif layer.trainable and (not isinstance(keep, Mapping) or name in keep):
            raise ValueError(
                "`model` must not have LoRA in a layer that is pruned, because it would fill the "
                "zeros: prune first, or give `keep` as a dict without the layer. Received: layer "
                f"'{name}' with LoRA"
            )
    if not found:
        raise ValueError(
            "`model` must have a trainable kernel to prune, of a layer of type "
            f"{sorted(kind.__name__ for kind in TWINS)}. Received: {[x.name for x in model.layers]}"
        )
    return found
