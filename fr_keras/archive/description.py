"""A model as plain data, and back: the architecture that an archive holds.

    model       = {"name", "layers": [layer, ...]}                             sequential
                | {"name", "layers", "calls": [call, ...], "inputs", "outputs"}  functional
    layer       = [class, {arguments that are not the default}]
                | ["TimeDistributed", {"layer": layer, ...}]
                | ["Functional" | "Sequential", model]
                | n                     the n-th layer of the file again, inner ones counted first
    call        = 0                     the next layer that was not called yet, on what came before
                | [[arguments], {keyword arguments}, place of the layer]       or fewer of these
    argument    = n                     what call n gave
                | {"call": n, "output": k} | {"value": constant} | [argument, ...]
    inputs      = argument | {"named": {name: argument}};  0 if left out
    outputs     = likewise;  the last call if left out

A call of an input layer takes no arguments.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator

import keras

from fr_archive import ArchiveError
from fr_keras.archive import known
from fr_keras.layers import TWINS

#: Given a layer's class and its arguments, as data, the layer, not built.
Make = Callable[[str, dict], keras.layers.Layer]

_PLAIN_TWIN = {twin: plain for plain, twin in TWINS.items()}
#: The names of models in models.
MODELS = ("Functional", "Sequential")


@contextlib.contextmanager
def settings(dtype: str = "float32") -> Iterator[None]:
    """Makes what Keras takes as default the same for everybody."""
    policy, order = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(dtype)
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(order)


def describe(model: keras.Model) -> dict:
    """Returns a functional or sequential model as plain data.

    Raises:
        ArchiveError: If it holds anything that is not in `known`.
    """
    with settings():
        return _Describer().model(model)


def layer_data(layer: keras.layers.Layer) -> list:
    """Returns a layer, but no model and no wrapper, as plain data.

    Raises:
        ArchiveError: If it is not in `known`.
    """
    name = known.NAMES.get(type(layer))
    if name is None:
        raise ArchiveError(
            "An archive holds layers of Keras and fr_keras, no Lambda, no class of somebody else, "
            "and no bare operation, as those that compute a mask. Received: "
            f"{type(layer).__module__}.{type(layer).__name__} '{layer.name}'"
        )
    try:
        config = _config(layer)
        return [name, _shortened(name, config)]
    except ArchiveError as error:
        raise ArchiveError(f"Layer '{layer.name}' cannot be archived: {error}") from None


def make_layer(name: str, arguments: dict) -> keras.layers.Layer:
    """Returns a layer from its data, which were checked; not built."""
    config = {key: known.from_data(key, value) for key, value in arguments.items()}
    return known.LAYERS[name].from_config(config)


def build(description: dict, make: Make = make_layer) -> keras.Model:
    """Returns the model of a description that was checked.

    Args:
        description: As `describe` returns it.
        make: Makes each layer, in the order of the file.
    """
    return _Builder(make).model(description)


def expanded(call: list | int, number: int, called: int) -> list:
    """Returns arguments, keyword arguments and place of the layer of a call.

    Args:
        call: As it is in a description.
        number: Which call of the model this is.
        called: How many layers were called before.
    """
    given = call or [[number - 1]]
    return [*given, *[{}, called][len(given) - 1 :]]


def _config(layer: keras.layers.Layer, but: str | None = None) -> dict:
    config = layer.get_config()
    return {
        key: known.to_data(key, value)
        for key, value in config.items()
        if key != but and not known.is_left_out(key)
    }


def _shortened(name: str, config: dict) -> dict:
    """The arguments without which Keras would not make the same layer."""
    cls = known.LAYERS[name]
    parameters = inspect.signature(_PLAIN_TWIN.get(cls, cls)).parameters.values()
    required = {"name", "batch_shape"} | {
        one.name
        for one in parameters
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    }
    short = {key: value for key, value in config.items() if key in required}
    try:
        default = _config(make_layer(name, short))
        short |= {key: value for key, value in config.items() if value != default.get(key, ...)}
        return short if _config(make_layer(name, short)) == config else config
    except (KeyError, TypeError, ValueError):  # more is required than the signature says
        return config


class _Describer:
    """One walk over a model and the models in it."""

    def __init__(self):
        self._numbers: dict[int, int] = {}

    def model(self, model: keras.Model) -> dict:
        if isinstance(model, keras.Sequential):
            first = model.inputs[0]._keras_history.operation
            layers = [first, *(one for one in model.layers if one is not first)]
            found = {"layers": [self._layer(layer) for layer in layers]}
        else:
            found = self._functional(model)
        return {"name": model.name, **found, **({} if model.trainable else {"trainable": False})}

    def _functional(self, model: keras.Model) -> dict:
        by_depth = model._nodes_by_depth
        nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        calls, places, references = [], {}, {}
        for number, node in enumerate(nodes):
            new = id(node.operation) not in places
            place = places.setdefault(id(node.operation), len(places))
            calls.append(_call(node, number, references, None if new else place))
            for output, tensor in enumerate(node.outputs):
                whole = len(node.outputs) == 1
                references[id(tensor)] = number if whole else {"call": number, "output": output}
        operations = {id(node.operation): node.operation for node in nodes}
        found = {"layers": [self._layer(one) for one in operations.values()], "calls": calls}
        for key, tensors, usual in (
            ("inputs", model.input, 0),
            ("outputs", model.output, len(calls) - 1),
        ):
            reference = _reference(tensors, references)
            if reference != usual:
                found[key] = reference
        return found

    def _layer(self, layer) -> list | int:
        if id(layer) in self._numbers:
            return self._numbers[id(layer)]
        if isinstance(layer, keras.Model):
            kind = "Sequential" if isinstance(layer, keras.Sequential) else "Functional"
            found = [kind, self.model(layer)]
        elif type(layer) is keras.layers.TimeDistributed:
            inner = self._layer(layer.layer)
            config = _config(layer, but="layer")
            usual = {"dtype": "float32", "trainable": True}.items()
            short = dict(one for one in config.items() if one not in usual)
            found = ["TimeDistributed", {**short, "layer": inner}]
        else:
            found = layer_data(layer)
        self._numbers[id(layer)] = len(self._numbers)
        return found


def _call(node, number: int, references: dict, place: int | None) -> list | int:
    """How a layer is called; `place` is that of one that was called before."""
    args = [_reference(one, references) for one in node.arguments.args]
    kwargs = {
        key: _reference(value, references)
        for key, value in node.arguments.kwargs.items()
        # `training=False` is what Keras notes where nothing was said.
        if value is not None and (key, value) != ("training", False)
    }
    if place is not None:
        return [args, kwargs, place]
    if kwargs:
        return [args, kwargs]
    return [args] if args and args != [number - 1] else 0


def _reference(value, references: dict) -> object:
    if isinstance(value, keras.KerasTensor):
        return references[id(value)]
    if isinstance(value, (list, tuple)):
        return [_reference(one, references) for one in value]
    if isinstance(value, dict):
        return {"named": {key: _reference(one, references) for key, one in value.items()}}
    return {"value": value}


class _Builder:
    """One walk over a description."""

    def __init__(self, make: Make):
        self._make = make
        self._made: list[keras.layers.Layer] = []

    def model(self, description: dict) -> keras.Model:
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
            return self._made[data]
        name, arguments = data
        if name in MODELS:
            layer = self.model(arguments)
        elif name == "TimeDistributed":
            inner = self._layer(arguments["layer"])
            layer = keras.layers.TimeDistributed(**{**arguments, "layer": inner})
        else:
            layer = self._make(name, arguments)
        self._made.append(layer)
        return layer


def _called(description: dict, layers: list) -> keras.Model:
    """The functional model of these layers."""
    outputs, called = [], 0

    def tensor(reference):
        match reference:
            case int():
                return outputs[reference]
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
            outputs.append(layer.output)
            continue
        named = {key: tensor(one) for key, one in kwargs.items()}
        outputs.append(layer(*[tensor(one) for one in args], **named))
    last = len(outputs) - 1
    inputs, results = (tensor(description.get(*one)) for one in (("inputs", 0), ("outputs", last)))
    return keras.Model(inputs, results, name=description["name"])
