"""`bake`: a model in the DCT domain back to plain Keras layers."""

import keras

from fr_keras.layers import TWINS, FrequencyTwin
from fr_keras.rebuild import rebuild

_PLAIN = {twin: plain for plain, twin in TWINS.items()}


def _dense_form(layer: FrequencyTwin) -> keras.layers.Layer:
    """The plain layer with the whole kernel; `rebuild` fills it from the coefficients."""
    return _PLAIN[type(layer)].from_config(layer.plain_config())


# How a layer is written down without fr_keras. A further form is one row.
_FORMS = {"dense": _dense_form}


def bake(model: keras.Model, form: str = "dense") -> keras.Model:
    """Returns `model` with every FR layer replaced by plain Keras, kernels rebuilt.

    The result needs no fr_keras to load and computes the same function.

    Args:
        model: A built functional or sequential model, with FR layers or without.
        form: `"dense"`: each FR layer becomes its plain twin with the whole kernel.

    Returns:
        A new model with the same layer names, not compiled.

    Raises:
        ValueError: If `form` is unknown, or `model` is unbuilt, subclassed, or holds weights
            that are not finite.

    Example:

    >>> from fr_keras import regularize
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> type(bake(regularize(model)).layers[0]).__name__
    'Dense'
    """
    if form not in _FORMS:
        raise ValueError(f"`form` must be one of {sorted(_FORMS)}. Received: form={form!r}")

    def exchange(layer):
        return _FORMS[form](layer) if isinstance(layer, FrequencyTwin) else None

    return rebuild(model, exchange)
