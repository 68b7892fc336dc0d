"""The calls of layers in a model: what Keras calls nodes."""

from collections.abc import Iterator

import keras


def nodes(model: keras.Model) -> list:
    """Returns the calls of a functional or sequential model, each behind what it takes.

    Calls inside of inner models are theirs.
    """
    # No public name gives the calls of one model alone: a layer knows those of all models.
    by_depth = (getattr(model, "_functional", None) or model)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


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
    """Returns what a layer, or a `TimeDistributed`, calls."""
    while isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    return layer
