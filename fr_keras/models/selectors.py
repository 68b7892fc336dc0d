"""Ways to say which layers of a model are meant."""

from collections.abc import Callable, Iterable, Sequence

import keras

#: A name, a layer class, a predicate `layer -> bool`, or a list of these.
Selector = (
    str
    | type[keras.layers.Layer]
    | Callable[[keras.layers.Layer], bool]
    | Sequence["Selector"]
    | None
)


def matches(selector: Selector, name: str, layer: keras.layers.Layer) -> bool:
    """Whether a selector that is not `None` means a layer of that name."""
    if isinstance(selector, str):
        return name == selector
    if isinstance(selector, type):
        return isinstance(layer, selector)
    if callable(selector):
        return bool(selector(layer))
    return any(matches(one, name, layer) for one in selector)


def names(selector: Selector) -> list[str]:
    """Returns the names that a selector has."""
    if isinstance(selector, str):
        return [selector]
    if selector is None or callable(selector):
        return []
    return [name for one in selector for name in names(one)]


def check_names(argument: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises a ValueError if an argument names a layer that is not known."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(
            f"`{argument}` must name layers of the model, with paths where layers of nested models "
            f"share a name: {sorted(known)}. Received: {unknown}"
        )
