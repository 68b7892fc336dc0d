"""`remove` and `order`: models with fewer channels, or with channels in another order."""

import operator
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from fr_keras._backends import assign_copy
from fr_keras.layers import FrequencyTwin
from fr_keras.models._carry import carry, carry_random_states
from fr_keras.models._compiled import carry_compiled
from fr_keras.models.channels._groups import Group, Groups, groups
from fr_keras.models.walk import rebuild_by


def remove(model: keras.Model, kept: Mapping[str, Sequence[int]]) -> keras.Model:
    """Returns a smaller copy of a model that has only some of its channels.

    It computes what the model would if all that reads a removed channel read zeros instead. The
    copy is a plain model of the same layers. A compiled model comes back compiled, with the same
    optimizer in the same state.

    Args:
        model: A built functional or sequential model. It is not changed.
        kept: The numbers of the channels to keep, by the name of the group as in `groups`. Other
            groups stay whole.

    Raises:
        ValueError: If a name is not that of a group, or its channels cannot be removed; if a group
            would be empty, or a number is repeated or out of range; if the model has no graph, or
            weights that are not finite; if the slots of its optimizer have other shapes than the
            weights.

    Example:

    >>> from fr_keras.models import channels
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(16, 3, activation="relu", name="conv")(inputs)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> model = keras.Model(inputs, keras.layers.Dense(10, name="logits")(x))
    >>> smaller = channels.remove(model, {"conv": [0, 3, 4, 9]})
    >>> [tuple(one.shape) for one in smaller.weights]
    [(3, 3, 3, 4), (4,), (4, 10), (10,)]
    """
    found = groups(model)
    chosen = {name: np.sort(one) for name, one in _checked("kept", kept, found).items()}
    for name in chosen:
        _refuse("kept", found[name], found[name].removable, "removed")
    return _taken(model, found, chosen)


def order(model: keras.Model, permutation: Mapping[str, Sequence[int]]) -> keras.Model:
    """Returns a copy of a model that computes the same with its channels in another order.

    Args:
        model: A built functional or sequential model. It is not changed.
        permutation: The numbers of all channels of a group in their new order, by the name of the
            group as in `groups`. Other groups stay as they are.

    Raises:
        ValueError: As `remove` does; if the numbers are not those of all channels.

    Example:

    >>> from fr_keras.models import channels
    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(3, activation="relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> other = channels.order(model, {"hidden": [2, 0, 1]})
    >>> x = keras.random.uniform((5, 4))
    >>> bool(keras.ops.max(abs(other(x) - model(x))) < 1e-6)
    True
    """
    found = groups(model)
    chosen = _checked("permutation", permutation, found)
    for name, one in chosen.items():
        _refuse("permutation", found[name], found[name].orderable, "put in another order")
        if len(one) < found[name].size:
            raise ValueError(
                f"`permutation` must have all channels of '{name}': {found[name].size}. "
                f"Received: {len(one)}"
            )
    return _taken(model, found, chosen)


def _checked(argument: str, given: Mapping, found: Groups) -> dict[str, np.ndarray]:
    """The numbers of channels by group, after the checks that both functions make."""
    if not isinstance(given, Mapping):
        raise ValueError(
            f"`{argument}` must be a dict from the name of a group to numbers of channels. "
            f"Received: {type(given).__name__}"
        )
    unknown = sorted(str(name) for name in given if name not in found)
    if unknown:
        raise ValueError(
            f"`{argument}` must name groups of the model, as `channels.groups` lists them: "
            f"{list(found)}. Received: {unknown}"
        )
    return {name: _numbers(argument, found[name], one) for name, one in given.items()}


