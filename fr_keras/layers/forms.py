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


def whole(layer: FactoredKernel) -> Chain:
    """Returns the form of a layer that is its whole kernel."""
    return next(one for one in layer.chains(layer.corner) if one.roles == WHOLE)


def chooser(form: str, size: Callable[[Chain], float] | None = None) -> Chooser:
    """Returns the function that chooses the chain of each layer.

    Args:
        form: `"dense"`: the whole kernel; `"factored"`: the chain of two or three stages with the
            fewest multiply-adds; `"auto"`: the whole kernel or a chain, whichever has the
            smallest product of multiply-adds and weights.
        size: The bytes of a chain in a file. If given, `"auto"` takes no chain that is larger than
            the whole kernel.

    Raises:
        ValueError: If the form is unknown.
    """
    if form not in _COSTS:
        raise ValueError(f"`form` must be one of {tuple(_COSTS)}. Received: form={form!r}")

    def choose(layer: FactoredKernel) -> Chain:
        chains = layer.chains(layer.corner)
        if form == "auto" and size is not None:
            most = size(whole(layer))
            chains = [one for one in chains if size(one) <= most]
        return min(chains, key=_COSTS[form])

    return choose
