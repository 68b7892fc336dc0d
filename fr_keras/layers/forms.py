"""The forms in which an FR layer is written down as plain Keras, and how one is chosen."""

from collections.abc import Callable

from fr_keras.layers import Chain, FactoredKernel

#: Picks the chain of a layer from the corner that it keeps now.
Chooser = Callable[[FactoredKernel], Chain]

WHOLE = ("core",)

# The chain that costs least, by form; of equal ones that of fewer stages.
_COSTS = {
    "dense": lambda chain: len(chain.roles),
    "factored": lambda chain: (chain.roles == WHOLE, chain.multiply_adds, len(chain.roles)),
    "auto": lambda chain: (chain.multiply_adds * chain.weights, len(chain.roles)),
}


def chooser(form: str) -> Chooser:
    """Returns what picks the chains of a form.

    Args:
        form: `"dense"`: the whole kernel; `"factored"`: the chain of two stages or three with the
            fewest multiply-adds; `"auto"`: the whole kernel or a chain, whichever has the
            smallest product of multiply-adds and weights.

    Raises:
        ValueError: If the form is unknown.
    """
    if form not in _COSTS:
        raise ValueError(f"`form` must be one of {tuple(_COSTS)}. Received: form={form!r}")
    return lambda layer: min(layer.chains(layer.corner), key=_COSTS[form])
