"""Checks a description before any of it is built.

After this check, building takes a bounded number of steps and uses no name that is not in
`_allowlist`. `_shapes` checks how much memory the weights take, when their shapes are known.
"""

import math

from fr_archive import ArchiveError
from fr_keras.archive import _allowlist
from fr_keras.archive._building import MODELS, expanded
from fr_keras.layers import FrequencyTwin

MOST_LAYERS = 1 << 11
#: Calls of layers, with those of inner models counted as often as the models are called.
MOST_CALLS = 1 << 13
_MOST_INNER = 16
_LONGEST_NAME = 200
_INSIDE = "A layer may hold only plain layers of Keras, no models and no layers in the DCT domain"


def check(description: object) -> None:
    """Refuses a description that `build` must not see.

    Raises:
        ArchiveError: If it breaks a rule; the message has the rule.
    """
    _Check().model(description, depth=0)


class _Check:
    """One walk over a description, in the order of the builder."""

    def __init__(self):
        # How many calls a call of each layer counts as; 0 for an input.
        self._made: list[int] = []
        # Whether other layers may hold it.
        self._plain: list[bool] = []

    def model(self, data: object, depth: int) -> int:
        """Returns how many calls of layers one call of the model counts as."""
        if depth > _MOST_INNER:
            raise ArchiveError(f"Models may be nested at most {_MOST_INNER} deep")
        keys = ({"name", "layers"}, {"trainable", "calls", "inputs", "outputs"})
        _check_object("A model", data, *keys)
        _check_name(data["name"])
        if data.get("trainable", False) is not False:
            raise ArchiveError("`trainable` of a model must be false or left out")
        _check_list("layers", data["layers"])
        costs = [self._layer(one, depth) for one in data["layers"]]
        if "calls" not in data:
            if not costs or 0 in costs[1:] or "inputs" in data or "outputs" in data:
                raise ArchiveError(
                    "A sequential model must have one input layer, as its first layer, and no "
                    "`inputs` or `outputs`"
                )
            cost = sum(costs)
        else:
            cost = _check_calls(data, costs)
        if cost > MOST_CALLS:
            raise ArchiveError(f"A model may call at most {MOST_CALLS} layers. Received: {cost}")
        return cost

    def _layer(self, data: object, depth: int, inside: bool = False) -> int:
        """Returns how many calls one call of a layer counts as.

        Args:
            data: The layer.
            depth: How many others it is inside.
            inside: Whether one of them is neither a model nor a `TimeDistributed`.
        """
        if type(data) is int:
            if not 0 <= data < len(self._made):
                raise ArchiveError(
                    "A layer must be described before its number is used again. Received: layer "
                    f"{data}"
                )
            if inside and not self._plain[data]:
                raise ArchiveError(_INSIDE)
            return self._made[data]
        if type(data) is not list or len(data) != 2 or type(data[0]) is not str:
            raise ArchiveError(f"A layer must be [class, {{arguments}}]. Received: {data!r:.100}")
        name, arguments = data
        plain = name not in (*MODELS, "InputLayer", "TimeDistributed") and not _is_twin(name)
        if inside and not plain:
            raise ArchiveError(_INSIDE)
        if name in MODELS:
            if type(arguments) is not dict or ("calls" in arguments) != (name == "Functional"):
                raise ArchiveError(
                    "A functional model must have `calls`, and a sequential model must not"
                )
            cost = self.model(arguments, depth + 1)
        else:
            cost = self._one(name, arguments, depth, inside)
        self._made.append(cost)
        self._plain.append(plain)
        if len(self._made) > MOST_LAYERS:
            raise ArchiveError(f"An archive may hold at most {MOST_LAYERS} layers")
        return cost

    def _one(self, name: str, arguments: object, depth: int, inside: bool) -> int:
        if name not in _allowlist.WRAPPERS and _allowlist.find(name) is None:
            own = ": register it with fr_keras.register_twin, if it is yours" if ">" in name else ""
            raise ArchiveError(
                "An archive may hold only layers of Keras and fr_keras that are known to be safe. "
                f"Received: '{name:.60}'{own}"
            )
        inner = _allowlist.WRAPPERS.get(name, ())
        _check_object(f"'{name}'", arguments, {"name", *inner}, None)
        _check_name(arguments["name"])
        for key, value in arguments.items():
            if _allowlist.is_left_out(key):
                raise ArchiveError(f"`{key}` of '{name}' must be left out of archives")
            if key not in inner:
                _allowlist.check(key, value)
        cost = int(name != "InputLayer")
        for key in inner:
            cost += self._inner(arguments[key], depth, inside or name != "TimeDistributed")
        return cost

    def _inner(self, data: object, depth: int, inside: bool) -> int:
        """A layer in another one, or a list of them."""
        if depth > _MOST_INNER:
            raise ArchiveError(f"Layers may be nested at most {_MOST_INNER} deep")
        if type(data) is list and data and type(data[0]) is not str:
            return sum(self._layer(one, depth + 1, inside) for one in data)
        if type(data) is list and data and data[0] == "InputLayer":
            raise ArchiveError("A layer must not hold an input layer")
        return self._layer(data, depth + 1, inside)