def _numbers(argument: str, group: Group, given: Sequence[int]) -> np.ndarray:
    try:
        numbers = np.array([operator.index(one) for one in given], np.int64)
    except TypeError as error:
        raise ValueError(
            f"`{argument}['{group.name}']` must be whole numbers. Received: {given!r}"
        ) from error
    if not len(numbers):
        raise ValueError(
            f"`{argument}['{group.name}']` must keep at least one channel, because a layer cannot "
            f"be empty. Received: none of {group.size}"
        )
    if (
        len({*numbers.tolist()}) < len(numbers)
        or not 0 <= numbers.min() <= numbers.max() < group.size
    ):
        raise ValueError(
            f"`{argument}['{group.name}']` must hold different numbers from 0 to {group.size - 1}. "
            f"Received: {numbers.tolist()}"
        )
    return numbers


def _refuse(argument: str, group: Group, possible: bool, what: str) -> None:
    if not possible:
        raise ValueError(
            f"`{argument}` must name groups whose channels can be {what}; leave '{group.name}' "
            f"out. Received: '{group.name}', whose channels stay because {group.reason}"
        )


def _taken(model: keras.Model, found: Groups, chosen: dict[str, np.ndarray]) -> keras.Model:
    """The model with the chosen channels of each group, in the chosen order."""
    takes = _takes(found, chosen)
    configs = _configs(found, chosen)

    def exchange(layer):
        cut = any(id(one) in takes for one in getattr(layer, "weights", ()))
        if not cut and id(layer) not in configs:
            return None
        config = {**layer.get_config(), **configs.get(id(layer), {})}
        return type(layer).from_config(config)

    def fill(layer, twin):
        if not any(id(one) in takes for one in layer.weights):
            carry(layer, twin, FrequencyTwin.fill_plain)
            return
        for before, after in zip(layer.weights, twin.weights, strict=True):
            assign_copy(after, _part(takes, before, before))
        carry_random_states(layer, twin)

    copy, _ = rebuild_by(model, exchange, fill)
    if model.compiled:
        carry_compiled(model, copy, lambda weight, slot, new: _part(takes, weight, slot))
    return copy


def _takes(found: Groups, chosen: dict[str, np.ndarray]) -> dict[int, dict[int, np.ndarray]]:
    """The positions to take along each axis of each weight, by the `id` of the weight."""
    sources: dict[tuple[int, int], np.ndarray] = {}
    for name, numbers in chosen.items():
        places, gone = np.sort(numbers), np.setdiff1d(np.arange(found[name].size), numbers)
        for one in found[name].axes:
            key = id(one.weight), one.axis
            source = sources.setdefault(key, np.arange(one.weight.shape[one.axis]))
            source[one.positions[places]] = one.positions[numbers]
            source[one.positions[gone]] = _GONE
    takes: dict[int, dict[int, np.ndarray]] = {}
    for (weight, axis), source in sources.items():
        takes.setdefault(weight, {})[axis] = source[source != _GONE]
    return takes


_GONE = -1


def _part(takes: dict, weight: keras.Variable, value):
    """A tensor of the shape of a weight, cut like the weight."""
    for axis, positions in takes.get(id(weight), {}).items():
        value = keras.ops.take(value, positions, axis=axis)
    return value


def _configs(found: Groups, chosen: dict[str, np.ndarray]) -> dict[int, dict]:
    """The keys that change in the config of a layer, by its `id`."""
    gone = {
        found.roots[name][number]
        for name, numbers in chosen.items()
        for number in np.setdiff1d(np.arange(found[name].size), numbers)
    }
    configs: dict[int, dict] = {}
    for length in found.trace.lengths.values():
        count = sum(one not in gone for one in found.trace.labels.roots(length.labels).tolist())
        before = length.layer.get_config()[length.key]
        # What is not given follows the input, which may lose other channels.
        if count == len(length.labels) and before is not None:
            continue
        changed = configs.setdefault(id(length.layer), {})
        value = changed.get(length.key, before)
        if length.index is None:
            value = count
        else:
            value = list(value or (None,))
            value[length.index] = count
        changed[length.key] = value
    return configs
