"""`bake`: turns FR layers and quantized layers back into plain Keras layers."""

from collections.abc import Iterable

import keras

from fr_keras._backends import assign_copy
from fr_keras.layers import (
    FactoredKernel,
    FRBatchNormalization,
    FrequencyTwin,
    QuantizedKernel,
    plain_class,
)
from fr_keras.layers.forms import WHOLE, Chooser, chooser
from fr_keras.models.joins import joined
from fr_keras.models.origins import Baked, Origin
from fr_keras.models.walk import all_layers, check_graph, input_shapes, rebuild_with_twins


def bake(model: keras.Model, form: str = "dense") -> keras.Model:
    """Returns `model` with every FR layer and quantized layer replaced by plain Keras layers.

    The result computes the same function, and fr_keras is not needed to load it. A quantized layer
    becomes the plain layer whose kernel holds the levels.

    A chain is a `keras.Sequential` with the name of the layer. Its stages `<layer>_in` and
    `<layer>_out` are 1x1 convolutions (or dense layers) whose kernels are cosines, and
    `<layer>_core` between them holds the kept coefficients. The first or last stage is merged into
    the core where that is cheaper. A chain after a `Concatenate` is a `keras.Model` with the name
    of the layer. It has a stage `<layer>_in_0`, `<layer>_in_1` and so on for each part, and
    `<layer>_sum` adds their outputs, so nothing is concatenated. Layers without input and output
    channels to factor, such as depthwise convolutions and embeddings, are baked dense. So is a
    layer that is called on tensors of different ranks.

    Args:
        model: A built functional or sequential model, with or without FR layers.
        form: `"dense"`: each FR layer becomes its plain twin with the whole kernel;
            `"factored"`: the chain with the fewest multiply-adds; `"auto"`: for each layer, the
            dense form or the chain, whichever has the smallest product of multiply-adds and
            weights.

    Returns:
        A new model with the same layer names, not compiled.

    Raises:
        ValueError: If `form` is unknown; or if `model` is unbuilt or subclassed, holds weights
            that are not finite, or has an FR layer whose class was not registered with
            `register_twin`.

    Warns if all weights of a quantized kernel have the same level.

    Example:

    >>> from fr_keras import regularize
    >>> model = keras.Sequential([keras.Input((80,)), keras.layers.Dense(40, name="hidden")])
    >>> twin = regularize(model)
    >>> twin.layers[0].truncate(10)
    >>> type(bake(twin).layers[0]).__name__
    'Dense'
    >>> [layer.name for layer in bake(twin, form="factored").layers[0].layers]
    ['hidden_core', 'hidden_out']
    """
    return baked(model, chooser(form)).model


def baked(model: keras.Model, choose: Chooser) -> Baked:
    """Does the same as `bake`, and also returns the origin of every layer."""
    check_graph(model)
    shapes = input_shapes(model)
    roles: dict[int, tuple[str, ...]] = {}

    def exchange(layer):
        if isinstance(layer, (FRBatchNormalization, QuantizedKernel)):
            return layer.plain()
        if not isinstance(layer, FrequencyTwin):
            return None
        reads = shapes[id(layer)]
        if isinstance(layer, FactoredKernel) and len({*map(len, reads)}) == 1:
            roles[id(layer)] = choose(layer).roles
        if roles.get(id(layer), WHOLE) == WHOLE:
            return _dense(layer)
        stages = layer.stage_layers(roles[id(layer)], layer.corner_kernels(roles[id(layer)]))
        return chain(layer, stages, reads)

    def fill(layer, plain):
        _fill(layer, plain, roles.get(id(layer), WHOLE))

    plain, twins = rebuild_with_twins(model, exchange, fill)
    origins = {}
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        of = roles.get(id(layer), WHOLE)
        stages = [twins[id(layer)]] if of == WHOLE else twins[id(layer)].layers
        for role, stage in zip(of, stages, strict=True):
            origins[id(stage)] = Origin(layer, of, (role,))
    return joined(Baked(plain, origins))


def _dense(layer: FrequencyTwin) -> keras.layers.Layer:
    return plain_class(type(layer)).from_config(layer.plain_config())


def chain(
    layer: keras.layers.Layer, stages: Iterable[keras.layers.Layer], shapes: set
) -> keras.Sequential:
    """Returns stages as one model in the place of a layer that is called on these shapes."""
    # An axis on which they differ may have any length.
    shape = [lengths[0] if len({*lengths}) == 1 else None for lengths in zip(*shapes, strict=True)]
    found = keras.Sequential(
        [keras.Input(batch_shape=shape, dtype=layer.compute_dtype), *stages], name=layer.name
    )
    found.trainable = layer.trainable
    return found


def _fill(layer: FrequencyTwin, plain: keras.layers.Layer, roles: tuple[str, ...]) -> None:
    if roles == WHOLE:
        layer.fill_plain(plain)
        return
    kernels = layer.corner_kernels(roles)
    for role, stage in zip(roles, plain.layers, strict=True):
        stage.kernel.assign(kernels[role])
    if plain.layers[-1].bias is not None:
        assign_copy(plain.layers[-1].bias, layer.bias)
