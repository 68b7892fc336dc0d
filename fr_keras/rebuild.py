"""One walk over a Keras model that exchanges layers and carries the weights across.

`regularize` and `bake` are this walk with different exchanges.
"""

from collections.abc import Callable, Iterator

import keras
import numpy as np

from fr_keras.layers import FrequencyKernel

#: Given a layer, the layer that takes its place and is not built yet; `None` keeps a copy.
Exchange = Callable[[keras.layers.Layer], keras.layers.Layer | None]


def rebuild(model: keras.Model, exchange: Exchange) -> keras.Model:
    """Returns a copy of `model` with some layers exchanged and every weight carried across.

    Names, topology and `trainable` flags stay. The copy is not compiled.

    Args:
        model: A built functional or sequential model.
        exchange: Says which layer takes a layer's place.

    Raises:
        ValueError: If the model has no functional graph, is not built, or holds a weight that
            is not finite.
    """
    check_graph(model)
    pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def clone(layer):
        twin = exchange(layer) or type(layer).from_config(layer.get_config())
        pairs.append((layer, twin))
        return twin

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    for layer, twin in pairs:
        _carry(layer, twin)
    return copy


def check_graph(model: keras.Model) -> None:
    """Raises a ValueError if `model` is unbuilt or has no graph of layers."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}")
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            "`model` must be built: give it a keras.Input or call `model.build(input_shape)`. "
            f"Received: unbuilt Sequential '{model.name}'"
        )
    if not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be sequential or functional: a subclassed model has no graph of layers "
            "to walk. Rebuild it with keras.Model(inputs, outputs). "
            f"Received: {type(model).__name__} '{model.name}'"
        )


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields every layer once, nested models and wrapped layers taken apart."""
    seen: set[int] = set()
    stack = list(model.layers)
    while stack:
        layer = stack.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        inner = list(getattr(layer, "layers", []))
        if isinstance(layer, keras.layers.Wrapper):
            inner = [layer.layer]
        if inner:
            stack = inner + stack
        else:
            yield layer


def frequency_layers(model: keras.Model) -> list[FrequencyKernel]:
    """Returns the layers of `model` whose kernels live in the DCT domain."""
    return [layer for layer in all_layers(model) if isinstance(layer, FrequencyKernel)]


def _carry(layer: keras.layers.Layer, twin: keras.layers.Layer) -> None:
    """Sets the weights of `twin` from `layer`, through the kernel where their domains differ."""
    for weight in layer.weights:
        value = keras.ops.convert_to_numpy(weight)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise ValueError(
                f"`model` must have finite weights: '{weight.path}' of layer '{layer.name}' holds "
                f"{np.count_nonzero(~np.isfinite(value))} NaN or infinite of {value.size} values."
            )
    if isinstance(layer, FrequencyKernel) == isinstance(twin, FrequencyKernel):
        twin.set_weights(layer.get_weights())
        return
    kernel = keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32"))
    if isinstance(twin, FrequencyKernel):
        twin.set_kernel(kernel)
    else:
        twin.kernel.assign(kernel)
    if layer.use_bias:
        twin.bias.assign(layer.bias)
