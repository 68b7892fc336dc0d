"""`groups`: the sets of channels of a model."""

import collections
import dataclasses
from collections.abc import Iterator

import keras
import numpy as np
from rich import box
from rich.console import Group as Lines
from rich.markup import escape
from rich.table import Table

from fr_keras._printing import Printed
from fr_keras.models.channels import _kernels, _moves, _operators, _others
from fr_keras.models.channels._labels import NOTHING, Hold
from fr_keras.models.channels._trace import Role, Slot, Trace
from fr_keras.models.walk import check_graph, named_layers

_RULES = {**_moves.RULES, **_kernels.RULES, **_others.RULES, **_operators.RULES}


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """The channels of a group along one axis of one weight.

    Attributes:
        layer: The name of the layer, as in `summary`.
        owner: The layer that holds the weight: the layer itself, or one inside it.
        weight: The weight.
        axis: The number of the axis.
        role: What the layer does to the channels: `"makes"`, `"reads"` or `"scales"`.
        positions: Where each channel lies on the axis, `(channels, copies)`: after a Flatten, a
            channel has a copy for each position of the image.
        input_axis: The axis of the owner's input that has the channels, if it reads them.
    """

    layer: str
    owner: keras.layers.Layer
    weight: keras.Variable
    axis: int
    role: Role
    positions: np.ndarray
    input_axis: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Channels that can take each other's place.

    Attributes:
        name: The name of the first layer that makes them. Where one layer makes several groups,
            a colon and a number follow; the heads of an attention layer are `"<layer>/heads"`.
        size: How many channels there are.
        removable: Whether channels can be removed.
        orderable: Whether channels can be put in another order.
        reason: Why not, if one of both is false; otherwise empty.
        axes: Where the channels lie, in the order of the graph.
    """

    name: str
    size: int
    removable: bool
    orderable: bool
    reason: str
    axes: tuple[Axis, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that make the channels."""
        return tuple(dict.fromkeys(one.layer for one in self.axes if one.role == Role.MAKES))


@dataclasses.dataclass(frozen=True, eq=False)
class Groups(Printed, collections.abc.Mapping):
    """The groups of a model by name; printing it draws a table.

    Attributes:
        model: The name of the model.
        by_name: The groups.
        trace: Where the channels were found.
        roots: The label of each channel of a group.
    """

    model: str
    by_name: dict[str, Group]
    trace: Trace = dataclasses.field(repr=False)
    roots: dict[str, list[int]] = dataclasses.field(repr=False)

    def __getitem__(self, name: str) -> Group:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)

    def to_dict(self) -> dict:
        """Returns the groups as plain types, ready for JSON."""
        return {
            name: {
                "channels": one.size,
                "removable": one.removable,
                "orderable": one.orderable,
                "reason": one.reason,
                "layers": list(one.layers),
            }
            for name, one in self.by_name.items()
        }

    def __rich__(self) -> Lines:
        table = Table(title=escape(self.model), box=box.SIMPLE_HEAD)
        for column in ("group", "channels", "made by", "can be", "because"):
            table.add_column(column, justify="right" if column == "channels" else "left")
        for one in self.by_name.values():
            can = "removed, ordered" if one.removable else "ordered" if one.orderable else "-"
            made = ", ".join(one.layers)
            cells = (one.name, f"{one.size:,}", made, can, one.reason)
            table.add_row(*map(escape, cells))
        return Lines(table)


def groups(model: keras.Model) -> Groups:
    """Returns the sets of channels of a model that can be removed or put in another order.

    A channel is an output of a layer, with everything that belongs to it: the filter that makes it,
    its bias and its numbers in normalizations, and the weights of the layers that read it. Channels
    that an addition joins are one channel. A layer that is not known here keeps the channels that
    it reads and gives; so do the inputs and outputs of the model.

    Layers of several kernels count, too: attention has its heads, and separable convolutions their
    filters. Layers in the DCT domain are not known: `bake` the model first.

    Args:
        model: A built functional or sequential model. It is not changed.

    Raises:
        ValueError: If `model` is unbuilt or has no graph of layers.

    Example:

    >>> from fr_keras.models import channels
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(16, 3, activation="relu", name="conv")(inputs)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> model = keras.Model(inputs, keras.layers.Dense(10, name="logits")(x))
    >>> found = channels.groups(model)
    >>> found["conv"].size, found["conv"].removable
    (16, True)
    >>> found["logits"].reason
    'the model gives them'
    """
    check_graph(model)
    trace = Trace(_RULES)
    for axes in trace.run(model, [(None,) * len(one.shape) for one in model.inputs]):
        trace.hold(axes, [], Hold.FIXED, "the model gives them")
    return _grouped(model, trace)


