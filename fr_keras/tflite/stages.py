"""What the kernels of a baked model are made of: recipes from coefficients and vectors."""

import dataclasses
import functools
import itertools
import math

import keras
import numpy as np

from fr_archive import ArchiveError
from fr_archive.recipes import Kitchen, Node, Op, Source, scalar
from fr_keras import zigzag
from fr_keras.forms import WHOLE, chooser
from fr_keras.joins import TRANSPOSED
from fr_keras.layers import FactoredKernel, FrequencyKernel
from fr_keras.rebuild import all_layers, frequency_layers
from fr_keras.series import kept_series
from fr_keras.vectors import weights

# Baking computes in float32, recipes in float64.
_CLOSE = 1e-4
# A joined stage ends in a part of another layer's cosines: so many are tried.
_MOST_TRIED = 256


@dataclasses.dataclass(frozen=True)
class Stage:
    """One layer of a baked model.

    Attributes:
        kernel: The recipe of its kernel `(..., in, out)`, or a transposed one `(..., out, in)`.
        bias: That of its bias; `None` for none, or zeros.
        transposed: Whether it is a transposed convolution.
    """

    kernel: Node
    bias: Node | None
    transposed: bool


@dataclasses.dataclass(frozen=True)
class Normalization:
    """A batch normalization: `scale * (x - mean) + offset`."""

    scale: Node
    mean: Node
    offset: Node | None


