"""`price_kernels`: a model whose kernels are whole steps, ready for `RateTraining`."""

import warnings

import keras

from fr_keras.layers import (
    QUANTIZED,
    QUANTIZED_TWINS,
    TWINS,
    FrequencyKernel,
    FrequencyTwin,
    Quantizing,
    adapted,
    numbers,
)
from fr_keras.methods._whole_steps import WholeSteps
from fr_keras.models.selectors import Selector, check_names, matches, names
from fr_keras.models.walk import check_graph, named_layers, rebuild


def price_kernels(model: keras.Model, step: float = 0.25, exclude: Selector = None) -> keras.Model:
    """Returns a copy of a model whose kernels are whole numbers of steps, ready for `RateTraining`.

    The kernels and their steps are trained. FR layers have whole steps of their coefficients, all
    other layers of their kernels in space. The loss gets the price of the bits that these numbers
    would take in an archive; it is 0 until `RateTraining` sets it.

    `fr_keras.save_archive` and `tflite.convert` take the result as it is, and `fr_keras.bake` gives
    the plain model. An archive then holds the numbers exactly, unless a step is far below its own
    (`step` and `kernel_error` of `save_archive`).

    Biases, normalizations and recurrent layers have no price. Neither have subclasses of Keras
    layers, attention, and FR layers of several kernels, such as separable convolutions. Layers
    inside nested models and `TimeDistributed` have one.

    Args:
        model: A built functional or sequential model, with FR layers or without. It is not changed.
        step: The first step of each kernel, in units of the root mean square of its numbers, from
            0.001 to 1. The default changes the function by little.
        exclude: Layers to leave as they are: a name, or a path such as `"left/fc"` where several
            layers share a name; a layer class, a predicate `layer -> bool`, or a list of these.

    Returns:
        A new model, not compiled, with the weights and layer names of `model`.

    Raises:
        ValueError: If `model` is unbuilt or subclassed, or holds weights that are not finite; if
            `step` is out of range; if `exclude` names a layer that is not in it; if a layer is
            quantized already, holds a kernel of zeros, or has LoRA or a quantized dtype policy; if
            no layer is left.

    Warns if a layer that `regularize` would convert gets no price and `exclude` does not mean it.

    Example:

    >>> from fr_keras import regularize
    >>> dense = keras.layers.Dense
    >>> model = keras.Sequential([keras.Input((8,)), dense(9, name="hidden"), dense(4)])
    >>> priced = price_kernels(regularize(model, include="hidden"))
    >>> [type(layer).__name__ for layer in priced.layers]
    ['QuantizedFRDense', 'QuantizedDense']
    """
    check_graph(model)
    quantizer = WholeSteps(step)
    chosen = _chosen(model, exclude)

    def exchange(layer):
        if id(layer) not in chosen:
            return None
        config = {**layer.get_config(), "quantizer": quantizer}
        return _priced_type(layer).from_config(config)

    return rebuild(model, exchange)


def _chosen(model: keras.Model, exclude: Selector) -> set[int]:
    """The ids of the layers that get a price."""
    named = named_layers(model)
    check_names("exclude", names(exclude), named)
    kernels = {
        name: layer
        for name, layer in named.items()
        if (type(layer) in TWINS or isinstance(layer, (FrequencyTwin, Quantizing)))
        and not (exclude is not None and matches(exclude, name, layer))
    }
    for name, layer in kernels.items():
        quantized = "it is quantized already. Use `fr_keras.bake(model)` first"
        reason = quantized if isinstance(layer, Quantizing) else adapted(layer) or _zeros(layer)
        if reason is not None:
            raise ValueError(f"Layer '{name}' cannot have a price; `exclude` it: {reason}")
    chosen = {name: layer for name, layer in kernels.items() if _priced_type(layer)}
    if not chosen:
        raise ValueError(
            "`model` must have a layer to price, one with a kernel, that `exclude` does not mean. "
            f"Received: {list(named)}"
        )
    left = [name for name in kernels if name not in chosen]
    if left:
        warnings.warn(
            f"The kernels of {left} get no price: layers with several kernels in the DCT domain, "
            "attention and FR layers of your own cannot have one yet. They stay as they are, and "
            "RateTraining does not count their bytes. Name them in `exclude` if you know.",
            stacklevel=3,
        )
    return {id(layer) for layer in chosen.values()}


def _zeros(layer: keras.layers.Layer) -> str | None:
    """Why a kernel of the layer has no steps; `None` if each has."""
    if isinstance(layer, FrequencyKernel):
        values = [layer.kept_coefficients()]
    else:
        kind = QUANTIZED.get(type(layer))
        values = [numbers(getattr(layer, name)) for name in kind.kernel_names] if kind else []
    reasons = (WholeSteps().refusal(one) for one in values)
    return next((one for one in reasons if one is not None), None)


def _priced_type(layer: keras.layers.Layer) -> type[keras.layers.Layer] | None:
    return QUANTIZED.get(type(layer)) or QUANTIZED_TWINS.get(type(layer))
