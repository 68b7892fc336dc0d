"""The models inside a model."""

from collections.abc import Iterator

import keras


def graphs(model: keras.Model) -> Iterator[keras.Model]:
    """Yields a model and every model that it calls, each once."""
    seen, stack = set(), [model]
    while stack:
        one = stack.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [opened(layer) for layer in one.layers]
        stack += [layer for layer in inner if isinstance(layer, keras.Model)]


def opened(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns the layer inside a `TimeDistributed`; any other layer is returned as it is."""
    while isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    return layer
