"""Builds the model of a description: the reverse of `_description`."""

import contextlib
from collections.abc import Callable, Iterator

import keras

from fr_archive import ArchiveError
from fr_keras.archive import _allowlist

#: Makes a layer, not built, from the name of its class and its arguments as data.
Make = Callable[[str, dict], keras.layers.Layer]

#: The names of models inside models.
MODELS = ("Functional", "Sequential")


@contextlib.contextmanager
def settings(dtype: str = "float32") -> Iterator[None]:
    """Gives Keras the same defaults for everybody."""
    policy, order = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(dtype)
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(order)


def make_layer(name: str, arguments: dict) -> keras.layers.Layer:
    """Returns a layer, not built, from its checked data."""
    config = {key: _allowlist.from_data(key, value) for key, value in arguments.items()}
    return _allowlist.find(name).from_config(config)


def build(description: dict, make: Make = make_layer) -> keras.Model:
    """Returns the model of a checked description.

    Args:
        description: As `describe` returns it.
        make: Makes each layer that holds no others, in the order of the file.
    """
    return Builder(make).model(description)


def expanded(call: list | int, number: int, called: int) -> list:
    """Returns the arguments, the keyword arguments and the layer number of a call.

    Args:
        call: The call in a description.
        number: The number of the call in the model.
        called: How many layers were called before.
    """
    given = call or [[number - 1]]
    return [*given, *[{}, called][len(given) - 1 :]]


class Builder:
    """One walk over a description.

    Attributes:
        made: Every layer and model, in the order in which a description counts them.
    """

    def __init__(self, make: Make):
        self._make = make
        self.made: list[keras.layers.Layer] = []

    def model(self, description: dict) -> keras.Model:
        """Returns the model of a description."""
        layers = [self._layer(one) for one in description["layers"]]
        if "calls" in description:
            model = _called(description, layers)
        else:
            model = keras.Sequential(layers, name=description["name"])
        if "trainable" in description:
            model.trainable = False
        return model

    def _layer(self, data: list | int) -> keras.layers.Layer:
        if isinstance(data, int):
            return self.made[data]
        name, arguments = data
        if name in MODELS:
            layer = self.model(arguments)
        elif name in _allowlist.WRAPPERS:
            layer = self._wrapper(name, arguments)
        else:
            layer = self._make(name, arguments)
        self.made.append(layer)
        return layer

    def _wrapper(self, name: str, arguments: dict) -> keras.layers.Layer:
        # Keras makes the inner layers of this one again, and finds their classes by name.
        taken = [
            one for one in _allowlist.NAMES.values() if keras.saving.get_registered_object(one)
        ]
        if taken and name == "Bidirectional":
            raise ArchiveError(
                "No class of another package may replace a layer of Keras while a Bidirectional is "
                f"loaded: remove it from Keras' registry. Received: {', '.join(taken)}"
            )
        inner = {
            key: self._layers(arguments[key])
            for key in _allowlist.WRAPPERS[name]
            if key in arguments
        }
        return getattr(keras.layers, name)(**{**arguments, **inner})

    def _layers(self, data: list | int) -> keras.layers.Layer | list[keras.layers.Layer]:
        """A layer, or the layers of a list of layers."""
        if isinstance(data, int) or isinstance(data[0], str):
            return self._layer(data)
        return [self._layer(one) for one in data]


def _called(description: dict, layers: list) -> keras.Model:
    """The functional model of these layers."""
    outputs, called = [], 0  # of each call, flat

    def tensor(reference):
        match reference:
            case int():
                return outputs[reference][0]
            case list():
                return [tensor(one) for one in reference]
            case {"call": number, "output": output}:
                return outputs[number][output]
            case {"named": named}:
                return {key: tensor(one) for key, one in named.items()}
            case {"value": value}:
                return value

    for number, call in enumerate(description["calls"]):
        args, kwargs, place = expanded(call, number, called)
        called = max(called, place + 1)
        layer = layers[place]
        if isinstance(layer, keras.layers.InputLayer):
            outputs.append([layer.output])
            continue
        named = {key: tensor(one) for key, one in kwargs.items()}
        outputs.append(keras.tree.flatten(layer(*[tensor(one) for one in args], **named)))
    last = len(outputs) - 1
    inputs, results = (tensor(description.get(*one)) for one in (("inputs", 0), ("outputs", last)))
    return keras.Model(inputs, results, name=description["name"])
