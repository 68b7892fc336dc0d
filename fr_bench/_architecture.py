"""Whether two networks are the same one, whatever their weights, and whether FR or plain."""

from pathlib import Path

import keras

from fr_keras.models.baking import bake
from fr_keras.models.walk import all_layers, frequency_layers

# What a layer is called and how it begins or is trained is no part of the architecture.
_LEFT_OUT = (
    "name",
    "trainable",
    "dtype",
    "seed",
    "build_config",
    "compile_config",
    "shared_object_id",
)
_ENDINGS = ("_initializer", "_regularizer", "_constraint")
_RULE = (
    "the same layers with the same options and shapes, connected alike; names, weights, "
    "initializers, data types, and whether kernels are plain or FR do not count"
)


def outline(model: keras.Model) -> object:
    """Returns the architecture of a network as plain data, the same for a network and its FR twin.

    Args:
        model: A built functional or sequential model.
    """
    plain = bake(model, form="dense") if frequency_layers(model) else model
    return _plain(keras.saving.serialize_keras_object(plain), {})


def _plain(value: object, places: dict[str, int]) -> object:
    """The value with places instead of names of layers.

    Args:
        value: Any part of the configuration of a model.
        places: The number of each layer of the model around this part.
    """
    if isinstance(value, (list, tuple)):
        return [_plain(one, places) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("layers"), list):  # a model
        layers = value["layers"]
        names = [one["config"].get("name") for one in layers]
        places = {name: number for number, name in enumerate(names)}
        ends = {
            k: _numbered(value[k], places) for k in ("input_layers", "output_layers") if k in value
        }
        return {"layers": _plain(layers, places), **ends}
    if "keras_history" in value:
        return _numbered(value["keras_history"], places)
    kept = {k: v for k, v in value.items() if k not in _LEFT_OUT and not k.endswith(_ENDINGS)}
    return {key: _plain(one, places) for key, one in kept.items()}


def _numbered(value: object, places: dict[str, int]) -> object:
    """The ends of a model, or where a tensor comes from, with places instead of names."""
    if isinstance(value, (list, tuple)):
        return [_numbered(one, places) for one in value]
    if isinstance(value, dict):
        return {key: _numbered(one, places) for key, one in value.items()}
    return places.get(value, value) if isinstance(value, str) else value


def check_same(path: Path, model: keras.Model) -> None:
    """Refuses to replace a file that is not a network of this architecture.

    Raises:
        FileExistsError: If it is another network, or none that can be read.
    """
    try:
        there = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many types on a damaged file
        raise FileExistsError(
            f"`out` must not replace what cannot be read as a network: choose another name, or "
            f"remove the file yourself. Received: '{path}' ({type(error).__name__})"
        ) from error
    if outline(there) != outline(model):
        raise FileExistsError(
            "`out` must not replace a network of another architecture, by no option: choose "
            f"another name. Received: '{path}', which is {_words(there)}, for {_words(model)}. "
            f"One architecture are {_RULE}."
        )


def _words(model: keras.Model) -> str:
    shapes = " and ".join(str(tuple(one.shape[1:])) for one in model.inputs)
    outputs = " and ".join(str(tuple(one.shape[1:])) for one in model.outputs)
    return f"'{model.name}' of {len([*all_layers(model)])} layers from {shapes} to {outputs}"
