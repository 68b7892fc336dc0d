"""Describes a model as plain data, the architecture in an archive; `_building` is the reverse.

    model       = {"name", "layers": [layer, ...]}                             sequential
                | {"name", "layers", "calls": [call, ...], "inputs", "outputs"}  functional
    layer       = [class, {arguments that are not the default}]
                | [wrapper, {"layer": layer or [layer, ...], ...}]
                | ["Functional" | "Sequential", model]
                | n                     the n-th layer of the file again, inner ones counted first
    call        = 0                     the next layer not called so far, on the previous output
                | [[arguments], {keyword arguments}, number of the layer]      or fewer of these
    argument    = n                     the output of call n
                | {"call": n, "output": k} | {"value": constant} | [argument, ...]
    inputs      = argument | {"named": {name: argument}};  0 if left out
    outputs     = likewise;  the last call if left out

A call of an input layer takes no arguments. Layers that do nothing at inference are left out.
"""

import inspect
from collections.abc import Collection, Iterator
from typing import NamedTuple

import keras
import numpy as np

from fr_archive import ArchiveError
from fr_keras._keras_internals import nodes
from fr_keras.archive import _allowlist
from fr_keras.archive._building import Builder, make_layer, settings
from fr_keras.layers import FrequencyTwin, plain_class
from fr_keras.models.walk import all_layers


def describe(model: keras.Model) -> dict:
    """Returns a functional or sequential model as plain data.

    Raises:
        ArchiveError: If it holds anything that is not in `_allowlist`.
    """
    with settings():
        return _Describer().model(model)


class Prepared(NamedTuple):
    """A model as an archive holds it.

    Attributes:
        model: The model without the layers that do nothing at inference: itself, or a copy.
        description: The same model as plain data.
        left_out: The names of the layers that do nothing at inference.
    """

    model: keras.Model
    description: dict
    left_out: list[str]


def at_inference(model: keras.Model) -> Prepared:
    """Returns a model without the layers that do nothing at inference.

    Raises:
        ArchiveError: If it holds anything that is not in `_allowlist`.
    """
    with settings():
        describer = _Describer()
        description = describer.model(model)
        if not describer.left_out:
            return Prepared(model, description, [])
        originals = (one for one in describer.layers if _is_made(one))
        builder = Builder(lambda *_: _copy(next(originals)))
        copy = builder.model(description)
    before = dict(zip(map(id, builder.made), describer.layers, strict=True))
    for layer in all_layers(copy):
        if layer.weights:
            layer.set_weights(before[id(layer)].get_weights())
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()
    # Without the layers that were left out, Keras may have the others in another order.
    return Prepared(copy, describe(copy), list(dict.fromkeys(describer.left_out)))


def layer_data(layer: keras.layers.Layer) -> list:
    """Returns a layer that is not a model or a wrapper as plain data.

    Raises:
        ArchiveError: If it is not in `_allowlist`.
    """
    name = _allowlist.name_of(type(layer))
    if name is None:
        raise ArchiveError(_refused(layer, _allowlist.reason(layer)))
    try:
        config = _config(layer)
        return [name, _shortened(name, config)]
    except ArchiveError as error:
        raise ArchiveError(_refused(layer, str(error))) from None


def _refused(layer, why: str) -> str:
    return (
        "`model` must consist of layers that an archive can hold. Received: "
        f"{type(layer).__name__} '{layer.name}': {why}"
    )


def _is_made(layer: keras.layers.Layer) -> bool:
    """Whether a layer can be made from just its configuration."""
    return not isinstance(layer, keras.Model) and type(layer) not in _allowlist.WRAPPER_NAMES


