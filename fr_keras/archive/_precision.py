"""How precisely an archive holds each layer."""

from collections.abc import Iterable, Mapping

#: One number for all layers, or a dict from layer name to number.
Precision = float | Mapping[str, float]

# Steps relative to the norm give every kernel the same error. On trained networks this took fewer
# bytes, at the same error of the output, than steps relative to the root mean square. These
# defaults keep the function; a search uses coarser ones, because it measures their effect.
STEP = 0.0003
ERROR = 0.0005
KERNEL_ERROR = 0.01  # about the error of int8 numbers with a scale for each channel
_LEAST = 1e-6


def by_layer(
    argument: str, given: Precision, names: Iterable[str], usual: float
) -> dict[str, float]:
    """Returns the number of each layer.

    Args:
        argument: The name of the argument in error messages.
        given: One number for all layers, or numbers by layer name.
        names: The names of the layers.
        usual: The number of layers that `given` does not name.

    Raises:
        ValueError: If a number is out of range, or a name does not belong to a layer.

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
            f"`{argument}` must name only layers that it applies to: {', '.join(names)}. Received: "
            f"{', '.join(unknown)}"
        )
    return {name: _checked(f"{argument}['{name}']", given.get(name, usual)) for name in names}


def _checked(argument: str, value: float) -> float:
    if not _LEAST <= value <= 1:
        raise ValueError(
            f"`{argument}` must be a relative number from {_LEAST}, about the precision of "
            f"float32, to 1. Received: {argument}={value}"
        )
    return value
