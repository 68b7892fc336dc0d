"""`bake`: a model in the DCT domain back to plain Keras layers."""

import keras

from fr_keras.forms import WHOLE, chooser
from fr_keras.joins import joined
from fr_keras.layers import FactoredKernel, FRBatchNormalization, FrequencyTwin, plain_class
from fr_keras.rebuild import rebuild


def bake(model: keras.Model, form: str = "dense") -> keras.Model:
    """Returns `model` with every FR layer replaced by plain Keras, kernels rebuilt.

    The result needs no fr_keras to load and computes the same function.

    A chain is a `keras.Sequential` of the layer's name. Its stages `<layer>_in` and `<layer>_out`
    are 1x1 convolutions (or dense layers) whose kernels are cosines, `<layer>_core` between them
    holds the kept coefficients. An end is left out where it is cheaper in one with the core.
    A chain that reads a `Concatenate` is a `keras.Model` of that name, with `<layer>_in_0`,
    `<layer>_in_1` and so on for the parts and `<layer>_sum` for their sum: nothing is concatenated.
    Layers that have no input and output channels to factor, such as depthwise convolutions and
    embeddings, are baked dense.

    Args:
        model: A built functional or sequential model, with FR layers or without.
        form: `"dense"`: each FR layer becomes its plain twin with the whole kernel;
            `"factored"`: the chain with the fewest multiply-adds; `"auto"`: for each layer the
            dense form or the chain with the smallest product of multiply-adds and weights.

    Returns:
        A new model with the same layer names, not compiled.

    Raises:
        ValueError: If `form` is unknown, or `model` is unbuilt, subclassed, or holds weights
            that are not finite, or an FR layer of a class that `register_twin` was not told.

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
    choose = chooser(form)

    def exchange(layer):
        if isinstance(layer, FRBatchNormalization):
            return layer.plain()
        if not isinstance(layer, FrequencyTwin):
            return None
        roles = choose(layer).roles if isinstance(layer, FactoredKernel) else WHOLE
        return _chain(layer, roles) if roles != WHOLE else _dense(layer)

    baked = rebuild(model, exchange, _fill)
    return baked if form == "dense" else joined(baked)


def _dense(layer: FrequencyTwin) -> keras.layers.Layer:
    return plain_class(type(layer)).from_config(layer.plain_config())


def _chain(layer: FactoredKernel, roles: tuple[str, ...]) -> keras.Sequential:
    stages = layer.stage_layers(roles, layer.corner_kernels(roles))
    chain = keras.Sequential(stages, name=layer.name)
    chain.trainable = layer.trainable
    return chain


def _fill(layer: FrequencyTwin, baked: keras.layers.Layer) -> None:
    if not isinstance(baked, keras.Sequential):
        layer.fill_plain(baked)
        return
    roles = tuple(stage.name.removeprefix(f"{layer.name}_") for stage in baked.layers)
    kernels = layer.corner_kernels(roles)
    for role, stage in zip(roles, baked.layers, strict=True):
        stage.kernel.assign(kernels[role])
    if baked.layers[-1].bias is not None:
        baked.layers[-1].bias.assign(layer.bias)
