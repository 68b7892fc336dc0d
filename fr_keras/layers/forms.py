"""The forms in which an FR layer is written as plain Keras layers, and how one is chosen."""

from collections.abc import Callable

from fr_keras.layers import Chain, FactoredKernel

#: Chooses the chain of a layer for the corner that it keeps now.
Chooser = Callable[[FactoredKernel], Chain]

WHOLE = ("core",)

# The cost that the chosen chain minimizes, by form; on a tie it is the chain with fewer stages.
_COSTS = {
    "dense": lambda chain: len(chain.roles),
    "factored": lambda chain: (chain.roles == WHOLE, chain.multiply_adds, len(chain.roles)),
    "auto": lambda chain: (chain.multiply_adds * chain.weights, len(chain.roles)),
}


def chooser(form: str) -> Chooser:
    """Returns the function that chooses the chain of each layer.

    Args:
        form: `"dense"`: the whole kernel; `"factored"`: the chain of two or three stages with the
            fewest multiply-adds; `"auto"`: the whole kernel or a chain, whichever has the
            smallest product of multiply-adds and weights.

    Raises:
        ValueError: If the form is unknown.
    """
    if form not in _COSTS:
        raise ValueError(f"`form` must be one of {tuple(_COSTS)}. Received: form={form!r}")
    return lambda layer: min(layer.chains(layer.corner), key=_COSTS[form])