class Stages:
    """The recipes of a model's layers.

    A recipe is proven by its numbers: one that does not give the kernel that the baked model has
    is none.

    Args:
        model: A built model with FR layers.
        plain: What `bake` made of it.
        form: The form that it was baked in.

    Attributes:
        by_name: The stages, by the name of the baked layer.
        normalizations: The batch normalizations, by name.
        source: What the recipes take.
    """

    def __init__(self, model: keras.Model, plain: keras.Model, form: str):
        self._parts = {id(part): n for n, part in enumerate(frequency_layers(model))}
        self._vectors, self._series = _numbered(model)
        self.source = source(model)
        self._choose = chooser(form)
        self._layers = {layer.name: layer for layer in all_layers(model)}
        self._factored = [one for one in self._layers.values() if isinstance(one, FactoredKernel)]
        self.normalizations = {
            one.name: self._normalization(one)
            for one in self._layers.values()
            if isinstance(one, keras.layers.BatchNormalization)
        }
        self.by_name = {}
        for layer in all_layers(plain):
            if getattr(layer, "kernel", None) is not None:
                stage = self._stage(layer)
                if stage is not None:
                    self.by_name[layer.name] = stage

    def value(self, node: Node) -> np.ndarray | None:
        """What a recipe gives; `None` if it takes too much."""
        try:
            return Kitchen(self.source).array(node)
        except ArchiveError:
            return None

    def _stage(self, plain: keras.layers.Layer) -> Stage | None:
        layer, role = self._origin(plain.name)
        if layer is None:
            return None
        kernel = keras.ops.convert_to_numpy(plain.kernel)
        transposed = isinstance(plain, TRANSPOSED)
        has_bias = getattr(plain, "bias", None) is not None
        bias = self._vector(layer.bias) if has_bias else None
        candidates = self._candidates(layer, role, kernel.shape, transposed)
        for node, matrix in itertools.islice(candidates, _MOST_TRIED):
            if self._gives(node, kernel):
                if bias is not None and matrix is not None:
                    bias = Node(Op.CONTRACT, (bias, matrix), (0,))
                return Stage(node, bias, transposed)
        return None

    def _origin(self, name: str) -> tuple[keras.layers.Layer | None, str]:
        """The layer of the model that a baked one comes from, and its role in the chain."""
        if name in self._layers:
            return self._layers[name], "core"
        for role in ("in", "core", "out"):
            before, found, after = name.rpartition(f"_{role}")
            if found and before in self._layers and (not after or after[1:].isdigit()):
                return self._layers[before], role
        return None, ""

    def _candidates(self, layer, role: str, shape: tuple[int, ...], transposed: bool):
        """Recipes that may give a kernel, and the matrix behind it that its bias meets too."""
        if not isinstance(layer, FrequencyKernel):
            if layer.kernel is not None and id(layer.kernel) in self._vectors:
                yield self._reshaped(self._vector(layer.kernel), shape), None
            return
        if not isinstance(layer, FactoredKernel):
            yield self._reshaped(self._core(layer, ()), shape), None
            return
        roles = self._choose(layer).roles
        core = self._core(layer, roles)
        if role == "core" and math.prod(layer.spectrum_shape) == math.prod(shape):
            yield self._reshaped(self._core(layer, WHOLE), shape), None
        if role == "in":
            for start in self._offsets(layer, shape[-2]):
                yield self._reshaped(self._end(layer, 0, start, start + shape[-2]), shape), None
            return
        out = self._end(layer, 1) if "out" in roles else None
        if role == "out":
            yield self._reshaped(out, shape), None
        else:
            yield self._reshaped(core, shape), None
        axis = len(shape) - (2 if transposed else 1)
        for matrix in self._behind(layer, shape[axis]):
            if role == "out":
                yield self._reshaped(Node(Op.CONTRACT, (out, matrix), (1,)), shape), matrix
                continue
            both = matrix if out is None else Node(Op.CONTRACT, (out, matrix), (1,))
            yield Node(Op.CONTRACT, (core, both), (axis,)), matrix

    def _core(self, layer: FrequencyKernel, roles: tuple[str, ...]) -> Node:
        """The corner of the coefficients, rebuilt over the axes that no other stage takes."""
        corner, shape = layer.corner, layer.spectrum_shape
        whole = zigzag.integer_weights(shape, layer.axis_weights)[0]
        numbers = (self._parts[id(layer)], *corner, *whole)
        node = Node(Op.COEFFICIENTS, (), numbers)
        left = set()
        if isinstance(layer, FactoredKernel):
            inputs, outputs = layer.ends()
            left = {*(inputs if "in" in roles else ()), *(outputs if "out" in roles else ())}
        for axis, (n, r) in enumerate(zip(shape, corner, strict=True)):
            if axis not in left and n > 1:
                node = Node(Op.CONTRACT, (node, _cosines(n, r)), (axis,))
        return node

    def _end(self, layer: FactoredKernel, end: int, start: int = 0, stop: int = 0) -> Node:
        """The matrix of an end, `(in, r)` or `(r, out)`; of one axis, from `start` to `stop`."""
        axes = layer.ends()[end]
        lengths = [(layer.spectrum_shape[a], layer.corner[a]) for a in axes]
        if len(axes) == 1 and stop:
            parts = [Node(Op.COSINES, (), (*lengths[0], start, stop))]
        else:
            parts = [_cosines(*one) for one in lengths]
        matrix = functools.reduce(lambda a, b: Node(Op.KRON, (a, b)), parts)
        return matrix if end else Node(Op.TRANSPOSE, (matrix,), (1, 0))

    def _offsets(self, layer: FactoredKernel, width: int) -> list[int]:
        """Where the channels of a part may begin in what a layer reads."""
        axes = layer.ends()[0]
        length = math.prod(layer.spectrum_shape[a] for a in axes)
        if length == width or len(axes) > 1:
            return [0]
        return list(dict.fromkeys([0, length - width, *range(0, length - width, width)]))

    def _behind(self, layer: FactoredKernel, width: int):
        """Matrices of other layers that may follow: those that read a concatenation of this."""
        wide = math.prod(layer.spectrum_shape[a] for a in layer.ends()[1])
        for other in self._factored:
            axes = other.ends()[0]
            if (
                len(axes) == 1
                and other.spectrum_shape[axes[0]] > wide
                and other.corner[axes[0]] == width
            ):
                for start in self._offsets(other, wide):
                    yield self._end(other, 0, start, start + wide)

    def _reshaped(self, node: Node, shape: tuple[int, ...]) -> Node:
        value = self.value(node)
        same = value is None or value.shape == shape
        return node if same else Node(Op.RESHAPE, (node,), shape)

    def _gives(self, node: Node, kernel: np.ndarray) -> bool:
        value = self.value(node)
        return (
            value is not None
            and value.shape == kernel.shape
            and np.abs(value - kernel).max() <= _CLOSE * np.abs(kernel).max()
        )

    def _normalization(self, layer: keras.layers.BatchNormalization) -> Normalization:
        variance = self._vector(layer.moving_variance, Op.VARIANCES)
        root = Node(Op.SQRT, (Node(Op.ADD, (variance, scalar(layer.epsilon))),))
        gamma = scalar(1) if layer.gamma is None else self._vector(layer.gamma)
        return Normalization(
            Node(Op.DIVIDE, (gamma, root)),
            self._vector(layer.moving_mean),
            None if layer.beta is None else self._vector(layer.beta),
        )

    def _vector(self, variable: keras.Variable, op: Op = Op.VECTORS) -> Node:
        first, length = self._vectors[id(variable)]
        return Node(op, (), (first, length, math.prod(variable.shape)))


def source(model: keras.Model) -> Source:
    """What the recipes of a model take: its numbers, in the order of an archive."""
    parts, (_, series) = frequency_layers(model), _numbered(model)
    return Source(lambda number: kept_series(parts[number]), lambda number, _: series[number])


def _numbered(model: keras.Model) -> tuple[dict[int, tuple[int, int]], list[np.ndarray]]:
    """Of each weight beside the coefficients its first vector and their length; the vectors."""
    places, series = {}, []
    for weight in weights(model):
        if weight.lengths:
            places[id(weight.variable)] = len(series), weight.lengths[0]
            series += weight.cut(weight.values())
    return places, series


def _cosines(length: int, rows: int) -> Node:
    return Node(Op.COSINES, (), (length, rows, 0, length))