def _is_twin(name: str) -> bool:
    return issubclass(_allowlist.find(name) or object, FrequencyTwin)


def _check_calls(data: dict, costs: list[int]) -> int:
    """Returns the sum over the calls."""
    _check_list("calls", data["calls"])
    called = total = 0
    for number, call in enumerate(data["calls"]):
        if call != 0 or type(call) is not int:
            _check_list("calls", call)
            if not 1 <= len(call) <= 3:
                raise ArchiveError("A call must be 0 or [arguments, keyword arguments, layer]")
        args, kwargs, place = expanded(call, number, called)
        if type(place) is not int or not 0 <= place < len(costs) or place > called:
            raise ArchiveError(
                f"Call {number} must use one of {len(costs)} layers: one called before, or the "
                f"next. Received: layer {place!r:.20}"
            )
        called = max(called, place + 1)
        total += costs[place]
        if costs[place]:
            _check_list("calls", args)
            _check_object("Keyword arguments", kwargs, set(), None)
            for one in (*args, *kwargs.values()):
                _check_reference(one, number)
    if called != len(costs) or not costs:
        raise ArchiveError(
            f"A model must have layers and call each of them. Received: {len(costs)} layers, "
            f"of which {called} are called"
        )
    for key in ("inputs", "outputs"):
        _check_reference(data.get(key, 0), len(data["calls"]))
    return total


def _check_reference(data: object, number: int, depth: int = 0) -> None:
    """Refuses an argument of call `number` that is not made of earlier calls and constants."""
    match data:
        case int() if type(data) is int and 0 <= data < number:
            return
        case list() if depth < 4:
            parts = data
        case {"named": dict(named), **others} if not others and depth < 4:
            parts = named.values()
        case {"call": int(call), "output": int(output), **others} if not others:
            if 0 <= call < number and 0 <= output < MOST_LAYERS:
                return
            parts = None
        case {"value": bool() | None, **others} if not others:
            return
        case {"value": int() | float() as value, **others} if not others and math.isfinite(value):
            return
        case _:
            parts = None
    if parts is None:
        raise ArchiveError(
            f"The arguments of call {number} must be earlier calls and constants. "
            f"Received: {data!r:.100}"
        )
    for one in parts:
        _check_reference(one, number, depth + 1)


def _check_object(what: str, data: object, needed: set, others: set | None) -> None:
    if type(data) is not dict or not needed <= set(data):
        raise ArchiveError(
            f"{what} must be an object with {sorted(needed)}. Received: {data!r:.100}"
        )
    if others is not None and not set(data) <= needed | others:
        raise ArchiveError(f"{what} must not have {sorted(set(data) - needed - others)}")


def _check_list(what: str, data: object) -> None:
    if type(data) is not list or len(data) > MOST_CALLS:
        raise ArchiveError(
            f"`{what}` must be a list of at most {MOST_CALLS}. Received: {data!r:.100}"
        )


def _check_name(name: object) -> None:
    if type(name) is not str or not 0 < len(name) <= _LONGEST_NAME or "/" in name:
        raise ArchiveError(
            f"A name must be a string of 1 to {_LONGEST_NAME} characters without '/'. "
            f"Received: {name!r:.100}"
        )
