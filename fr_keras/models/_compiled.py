"""Compiles a smaller copy of a model like the model, with the state of its optimizer."""

import collections
from collections.abc import Callable

import keras

from fr_keras._backends import assign_copy
from fr_keras._keras_internals import compile_arguments

#: Cuts a slot of an optimizer as its weight was cut, from the weight, its slot, and the new slot.
Cut = Callable[[keras.Variable, keras.Variable, keras.Variable], object]


def carry_compiled(model: keras.Model, copy: keras.Model, cut: Cut) -> None:
    """Compiles `copy` with the loss, metrics and optimizer of `model`, in the same state.

    Args:
        model: A compiled model.
        copy: A copy of it with the same trainable weights in the same order, some of them smaller.
        cut: Returns the part of a slot that stays; a slot has the shape of its weight.

    Raises:
        ValueError: If a weight is smaller and its slot has another shape, as in Adafactor.
    """
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    copy.compile(**{**compile_arguments(model), "optimizer": optimizer})
    optimizer.build(copy.trainable_variables)
    if not model.optimizer.built:
        return
    pairs = list(zip(model.optimizer.variables, optimizer.variables, strict=True))
    owners = _owners(model)
    for (old, new), owner in zip(pairs, owners, strict=True):
        if old.shape != new.shape and (owner is None or owner.shape != old.shape):
            raise ValueError(
                "`model` must have an optimizer whose slots have the shape of the weights, such as "
                f"SGD or Adam. Received: {type(model.optimizer).__name__} with the slot "
                f"'{old.path}' of shape {tuple(old.shape)}"
            )
    for (old, new), owner in zip(pairs, owners, strict=True):
        like = owner is not None and owner.shape == old.shape
        assign_copy(new, cut(owner, old, new) if like else old)


def _owners(model: keras.Model) -> list[keras.Variable | None]:
    """The weight that each variable of the optimizer belongs to; `None` if to none."""
    weights: dict[str, list[keras.Variable]] = {}
    for weight in model.trainable_variables:
        weights.setdefault(_slot_name(weight), []).append(weight)
    times, owners = collections.Counter(), []
    for slot in model.optimizer.variables:
        name = _slot_name(slot)
        # The longest: the name of one weight may be a part of another's.
        found = [one for one in weights if f"_{one}_" in f"_{name}"]
        alike = weights[max(found, key=len)] if found else [None]
        # Weights of one name have slots of one name, in the same order.
        owners.append(alike[times[name] % len(alike)])
        times[name] += 1
    return owners


def _slot_name(variable: keras.Variable) -> str:
    return variable.path.replace("/", "_")