def _copy(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(layer.get_config())


def _config(layer: keras.layers.Layer, but: Collection[str] = ()) -> dict:
    config = layer.get_config()
    return {
        key: _allowlist.to_data(key, value)
        for key, value in config.items()
        if key not in but and not _allowlist.is_left_out(key)
    }


def _shortened(name: str, config: dict) -> dict:
    """The arguments that Keras needs to make the same layer."""
    cls = _allowlist.find(name)
    plain = plain_class(cls) if issubclass(cls, FrequencyTwin) else cls
    parameters = inspect.signature(plain).parameters.values()
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
    """One walk over a model and the models in it.

    Attributes:
        layers: Every layer and model, in the order in which a description counts them.
        left_out: The names of the layers that do nothing at inference.
    """

    def __init__(self):
        self._numbers: dict[int, int] = {}
        self.layers: list[keras.layers.Layer] = []
        self.left_out: list[str] = []

    def model(self, model: keras.Model) -> dict:
        if isinstance(model, keras.Sequential):
            operations = [node.operation for node in self._nodes(model, {})]
            found = {"layers": [self._layer(one) for one in operations]}
        else:
            found = self._of_graph(model)
        return {"name": model.name, **found, **({} if model.trainable else {"trainable": False})}

    def _of_graph(self, model: keras.Model) -> dict:
        calls, places, references, operations = [], {}, {}, {}
        for number, node in enumerate(self._nodes(model, references)):
            new = id(node.operation) not in places
            place = places.setdefault(id(node.operation), len(places))
            operations[id(node.operation)] = node.operation
            calls.append(_call(node, number, references, None if new else place))
            for output, tensor in enumerate(node.outputs):
                whole = len(node.outputs) == 1
                references[id(tensor)] = number if whole else {"call": number, "output": output}
        found = {"layers": [self._layer(one) for one in operations.values()], "calls": calls}
        for key, tensors, usual in (
            ("inputs", model.input, 0),
            ("outputs", model.output, len(calls) - 1),
        ):
            reference = _reference(tensors, references)
            if reference != usual:
                found[key] = reference
        return found

    def _nodes(self, model: keras.Model, references: dict) -> Iterator:
        """The calls except those that do nothing; the outputs of these refer to their inputs."""
        for node in nodes(model):
            if not _does_nothing(node.operation):
                yield node
            elif len(node.input_tensors) != 1 or len(node.outputs) != 1:
                rule = "an augmentation layer must take one tensor and give one"
                raise ArchiveError(_refused(node.operation, rule))
            else:
                (given,), (output,) = node.input_tensors, node.outputs
                if (given.shape, given.dtype) != (output.shape, output.dtype):
                    yield node
                    continue
                self.left_out.append(node.operation.name)
                references[id(output)] = references.get(id(given))

    def _layer(self, layer) -> list | int:
        if id(layer) in self._numbers:
            return self._numbers[id(layer)]
        original = layer
        if _does_nothing(layer):
            self.left_out.append(layer.name)
            # It turns integers into floating-point numbers, as the layer does.
            layer = keras.layers.Rescaling(1.0, name=layer.name, dtype=layer.dtype_policy)
        if isinstance(layer, keras.Model):
            kind = "Sequential" if isinstance(layer, keras.Sequential) else "Functional"
            found = [kind, self.model(layer)]
        elif _is_made(layer):
            found = layer_data(layer)
        else:
            found = self._wrapper(layer)
        self._numbers[id(original)] = len(self._numbers)
        self.layers.append(layer)
        return found

    def _wrapper(self, layer: keras.layers.Layer) -> list:
        name = _allowlist.WRAPPER_NAMES[type(layer)]
        inner = {key: getattr(layer, place) for key, place in _allowlist.WRAPPERS[name].items()}
        inner = {
            key: list(map(self._layer, one)) if isinstance(one, (list, tuple)) else self._layer(one)
            for key, one in inner.items()
        }
        parameters = inspect.signature(type(layer)).parameters
        usual = {key: one.default for key, one in parameters.items()}
        usual |= {"dtype": "float32", "trainable": True}
        config = _config(layer, but=inner).items()
        return [name, {key: one for key, one in config if one != usual.get(key, ...)} | inner]


def _does_nothing(layer: keras.layers.Layer) -> bool:
    """Whether a layer returns its input at inference, as floating-point numbers."""
    if isinstance(layer, keras.Model):
        inner = [node.operation for node in nodes(layer)]
        inner = [one for one in inner if not isinstance(one, keras.layers.InputLayer)]
    elif type(layer) is keras.layers.TimeDistributed:
        inner = [layer.layer]
    elif type(layer) is keras.layers.Pipeline:
        inner = layer.layers
    else:
        return type(layer) in _allowlist.AUGMENTATION
    return bool(inner) and all(map(_does_nothing, inner))


def _call(node, number: int, references: dict, place: int | None) -> list | int:
    """How a layer is called; `place` is its number if it was called before."""
    args = [_reference(one, references) for one in node.arguments.args]
    kwargs = {
        key: _reference(value, references)
        for key, value in node.arguments.kwargs.items()
        # Keras notes `training=False` where nothing was said.
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
    if isinstance(value, np.generic):
        value = value.item()
    if value is not None and not isinstance(value, (bool, int, float)):
        raise ArchiveError(
            "Layers must be called on outputs of other layers and on single numbers. Received: "
            f"{value!r:.100} of type {type(value).__name__}"
        )
    return {"value": value}
