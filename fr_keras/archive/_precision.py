"""How exactly an archive holds each layer."""

from collections.abc import Iterable, Mapping

#: One number for all layers, or a dict from layer name to its own.
Precision = float | Mapping[str, float]

# Steps relative to the norm spend the same error on every kernel. On trained networks that took
# fewer bytes at the same error of the output than steps relative to the root mean square. These
# keep the function; those of a search are coarser, for it measures what they do.
STEP = 0.0003
ERROR = 0.0005
_LEAST = 1e-6


def by_layer(
    argument: str, given: Precision, names: Iterable[str], usual: float
) -> dict[str, float]:
    """Returns the number of each layer.

    Args:
        argument: What it is called in errors.
        given: One number for all, or some by name.
        names: The layers.
        usual: Of those that `given` does not name.

    Raises:
        ValueError: If a number is not relative, or a name is no layer's.

    Example:

    >>> by_layer("step", {"conv": 0.01}, ["conv", "dense"], usual=0.0003)
    {'conv': 0.01, 'dense': 0.0003}
    """
    names = list(names)
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, _checked(argument, given))
    unknown = sorted({*given} - {*names})
    if unknown:
        raise ValueError(
            f"`{argument}` must name layers that it is for: {', '.join(names)}. Received besides: "
            f"{', '.join(unknown)}"
        )
    return {name: _checked(f"{argument}['{name}']", given.get(name, usual)) for name in names}


def _checked(argument: str, value: float) -> float:
    if not _LEAST <= value <= 1:
        raise ValueError(
            f"`{argument}` is relative: from {_LEAST}, what float32 resolves, to 1. "
            f"Received: {argument}={value}"
        )
    return value
