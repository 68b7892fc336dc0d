"""The layers of a model that can become chains, and the ranks and weights of a chain."""

import dataclasses
import math

import keras

from fr_keras.methods._chain_costs import Cost
from fr_keras.methods._linear import Linear
from fr_keras.methods._linear_kinds import linear
from fr_keras.models.walk import check_finite, input_shapes, named_layers


@dataclasses.dataclass(frozen=True)
class LayerRanks:
    """What a layer becomes in `tucker`; `tucker_ranks` returns it.

    Attributes:
        ranks: The ranks of its input and its output channels; an axis that is not factored has its
            whole length. Those of an FR layer that keeps its cosines are the ranks of its kernel.
            `None` if the layer stays whole.
        weights: The number of its kernel weights.
        chain_weights: The number of kernel weights of its chain, or the same if it stays whole.
        reason: Why it stays whole; `None` if it becomes a chain.
        cosines: Whether it is an FR layer that becomes its chain of cosines.
    """

    ranks: tuple[int, int] | None
    weights: int
    chain_weights: int
    reason: str | None
    cosines: bool = False


def found_layers(model: keras.Model) -> tuple[dict[str, Linear], dict[str, LayerRanks]]:
    """Returns the layers that could be chains by name, and the others that have kernels.

    Raises:
        ValueError: If the model has no such layer, or a weight is not finite.
    """
    shapes, factorable, others = input_shapes(model), {}, {}
    for name, layer in named_layers(model).items():
        kernels = [math.prod(one.shape) for one in layer.weights if len(one.shape) > 1]
        if not kernels:
            continue
        check_finite(layer)
        one = linear(layer, shapes[id(layer)])
        if isinstance(one, str):
            others[name] = LayerRanks(None, sum(kernels), sum(kernels), one)
        else:
            factorable[name] = one
    if not factorable:
        reasons = "; ".join(f"'{name}' because {one.reason}" for name, one in others.items())
        raise ValueError(
            "`model` must have a layer that can become a chain: a convolution, a dense layer or an "
            f"einsum that is a matrix product. Received: {reasons or 'no layer with a kernel'}"
        )
    return factorable, others


def described(one: Linear, cost: Cost, unit: str, ranks: tuple[int, int] | None) -> LayerRanks:
    """Returns what a layer becomes with these ranks; `None` if it was not to be factored."""
    before, whole, cosines = math.prod(one.shape), one.shape[2:], cost.cosines
    if cosines and (ranks is None or cosines.cost <= cost(cost.smallest(cost.limited(ranks)))):
        if cosines.is_whole:
            reason = f"its chain of cosines would have no fewer {unit}"
            return LayerRanks(None, before, before, reason)
        return LayerRanks(cosines.limit, before, cosines.chain.weights, None, cosines=True)
    if ranks is None:
        return LayerRanks(None, before, before, "`ranks` does not name it")
    small = cost.smallest(cost.limited(ranks))
    if small == whole:
        reason = f"its chain of ranks {ranks} would have no fewer {unit}"
        return LayerRanks(None, before, before, reason)
    return LayerRanks(small, before, Cost(one.shape)(small), None)
