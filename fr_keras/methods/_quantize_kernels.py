"""`quantize_kernels`: a model whose layers compute with few levels, ready to train."""

from collections.abc import Mapping

import keras
from keras import ops

from fr_keras.layers import QUANTIZED, TWINS, FrequencyTwin, QuantizedKernel, Quantizer, adapted
from fr_keras.models.selectors import Selector, check_names, matches, names
from fr_keras.models.walk import check_graph, named_layers, rebuild


def quantize_kernels(
    model: keras.Model,
    quantizer: Quantizer | Mapping[str, Quantizer],
    exclude: Selector = None,
) -> keras.Model:
    """Returns a copy of a model whose layers compute with the levels of their kernels.

    The kernels themselves are trained, with the gradient of the quantizer, and so are its scales.
    `fr_keras.bake` gives the plain model whose kernels hold the levels; `tflite.convert` does this
    by itself. An archive holds the baked model.

    Biases, normalizations and recurrent layers stay as they are. So do subclasses of Keras layers,
    but not layers inside nested models and `TimeDistributed`.

    Args:
        model: A built functional or sequential model. It is not changed.
        quantizer: The quantizer of each kernel: `Ternary()`, `KBit(bits)`, `SoftLevels(levels)`,
            `AdaptiveFloat(bits, exponent_bits)`, or a dict of these by the name of a layer, or its
            path such as `"left/fc"` where several layers share a name. A dict leaves all other
            layers as they are.
        exclude: Layers to leave as they are: a name, a layer class, a predicate `layer -> bool`, or
            a list of these. With `None`, the first and the last layer with a kernel are left, in
            the order of the layers, as in the papers: they have few weights and lose the most.
            With an empty list, none is.

    Returns:
        A new model, not compiled, with the weights and layer names of `model`.

    Raises:
        ValueError: If `model` is unbuilt or subclassed, or holds weights that are not finite; if an
            argument names a layer that is not in it, or a dict one that has no kernel to quantize;
            if a layer is a MultiHeadAttention, or has LoRA, a quantized dtype policy or a kernel
            whose levels would collapse; if no layer is left to quantize.

    Example:

    >>> import numpy as np
    >>> from fr_keras import bake
    >>> from fr_keras.methods import Ternary
    >>> dense = keras.layers.Dense
    >>> model = keras.Sequential([keras.Input((8,)), dense(9), dense(9, name="hidden"), dense(4)])
    >>> ternary = quantize_kernels(model, Ternary())
    >>> [type(layer).__name__ for layer in ternary.layers]
    ['Dense', 'QuantizedDense', 'Dense']
    >>> len(ternary.get_layer("hidden").levels()["kernel"])
    3
    >>> len(np.unique(bake(ternary).get_layer("hidden").kernel))
    3
    """
    check_graph(model)
    chosen = chosen_layers(model, quantizer, exclude)
    by_id = {id(layer): one for layer, one in chosen.values()}

    def exchange(layer):
        if id(layer) not in by_id:
            return None
        config = {**layer.get_config(), "quantizer": by_id[id(layer)]}
        return QUANTIZED[type(layer)].from_config(config)

    return rebuild(model, exchange)


def chosen_layers(
    model: keras.Model, quantizer: Quantizer | Mapping[str, Quantizer], exclude: Selector
) -> dict[str, tuple[keras.layers.Layer, Quantizer]]:
    """Returns the layers to quantize by name, each with its quantizer, after checking them."""
    named = named_layers(model)
    if isinstance(quantizer, Mapping):
        if exclude is not None:
            raise ValueError(
                "`exclude` must be left out where `quantizer` is a dict, which leaves out all "
                f"layers that it does not name. Received: exclude={exclude!r}"
            )
        check_names("quantizer", quantizer, named)
        chosen = {name: (named[name], one) for name, one in quantizer.items()}
    else:
        check_names("exclude", names(exclude), named)
        kernels = {name: layer for name, layer in named.items() if _has_kernel(layer)}
        if exclude is None:
            exclude = [*kernels][:1] + [*kernels][-1:]
        chosen = {
            name: (layer, quantizer)
            for name, layer in kernels.items()
            if not isinstance(layer, FrequencyTwin) and not matches(exclude, name, layer)
        }
    if not chosen:
        raise ValueError(
            "`model` must have a layer to quantize: one of type "
            f"{sorted(kind.__name__ for kind in QUANTIZED)}, besides those that `exclude` means, "
            "by default the first and the last. With exclude=[], all are quantized. "
            f"Received: {list(named)}"
        )
    for name, (layer, one) in chosen.items():
        _check(name, layer, one)
    return chosen


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return type(layer) in TWINS or isinstance(layer, (FrequencyTwin, QuantizedKernel))


def _check(name: str, layer: keras.layers.Layer, quantizer: Quantizer) -> None:
    if not isinstance(quantizer, Quantizer):
        raise ValueError(
            "`quantizer` must be a quantizer, such as fr_keras.methods.Ternary(), or a dict of "
            f"them by layer name. Received: {quantizer!r}"
        )
    reason = adapted(layer) if type(layer) in QUANTIZED else _no_kernel(layer)
    if reason is None:
        kind = QUANTIZED[type(layer)]
        for kernel in (getattr(layer, one) for one in kind.kernel_names):
            values = ops.convert_to_numpy(ops.cast(kernel, "float32"))
            reason = reason or quantizer.refusal(values)
    if reason is not None:
        raise ValueError(f"Layer '{name}' cannot be quantized; leave it out: {reason}")


def _no_kernel(layer: keras.layers.Layer) -> str:
    if isinstance(layer, QuantizedKernel):
        return "it is quantized already. Use `fr_keras.bake(model)` first"
    return (
        f"it must have a kernel: be one of type {sorted(kind.__name__ for kind in QUANTIZED)}. "
        f"Received: {type(layer).__name__}"
    )
