"""Recipes that compute the kernels of a baked model from coefficients and vectors."""

import dataclasses
import functools
import math

import keras
import numpy as np

from fr_archive import ArchiveError
from fr_archive.archive import MOST_KERNEL_NUMBERS
from fr_archive.recipes import Evaluator, Node, Op, Source, scalar
from fr_keras import zigzag
from fr_keras.layers import FactoredKernel, FrequencyKernel
from fr_keras.models.coefficients import kept_series
from fr_keras.models.joins import TRANSPOSED
from fr_keras.models.origins import Baked, Origin
from fr_keras.models.vectors import Weight, weights
from fr_keras.models.walk import all_layers, frequency_layers

# Baking computes in float32, recipes in float64.
_CLOSE = 1e-4


@dataclasses.dataclass(frozen=True)
class LayerRecipe:
    """One layer of a baked model.

    Attributes:
        kernel: The recipe of its kernel `(..., in, out)`, or a transposed one `(..., out, in)`.
        bias: The recipe of its bias; `None` if there is no bias, or for zeros.
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


class LayerRecipes:
    """The recipes of a model's layers.

    Every recipe is checked by its numbers, and dropped if it does not give the kernel of the baked
    model.

    Args:
        model: A built model with FR layers.
        plain: The model baked from it.

    Attributes:
        kernels: The recipes of layers with a kernel, by `id` of the baked layer.
        normalizations: The batch normalizations, by `id` of the baked layer.
        source: The numbers that the recipes read.
    """

    def __init__(self, model: keras.Model, plain: Baked):
        self._parts = {id(part): n for n, part in enumerate(frequency_layers(model))}
        self._vectors, _ = _numbered(model)
        self._kernels = {
            id(one.variable): Node(Op.KERNEL, (), (number, *one.variable.shape))
            for number, one in enumerate(_in_space(model))
        }
        self.source = source(model)
        self.kernels, self.normalizations = {}, {}
        for layer in all_layers(plain.model):
            if id(layer) not in plain.origins:
                continue
            origin = plain.origins[id(layer)]
            if isinstance(origin.layer, keras.layers.BatchNormalization):
                self.normalizations[id(layer)] = self._normalization(origin.layer)
            elif getattr(layer, "kernel", None) is not None:
                recipe = self._layer(layer, origin)
                if recipe is not None:
                    self.kernels[id(layer)] = recipe

    def value(self, node: Node) -> np.ndarray | None:
        """The numbers that a recipe gives; `None` if computing them takes too much."""
        try:
            return Evaluator(self.source).array(node)
        except ArchiveError:
            return None

    def _layer(self, plain: keras.layers.Layer, origin: Origin) -> LayerRecipe | None:
        kernel = keras.ops.convert_to_numpy(plain.kernel)
        transposed = isinstance(plain, TRANSPOSED)
        axis = kernel.ndim - (2 if transposed else 1)
        node, matrix = self._kernel(origin, axis), self._matrix(origin.reader)
        if node is not None:
            node = self._reshaped(node, kernel.shape)
        if node is None or not self._gives(node, kernel):
            return None
        bias = None
        if getattr(plain, "bias", None) is not None:
            bias = self._vector(origin.layer.bias)
            if matrix is not None:
                bias = Node(Op.CONTRACT, (bias, matrix), (0,))
        return LayerRecipe(node, bias, transposed)

    def _kernel(self, origin: Origin, axis: int) -> Node | None:
        """The recipe of a kernel, whatever its shape; `axis` is its output axis."""
        layer, roles = origin.layer, origin.roles
        if not isinstance(layer, FrequencyKernel):
            return self._kernels.get(id(getattr(layer, "kernel", None)))
        if not isinstance(layer, FactoredKernel):
            return self._core(layer, ())
        if roles == ("in",):
            return self._end(layer, 0, origin.channels)
        matrix = self._matrix(origin.reader)
        if "out" in roles:
            out = self._end(layer, 1)
            matrix = out if matrix is None else Node(Op.CONTRACT, (out, matrix), (1,))
        if "core" not in roles or origin.channels is not None:
            return matrix if "core" not in roles else None
        core = self._core(layer, origin.chain)
        return core if matrix is None else Node(Op.CONTRACT, (core, matrix), (axis,))

    def _matrix(self, reader: Origin | None) -> Node | None:
        """The matrix of a chain's reader that was multiplied into its last stage."""
        if reader is None or reader.roles != ("in",):
            return None
        return self._end(reader.layer, 0, reader.channels)

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

    def _end(
        self, layer: FactoredKernel, end: int, channels: tuple[int, int] | None = None
    ) -> Node:
        """The matrix of an outer stage, `(in, r)` or `(r, out)`, for some or all `channels`."""
        axes = layer.ends()[end]
        lengths = [(layer.spectrum_shape[a], layer.corner[a]) for a in axes]
        if channels is not None:
            parts = [Node(Op.COSINES, (), (*lengths[0], *channels))]
        else:
            parts = [_cosines(*one) for one in lengths]
        matrix = functools.reduce(lambda a, b: Node(Op.KRON, (a, b)), parts)
        return matrix if end else Node(Op.TRANSPOSE, (matrix,), (1, 0))

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
        size = math.prod(variable.shape)
        if id(variable) in self._kernels:  # a bias with several axes
            return Node(Op.RESHAPE, (self._kernels[id(variable)],), (size,))
        first, length = self._vectors[id(variable)]
        return Node(op, (), (first, length, size))


def fits_an_archive(model: keras.Model) -> bool:
    """Whether an archive may hold the weights of a model beside its coefficients."""
    try:
        return sum(one.size for one in _in_space(model)) <= MOST_KERNEL_NUMBERS
    except ArchiveError:
        return False


def source(model: keras.Model) -> Source:
    """The numbers of a model that its recipes read, in the order of an archive."""
    parts, (_, series), kernels = frequency_layers(model), _numbered(model), _in_space(model)
    return Source(
        lambda number: kept_series(parts[number]),
        lambda number, _: series[number],
        lambda number: kernels[number].values(),
    )


def _numbered(model: keras.Model) -> tuple[dict[int, tuple[int, int]], list[np.ndarray]]:
    """For each weight in vectors, its first vector and the length; all vectors."""
    places, series = {}, []
    for weight in weights(model):
        if weight.lengths and not weight.in_space:
            places[id(weight.variable)] = len(series), weight.lengths[0]
            series += weight.cut(weight.values())
    return places, series


def _in_space(model: keras.Model) -> list[Weight]:
    return [weight for weight in weights(model) if weight.in_space]


def _cosines(length: int, rows: int) -> Node:
    return Node(Op.COSINES, (), (length, rows, 0, length))
