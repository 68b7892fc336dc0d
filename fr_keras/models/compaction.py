"""`compact`: a model whose FR layers store no more than they keep."""

import keras

from fr_keras.layers import FRBatchNormalization, FrequencyKernel
from fr_keras.models.walk import rebuild


def compact(model: keras.Model) -> keras.Model:
    """Returns a copy of `model` that stores of each spectrum the corner of what is kept now.

    Call it between two fits: what was cut needs no memory, no optimizer slots and, where the
    corner is small, hardly any arithmetic, for the layers compute through it. The function stays
    the same. A compiled model comes back compiled, with the same optimizer in the same state:
    slots of the shape of the coefficients are cut like them. Go on with
    `fit(..., initial_epoch=...)`.

    Layers with several kernels, such as separable convolutions and attention, are copied whole.

    Args:
        model: A built functional or sequential model with FR layers. It stays as it is.

    Raises:
        ValueError: If `model` is unbuilt, subclassed, or holds weights that are not finite; if
            its optimizer has slots of another shape than the coefficients, such as Adafactor's.

    Example:

    >>> from fr_keras import regularize
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(40)])
    >>> model = regularize(plain)
    >>> model.layers[0].truncate(10)
    >>> tuple(compact(model).layers[0].coefficients.shape)
    (4, 4)
    """

    copy = rebuild(model, to_corner)
    if model.compiled:
        _compile_like(model, copy)
        _carry_optimizer(model, copy)
    return copy


def to_corner(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The exchange of `rebuild` that makes a model compact."""
    if type(layer) is keras.layers.BatchNormalization:
        return FRBatchNormalization.from_config(layer.get_config())
    if not isinstance(layer, FrequencyKernel):
        return None
    twin = type(layer).from_config({**layer.get_config(), "stored": layer.corner})
    twin.starts_empty = True
    return twin


def _compile_like(model: keras.Model, copy: keras.Model) -> None:
    """Compiles with the very loss and metrics: no config can bring back a function of a user's."""
    arguments = model._compile_config.config  # nothing public keeps them as they were given
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    copy.compile(**{**arguments, "optimizer": optimizer})
    optimizer.build(copy.trainable_variables)


def _carry_optimizer(model: keras.Model, copy: keras.Model) -> None:
    """Gives the copy's optimizer the state of the model's; both list their variables alike."""
    if not model.optimizer.built:
        return
    before = {_slot_name(variable): variable for variable in model.trainable_variables}
    pairs = list(zip(model.optimizer.variables, copy.optimizer.variables, strict=True))
    for old, new in pairs:
        if old.shape == new.shape:
            continue
        owners = [one for name, one in before.items() if f"{name}_" in _slot_name(old)]
        if old.shape not in [one.shape for one in owners]:
            raise ValueError(
                "`model` must have an optimizer whose slots have the shape of the weights, such as "
                f"SGD or Adam. Received: {type(model.optimizer).__name__} with the slot "
                f"'{old.path}' of shape {tuple(old.shape)}"
            )
    for old, new in pairs:
        new.assign(old[tuple(slice(n) for n in new.shape)])


def _slot_name(variable: keras.Variable) -> str:
    return variable.path.replace("/", "_")
