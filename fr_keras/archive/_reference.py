"""References to networks of the zoo: a name, and the arguments that rebuild the model.

arguments = {arguments of the function that are not the default,
             "dtype": policy,                                if not float32
             "regularize": {"exclude": [name, ...], "axis_weights": {name: [...]}}}
"""

import inspect
import itertools
from collections.abc import Callable, Iterator

import keras

from fr_archive import ArchiveError, Reference
from fr_keras import zoo
from fr_keras._keras_internals import without_memory
from fr_keras.archive import _allowlist
from fr_keras.archive._building import settings
from fr_keras.archive._description import describe, layer_data
from fr_keras.layers import TWINS
from fr_keras.models.twins import twin_config

_TWIN_NAMES = {twin.__name__ for twin in TWINS.values()}  # of the zoo's layers


def find(model: keras.Model, description: dict) -> Reference | None:
    """Returns the reference that gives exactly this description, if there is one."""
    entries = {data[1]["name"]: data for data in description["layers"] if type(data) is list}
    for name in zoo.__all__:
        for arguments in _guesses(_function(name), model, description):
            plain = _built(name, arguments)
            if plain is None or {layer.name for layer in plain.layers} != set(entries):
                continue
            whole = {**arguments, **_regularized(plain, entries)}
            try:
                same = describe_reference(Reference(name, whole)) == description
            except ArchiveError:
                same = False
            if same:
                return Reference(name, whole)
    return None


def describe_reference(reference: Reference) -> dict:
    """Returns the description of the network that a reference names.

    Raises:
        ArchiveError: If there is no such network.
    """
    function = _function(reference.name)
    arguments = dict(reference.arguments)
    regularized = arguments.pop("regularize", {})
    dtype = arguments.pop("dtype", "float32")
    _allowlist.check("dtype", dtype)
    _check_arguments(function, arguments)
    plain = _built(reference.name, arguments)
    if plain is None:
        raise ArchiveError(f"The zoo cannot build '{reference.name}' with {arguments}")
    exclude, axis_weights = _checked(regularized, plain)
    description = describe(plain)
    for place, layer in enumerate(_layers(plain, description)):
        data = description["layers"][place]
        if type(layer) in TWINS and layer.name not in exclude:
            twin = TWINS[type(layer)].from_config(twin_config(layer, axis_weights.get(layer.name)))
            with settings():
                data = description["layers"][place] = layer_data(twin)
        if dtype != "float32" and data[0] != "InputLayer":
            data[1]["dtype"] = dtype
    return description


def _function(name: str) -> Callable[..., keras.Model]:
    if name not in zoo.__all__:
        raise ArchiveError(
            f"A network by name must be one of {zoo.__all__}. Received: '{name:.60}'"
        )
    return getattr(zoo, name)


def _layers(plain: keras.Model, description: dict) -> list[keras.layers.Layer]:
    """The layers of a network of the zoo, in the order of its description."""
    return [plain.get_layer(data[1]["name"]) for data in description["layers"]]


def _built(name: str, arguments: dict) -> keras.Model | None:
    """The plain network without memory for its weights; `None` if it cannot be built."""
    with settings(), without_memory():
        try:
            return _function(name)(**arguments)
        except Exception:  # of many types, where arguments make no sense
            return None


def _guesses(function: Callable, model: keras.Model, description: dict) -> Iterator[dict]:
    """Arguments with which the function may have built the model."""
    data = [one for one in description["layers"] if type(one) is list]
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return
    last = data[-1][1].get("activation")
    seen = {
        "input_shape": list(model.inputs[0].shape[1:]),
        "classes": model.outputs[0].shape[-1],
        "classifier_activation": last,
        "name": model.name,
        "filters": next((one[1]["filters"] for one in data if "filters" in one[1]), None),
    }
    parameters = inspect.signature(function).parameters.values()
    choices = [
        (False, True) if isinstance(one.default, bool) else (seen.get(one.name),)
        for one in parameters
    ]
    for values in itertools.product(*choices):
        yield {
            one.name: value
            for one, value in zip(parameters, values, strict=True)
            if value != (list(one.default) if isinstance(one.default, tuple) else one.default)
        }


def _regularized(plain: keras.Model, entries: dict) -> dict:
    """The arguments that `regularize` was given, and the dtype."""
    exclude, axis_weights = [], {}
    for layer in plain.layers:
        name, arguments = entries[layer.name]
        if type(layer) in TWINS and name not in _TWIN_NAMES:
            exclude.append(layer.name)
        if arguments.get("axis_weights") is not None:
            axis_weights[layer.name] = arguments["axis_weights"]
    told = {"exclude": exclude, "axis_weights": axis_weights}
    told = {key: value for key, value in told.items() if value}
    dtype = entries[plain.layers[-1].name][1].get("dtype")
    return {**({"regularize": told} if told else {}), **({"dtype": dtype} if dtype else {})}


def _check_arguments(function: Callable, arguments: dict) -> None:
    parameters = inspect.signature(function).parameters
    for name, value in arguments.items():
        if name not in parameters:
            raise ArchiveError(f"'{function.__name__}' has no argument '{name:.60}'")
        default = parameters[name].default
        if name == "classifier_activation":
            _allowlist.check("activation", value)
            continue
        expected = list if isinstance(default, tuple) else type(default)
        numbers = value if expected is list and type(value) is list else [value]
        lengths = not isinstance(default, (int, tuple)) or all(
            type(n) is (bool if isinstance(default, bool) else int) and n >= 0 for n in numbers
        )
        if type(value) is not expected or not lengths:
            raise ArchiveError(
                f"`{name}` of '{function.__name__}' must be like {default!r}. "
                f"Received: {value!r:.100}"
            )
        _allowlist.check(name, value)


def _checked(told: object, plain: keras.Model) -> tuple[list[str], dict]:
    """The arguments of `regularize`, if they name only layers that it could convert."""
    convertible = {layer.name for layer in plain.layers if type(layer) in TWINS}
    match told:
        case dict() if set(told) <= {"exclude", "axis_weights"}:
            exclude, axis_weights = told.get("exclude", []), told.get("axis_weights", {})
            if type(exclude) is list and type(axis_weights) is dict:
                names = [*exclude, *axis_weights]
                if all(type(name) is str and name in convertible for name in names):
                    for weights in axis_weights.values():
                        _allowlist.check("axis_weights", weights)
                    return exclude, axis_weights
    raise ArchiveError(
        "`regularize` must hold at most `exclude` and `axis_weights`, with names from "
        f"{sorted(convertible)}. Received: {told!r:.100}"
    )