def _grouped(model: keras.Model, trace: Trace) -> Groups:
    names = {id(layer): name for name, layer in named_layers(model).items()}
    alike: dict[tuple, list[int]] = {}
    for root, places in _places(trace).items():
        alike.setdefault((*trace.labels.state(root), tuple(places)), []).append(root)
    sets = [(_name(trace, names, roots[0]), key, roots) for key, roots in alike.items()]
    times, used = collections.Counter(name for name, *_ in sets), collections.Counter()
    axes = _axes(trace, names, [roots for *_, roots in sets])
    found, labels = {}, {}
    for (name, (hold, why, _), roots), along in zip(sets, axes, strict=True):
        used[name] += 1
        name = f"{name}:{used[name]}" if times[name] > 1 else name
        free, fixed = hold == Hold.FREE, hold == Hold.FIXED
        found[name] = Group(name, len(roots), free, not fixed, why, tuple(along))
        labels[name] = roots
    return Groups(model.name, found, trace, labels)


def _members(trace: Trace) -> dict[int, tuple[int, int]]:
    """For each label the number of what makes it, and its number among those of its class."""
    members, times = {}, collections.Counter()
    for number, (_, labels) in enumerate(trace.made.values()):
        for label, root in zip(labels.tolist(), trace.labels.roots(labels).tolist(), strict=True):
            members[label] = number, times[number, root]
            times[number, root] += 1
    return members


def _places(trace: Trace) -> dict[int, list]:
    """For each class, where its labels lie: two classes with equal places can be exchanged."""
    members, places = _members(trace), {}
    for _, labels in trace.made.values():
        for root in trace.labels.roots(labels).tolist():
            places.setdefault(root, [])
    for number, slot in enumerate(trace.slots.values()):
        roots = trace.labels.roots(slot.labels).tolist()
        for label, root in zip(slot.labels.tolist(), roots, strict=True):
            if label != NOTHING:
                places[root].append((number, *members[label]))
    return places


def _name(trace: Trace, names: dict[int, str], root: int) -> str:
    """The name of the layer that makes the first label of a class, and of the kind of channels."""
    for (identity, kind), (_, labels) in trace.made.items():
        if root in labels:
            return f"{names[identity]}/{kind}" if kind else names[identity]
    raise AssertionError("each label is made by a layer")


def _axes(trace: Trace, names: dict[int, str], sets: list[list[int]]) -> list[list[Axis]]:
    """Where the channels of each set of classes lie, in the order of the classes."""
    place = {root: (i, k) for i, roots in enumerate(sets) for k, root in enumerate(roots)}
    found: list[list[Axis]] = [[] for _ in sets]
    for slot in trace.slots.values():
        roots = trace.labels.roots(slot.labels).tolist()
        where = np.array([place.get(root, (-1, -1)) for root in roots])
        for number in np.unique(where[:, 0]):
            if number < 0:
                continue
            (positions,) = np.nonzero(where[:, 0] == number)
            # Stable, so that the copies of a channel stay in order.
            positions = positions[np.argsort(where[positions, 1], kind="stable")]
            positions = positions.reshape(len(sets[number]), -1)
            found[number].append(_axis(slot, names[id(slot.layer)], positions))
    return found


def _axis(slot: Slot, layer: str, positions: np.ndarray) -> Axis:
    return Axis(layer, slot.owner, slot.weight, slot.axis, slot.role, positions, slot.input_axis)
