"""Follows the channels of a model through its graph."""

import dataclasses
import enum
import inspect
from collections.abc import Callable, Sequence

import keras
import numpy as np

from fr_keras._keras_internals import maker, nodes
from fr_keras.models.channels._labels import Along, Axes, Hold, Labels


class Role(enum.StrEnum):
    """What a layer does to channels along an axis of a weight."""

    #: It makes them: the output axis of a kernel.
    MAKES = "makes"
    #: It reads them: the input axis of a kernel.
    READS = "reads"
    #: It passes them on, each changed by numbers of its own: biases, normalizations.
    SCALES = "scales"


@dataclasses.dataclass
class Slot:
    """Channels along an axis of a weight.

    Attributes:
        layer: The layer in the graph.
        owner: The layer that holds the weight: `layer` or one inside it.
        weight: The weight.
        axis: The axis of the weight.
        role: What the layer does to the channels.
        labels: The labels along that axis.
        input_axis: The axis of the owner's input on which the channels are, where it reads them.
    """

    layer: keras.layers.Layer
    owner: keras.layers.Layer
    weight: keras.Variable
    axis: int
    role: Role
    labels: np.ndarray
    input_axis: int | None = None


@dataclasses.dataclass
class Length:
    """A number in a layer's config that counts channels.

    Attributes:
        layer: The layer or operator.
        key: The key of the config.
        index: The place in a sequence, or `None` where the value is the number.
        labels: The labels that it counts.
    """

    layer: keras.Operation
    key: str
    index: int | None
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer or operator.

    Attributes:
        layer: The layer or operator.
        inputs: The labels of each input tensor. Masks are no inputs: they have no channels.
        shapes: The shapes of the input tensors.
        output_shapes: The shapes of the output tensors.
        arguments: The arguments of `call` by name.
        tensors: The numbers of the input tensors that each argument holds.
    """

    layer: keras.Operation
    inputs: tuple[Axes, ...]
    shapes: tuple[tuple, ...]
    output_shapes: tuple[tuple, ...]
    arguments: dict[str, object]
    tensors: dict[str, list[int]]

    @property
    def name(self) -> str:
        return f"'{self.layer.name}' ({type(self.layer).__name__})"


#: Says what a call does to channels, and returns the labels of its outputs; `None` if it cannot.
Rule = Callable[["Trace", Call], Sequence[Axes] | None]


class Trace:
    """The channels of a model: labels, and where they lie.

    Attributes:
        labels: The classes of labels.
        slots: Where channels lie, by weight and axis, in the order of the graph.
        lengths: The numbers in configs that count channels, by the `id` of the layer and the place.
        made: The layers that make channels, each with the labels, by the `id` of the layer and a
            name for the axis, where a layer makes channels on several.
    """

    def __init__(self, rules: dict[type, Rule]):
        self.labels = Labels()
        self.slots: dict[tuple[int, int], Slot] = {}
        self.lengths: dict[tuple[int, str, int | None], Length] = {}
        self.made: dict[tuple[int, str], tuple[keras.layers.Layer, np.ndarray]] = {}
        self._rules = rules

    def run(self, model: keras.Model, inputs: Sequence[Axes]) -> list[Axes]:
        """Follows the channels of the inputs, and those made on the way, to the outputs."""
        found = {id(tensor): axes for tensor, axes in zip(model.inputs, inputs, strict=True)}
        for tensor, axes in zip(model.inputs, inputs, strict=True):
            self._enter(tensor, axes)
        for node in nodes(model):
            if node.is_input:
                continue
            outputs = self.call(_called(node, found))
            found |= {id(one): axes for one, axes in zip(node.outputs, outputs, strict=True)}
        return [found[id(tensor)] for tensor in model.outputs]

    def _enter(self, tensor: keras.KerasTensor, axes: Axes) -> None:
        """Where channels enter a nested model, its input layer says how many they are."""
        for axis, along in enumerate(axes):
            self.length(maker(tensor), "batch_shape", axis, along)

    def call(self, call: Call) -> Sequence[Axes]:
        """Returns the labels of the outputs of a call."""
        layer = call.layer
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            return self._nested(call)
        if isinstance(layer, keras.layers.TimeDistributed):
            return self._steps(call)
        rule = self._rules.get(type(layer))
        outputs = None if rule is None else rule(self, call)
        if outputs is None:
            return self.end(call, f"{call.name} is a layer whose channels are not known")
        return outputs

    def _nested(self, call: Call) -> Sequence[Axes]:
        inner = call.layer
        if [tuple(one.shape) for one in inner.inputs] != [tuple(one) for one in call.shapes]:
            return self.end(call, f"{call.name} is called on other shapes than it was made for")
        return self.run(inner, call.inputs)

    def _steps(self, call: Call) -> Sequence[Axes]:
        """A `TimeDistributed`: its layer sees tensors without the axis of steps."""

        def without(one):
            return (one[0], *one[2:])

        (axes,), inner = call.inputs, call.layer.layer
        self.labels.hold(axes[1], Hold.FIXED, f"{call.name} walks along them")
        shapes = tuple(map(without, call.shapes)), tuple(map(without, call.output_shapes))
        step = Call(inner, (without(axes),), *shapes, call.arguments, call.tensors)
        return [(one[0], None, *one[1:]) for one in self.call(step)]

    def end(self, call: Call, why: str) -> Sequence[Axes]:
        """Holds the channels of all inputs; the outputs have none that are known."""
        for axes in call.inputs:
            self.hold(axes, [], Hold.FIXED, why)
        return [(None,) * len(shape) for shape in call.output_shapes]

    def make(self, layer: keras.layers.Layer, count: int, kind: str = "") -> np.ndarray:
        """Returns labels for the channels that a layer makes, the same in each of its calls."""
        if (id(layer), kind) not in self.made:
            self.made[id(layer), kind] = layer, self.labels.new(count)
        return self.made[id(layer), kind][1]

    def note(
        self,
        owner: keras.layers.Layer,
        weight: keras.Variable | None,
        axis: int,
        role: Role,
        labels: Along,
        input_axis: int | None = None,
        within: keras.layers.Layer | None = None,
    ) -> None:
        """Notes channels along an axis of a weight, if there are any.

        In a later call of the layer, the same channels lie there. The arguments are those of
        `Slot`; `within` is the layer in the graph, if that is not the owner.
        """
        if weight is None or labels is None:
            return
        axis, layer = axis % len(weight.shape), within or owner
        slot = Slot(layer, owner, weight, axis, role, labels, input_axis)
        before = self.slots.setdefault((id(weight), axis), slot)
        self.labels.unite(before.labels, labels, _shared(layer))

    def length(self, layer: keras.Operation, key: str, index: int | None, labels: Along) -> None:
        """Notes a number in a config that counts channels."""
        if labels is not None:
            length = Length(layer, key, index, labels)
            before = self.lengths.setdefault((id(layer), key, index), length)
            self.labels.unite(before.labels, labels, _shared(layer))

    def hold(self, axes: Axes, but: Sequence[int], hold: Hold, why: str) -> Axes:
        """Holds the channels on all axes but some, and returns the labels of the others."""
        for axis, along in enumerate(axes):
            if axis not in but:
                self.labels.hold(along, hold, why)
        return tuple(along if axis in but else None for axis, along in enumerate(axes))


def _shared(layer: keras.Operation) -> str:
    return f"'{layer.name}' is called on these channels and on others that stay"


def _called(node, found: dict[int, Axes]) -> Call:
    arguments = _arguments(node)
    masks = {id(one) for one in keras.tree.flatten(arguments.get("mask"))}
    inputs = [one for one in node.input_tensors if id(one) not in masks]
    shapes = tuple(tuple(tensor.shape) for tensor in inputs)
    outputs = tuple(tuple(tensor.shape) for tensor in node.outputs)
    numbers = {id(tensor): number for number, tensor in enumerate(inputs)}
    tensors = {
        name: [numbers[id(one)] for one in keras.tree.flatten(value) if id(one) in numbers]
        for name, value in arguments.items()
    }
    axes = tuple(found[id(tensor)] for tensor in inputs)
    return Call(node.operation, axes, shapes, outputs, arguments, tensors)


def _arguments(node) -> dict[str, object]:
    signature = inspect.signature(node.operation.call)
    try:
        bound = signature.bind(*node.arguments.args, **node.arguments.kwargs)
    except TypeError:  # what goes beyond the signature is in no rule
        return dict(node.arguments.kwargs)
    return bound.arguments
