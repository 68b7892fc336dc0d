"""Inputs and outputs of a Keras model, flat and by name, as a .tflite file has them."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np


def input_names(model: keras.Model) -> list[str]:
    """Names of the flat inputs: the keys where the model takes a dict."""
    return _names(_ends(model)[0], [tensor.name for tensor in model.inputs])


def output_names(model: keras.Model) -> list[str]:
    """Names of the flat outputs: the keys where the model gives a dict, else their layers."""
    if isinstance(model, keras.Sequential):
        return [model.layers[-1].name]
    return _names(model.output, list(model.output_names))


def packed(model: keras.Model, flat: Sequence) -> object:
    """The flat inputs in the structure that the model takes."""
    return keras.tree.pack_sequence_as(_ends(model)[0], list(flat))


def by_input(data, names: Sequence[str], argument: str) -> list:
    """One element of `data` for each input: from a dict by name, or a list or tuple in order.

    With one input, `data` itself, unless it is a dict.

    Raises:
        ValueError: If inputs are missing or left over.
    """
    if isinstance(data, Mapping):
        if sorted(data) != sorted(names):
            raise ValueError(
                f"`{argument}` must have one entry for each of the inputs {list(names)}. "
                f"Received: {sorted(data)}"
            )
        return [data[name] for name in names]
    if len(names) == 1:
        return [data]
    if not isinstance(data, (list, tuple)) or len(data) != len(names):
        found = f"{type(data).__name__}" + (f" of {len(data)}" if hasattr(data, "__len__") else "")
        raise ValueError(
            f"`{argument}` must be a dict, or a list in this order, with one entry for each of the "
            f"inputs {list(names)}. Received: {found}"
        )
    return list(data)


def predict(model: keras.Model, rows: list[np.ndarray]) -> list[np.ndarray]:
    """The model's flat outputs as float32, in batches of about a million input numbers."""
    size = sum(part[0].size for part in rows)
    outputs = keras.tree.flatten(
        model.predict(packed(model, rows), batch_size=min(32, 1 + 2**20 // size), verbose=0)
    )
    return [np.asarray(output, np.float32) for output in outputs]


def _ends(model: keras.Model) -> tuple:
    """The structures of inputs and outputs; a sequential model is a chain of single tensors."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def _names(structure, names: list[str]) -> list[str]:
    if isinstance(structure, Mapping):
        names = sorted(structure)
    # A layer called twice names two outputs.
    return [
        name if names.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(names)
    ]
