"""Joins chains that meet, so that no wide tensor is made between two linear stages."""

import dataclasses

import keras
import numpy as np

from fr_keras._keras_internals import maker, nodes, times_called
from fr_keras.layers.forms import WHOLE
from fr_keras.models.origins import Baked, Origin
from fr_keras.models.walk import all_layers, rebuild_with_twins

#: Plain layers with a kernel `(..., out, in)`, and those with one `(..., in, out)`.
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
FORWARD = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def joined(baked: Baked) -> Baked:
    """Returns a baked model in which chains are joined with the chains that they read.

    A chain after a `Concatenate` of channels transforms each part to frequencies separately, and
    adds the results: the matrix of the whole is that of its parts side by side. So the wide tensor
    of all parts is never made. If a part comes from a chain without activation, it is not made
    either: the last stage of that chain and the first stage of this one become one matrix, which is
    merged into the core before it where that makes the core no wider.

    In a U-Net this removes every concatenation and every output of a transposed convolution.
    Chains inside nested models stay as they are.

    Args:
        baked: The result of `bake` before its chains are joined.
    """
    if isinstance(baked.model, keras.Sequential):
        return baked
    join = _Join(baked)
    if not join.concatenations:
        return baked
    model, twins = rebuild_with_twins(baked.model, lambda layer: None, call=join)
    copied = {id(twins[identity]): origin for identity, origin in baked.origins.items()}
    found, alive = {**copied, **join.origins}, [id(layer) for layer in all_layers(model)]
    return Baked(model, {identity: found[identity] for identity in alive if identity in found})


@dataclasses.dataclass(frozen=True)
class _Parts:
    """The inputs of a concatenation that is taken away."""

    tensors: list


@dataclasses.dataclass(frozen=True)
class _Unfinished:
    """A chain that is not called yet, because its last stage depends on its reader; its input."""

    tensor: keras.KerasTensor
    chain: keras.Sequential


class _Join:
    """Calls the layers of a graph, and joined layers in place of those that can be joined.

    Attributes:
        concatenations: Names of the concatenations that are taken away.
        origins: Origins of the joined layers, by `id`.
    """

    def __init__(self, baked: Baked):
        self._before, self.origins = baked.origins, {}
        # In one graph a name is one operation.
        self._layers = {layer.name: layer for layer in baked.model.layers}
        readers = _readers(baked.model)
        self.concatenations = {
            name
            for name, found in readers.items()
            if isinstance(self._layers.get(name), keras.layers.Concatenate)
            and times_called(self._layers[name]) == 1
            and all(self._takes_parts(reader, self._layers[name]) for reader in found)
        }
        self._unfinished = {
            name
            for name, found in readers.items()
            if self._ends_linear(self._layers.get(name))
            and len(found) == 1
            and found[0] is not None
            and found[0].name in self.concatenations
            # Read twice, its core would be computed twice.
            and len(readers[found[0].name]) == 1
        }

    def __call__(self, layer, *args, **kwargs):
        inputs = args[0] if args else kwargs.get("inputs")
        if layer.name in self.concatenations:
            return _Parts(list(inputs))
        if layer.name in self._unfinished:
            return _Unfinished(inputs, self._layers[layer.name])
        if isinstance(inputs, _Parts):
            return self._from_parts(self._layers[layer.name], inputs.tensors)
        return layer(*args, **kwargs)

    def _is_chain(self, layer) -> bool:
        return isinstance(layer, keras.Sequential) and all(
            self._before.get(id(stage), Origin(stage)).chain != WHOLE for stage in layer.layers
        )

    def _takes_parts(self, reader, concatenation: keras.layers.Concatenate) -> bool:
        """Whether a reader is a chain that begins with a matrix on the concatenated axis."""
        if not self._is_chain(reader) or times_called(reader) != 1:
            return False
        first, rank = reader.layers[0], len(concatenation.output.shape)
        channels = 1 if getattr(first, "data_format", None) == "channels_first" else rank - 1
        return (
            isinstance(first, FORWARD)
            and {1} == {*getattr(first, "kernel_size", (1,)), *getattr(first, "strides", (1,))}
            and getattr(first, "groups", 1) == 1
            and concatenation.axis % rank == channels
        )

    def _ends_linear(self, layer) -> bool:
        """Whether a layer is a chain without activation whose last stage can take in a matrix."""
        if not self._is_chain(layer) or times_called(layer) != 1:
            return False
        last = layer.layers[-1]
        return (
            isinstance(last, FORWARD + TRANSPOSED)
            and getattr(last, "groups", 1) == 1
            and last.activation is keras.activations.linear
        )

    def _from_parts(self, chain: keras.Sequential, parts: list) -> keras.KerasTensor:
        """The chain on the parts of its input, as one model of its name."""
        first, *rest = chain.layers
        kernel, row = keras.ops.convert_to_numpy(first.kernel), 0
        tensors, values = [], []
        inputs, sums = [], []
        for number, part in enumerate(parts):
            width = _width(part, first)
            rows = kernel[..., row : row + width, :]
            origin = dataclasses.replace(self._before[id(first)], channels=(row, row + width))
            row += width
            unfinished = isinstance(part, _Unfinished)
            tensors.append(self._finished(part, rows, origin) if unfinished else part)
            inputs.append(keras.Input(batch_shape=tensors[-1].shape, dtype=tensors[-1].dtype))
            if unfinished:
                sums.append(inputs[-1])
                continue
            stage = _like(first, f"{first.name}_{number}", rows, None)
            self.origins[id(stage)] = origin
            sums.append(stage(inputs[-1]))
            values.append((stage, [rows]))
        add = keras.layers.Add(name=f"{chain.name}_sum", dtype=first.dtype_policy)
        self.origins[id(add)] = dataclasses.replace(self._before[id(first)], roles=())
        x = add(sums)
        for stage in rest:
            copy = self._copied(stage)
            x = copy(x)
            values.append((copy, stage.get_weights()))
        model = keras.Model(inputs, x, name=chain.name)
        model.trainable = chain.trainable
        for stage, weights in values:
            stage.set_weights(weights)
        return model(tensors)

    def _finished(self, part: "_Unfinished", rows: np.ndarray, reader: Origin) -> keras.KerasTensor:
        """A chain with its last stage merged with the rows of the matrix that read its channels."""
        rows = _squeezed(rows)
        *before, last = part.chain.layers
        kernel, roles = _behind(last, rows), self._before[id(last)].roles
        end = last
        if roles == ("out",) and _merges(before[-1], kernel):
            kernel, roles = _behind(before[-1], _squeezed(kernel)), ("core", "out")
            end = before.pop()
        origin = dataclasses.replace(self._before[id(last)], roles=roles, reader=reader)
        end = _like(end, end.name, kernel, last.bias)
        self.origins[id(end)] = origin
        chain = keras.Sequential([*map(self._copied, before), end], name=part.chain.name)
        chain.trainable = part.chain.trainable
        output = chain(part.tensor)
        for stage, copy in zip(before, chain.layers[:-1], strict=True):
            copy.set_weights(stage.get_weights())
        bias = [] if last.bias is None else [keras.ops.convert_to_numpy(last.bias) @ rows]
        end.set_weights([kernel, *bias])
        return output

    def _copied(self, stage: keras.layers.Layer) -> keras.layers.Layer:
        copy = type(stage).from_config(stage.get_config())
        self.origins[id(copy)] = self._before[id(stage)]
        return copy


def _readers(model: keras.Model) -> dict[str, list]:
    """The readers of each operation's output, by its name; `None` is an output of the model."""
    found: dict[str, list] = {operation.name: [] for operation in model.operations}
    # Not the nodes of an operation: it may be called in other models too.
    for node in nodes(model):
        for tensor in node.input_tensors:
            found[maker(tensor).name].append(node.operation)
    for tensor in model.outputs:
        found[maker(tensor).name].append(None)
    return found


def _merges(core: keras.layers.Layer, kernel: np.ndarray) -> bool:
    """Whether a matrix after a core can be merged into its kernel without making it larger."""
    return getattr(core, "groups", 1) == 1 and kernel.shape[-1] <= kernel.shape[-2]


def _behind(stage: keras.layers.Layer, matrix: np.ndarray) -> np.ndarray:
    """The kernel of a linear stage with a matrix applied to its output."""
    kernel = keras.ops.convert_to_numpy(stage.kernel)
    if _is_transposed(stage):
        return np.einsum("...oi,op->...pi", kernel, matrix)
    return kernel @ matrix


def _like(stage: keras.layers.Layer, name: str, kernel: np.ndarray, bias) -> keras.layers.Layer:
    """A layer like `stage`, not built, for a kernel of another width."""
    width = kernel.shape[-2 if _is_transposed(stage) else -1]
    size = {"units" if isinstance(stage, keras.layers.Dense) else "filters": width}
    config = {**stage.get_config(), "name": name, "use_bias": bias is not None, **size}
    return type(stage).from_config(config)


def _is_transposed(stage: keras.layers.Layer) -> bool:
    return isinstance(stage, TRANSPOSED)


def _squeezed(kernel: np.ndarray) -> np.ndarray:
    """A 1x1 kernel, or that of a dense layer, as a matrix."""
    return kernel.reshape(kernel.shape[-2:])


def _width(part, first: keras.layers.Layer) -> int:
    tensor = part.chain.output if isinstance(part, _Unfinished) else part
    return tensor.shape[1 if getattr(first, "data_format", None) == "channels_first" else -1]
