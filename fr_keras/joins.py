"""Chains that meet: where one linear stage follows another, no wide tensor between them."""

import dataclasses

import keras
import numpy as np

from fr_keras.rebuild import rebuild

#: Plain layers with a kernel `(..., out, in)`, and those with one `(..., in, out)`.
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
FORWARD = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def joined(model: keras.Model) -> keras.Model:
    """Returns a copy of a baked model in which chains are joined with what they read.

    A chain behind a `Concatenate` of channels takes each part to the frequencies by itself and
    adds them up there, for the cosines of the whole are those of its parts side by side: the
    wide tensor of all parts is never made. A part that comes from a chain without activation is
    not made either: the last stage of that chain and the first of this one are one matrix, in
    one with the core before them where that is no wider.

    In a U-Net this takes away every concatenation and every output of a transposed convolution.
    Chains inside nested models stay as they are.

    Args:
        model: A functional or sequential model of plain layers, with chains as `bake` makes them.
    """
    if isinstance(model, keras.Sequential):
        return model
    join = _Join(model)
    return rebuild(model, lambda layer: None, call=join) if join.concatenations else model


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What a concatenation would have concatenated."""

    tensors: list


@dataclasses.dataclass(frozen=True)
class _Unfinished:
    """A chain that is not called yet, for its end depends on what reads it; and its input."""

    tensor: keras.KerasTensor
    chain: keras.Sequential


class _Join:
    """Calls the layers of a graph, and in place of those that can be joined, the joined ones.

    Attributes:
        concatenations: Names of the concatenations that are taken away.
    """

    def __init__(self, model: keras.Model):
        self._layers = {layer.name: layer for layer in model.layers}
        readers = _readers(model)
        self.concatenations = {
            name
            for name, found in readers.items()
            if isinstance(self._layers.get(name), keras.layers.Concatenate)
            and len(self._layers[name]._inbound_nodes) == 1
            and all(_takes_parts(reader, self._layers[name]) for reader in found)
        }
        self._unfinished = {
            name
            for name, found in readers.items()
            if _ends_linear(self._layers.get(name))
            and len(found) == 1
            and found[0] is not None
            and found[0].name in self.concatenations
            # Read twice, its core would be computed twice.
            and len(readers[found[0].name]) == 1
        }

    def __call__(self, layer, *args, **kwargs):
        if layer.name in self.concatenations:
            return _Parts(list(args[0]))
        if layer.name in self._unfinished:
            return _Unfinished(args[0], self._layers[layer.name])
        if args and isinstance(args[0], _Parts):
            return _from_parts(self._layers[layer.name], args[0].tensors)
        return layer(*args, **kwargs)


def _readers(model: keras.Model) -> dict[str, list]:
    """What reads the output of each operation, by name; `None` is an output of the model."""
    found: dict[str, list] = {operation.name: [] for operation in model.operations}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for tensor in node.input_tensors:
                found[tensor._keras_history.operation.name].append(operation)
    for tensor in model.outputs:
        found[tensor._keras_history.operation.name].append(None)
    return found


def _takes_parts(reader, concatenation: keras.layers.Concatenate) -> bool:
    """Whether a reader is a chain of which the first stage is a matrix on the concatenated axis."""
    if not _is_chain(reader) or len(reader._inbound_nodes) != 1:
        return False
    first, rank = reader.layers[0], len(concatenation.output.shape)
    channels = 1 if getattr(first, "data_format", None) == "channels_first" else rank - 1
    return (
        isinstance(first, FORWARD)
        and {1} == {*getattr(first, "kernel_size", (1,)), *getattr(first, "strides", (1,))}
        and getattr(first, "groups", 1) == 1
        and concatenation.axis % rank == channels
    )


def _ends_linear(layer) -> bool:
    """Whether a layer is a chain without activation, of which the end takes a matrix behind it."""
    if not _is_chain(layer) or len(layer._inbound_nodes) != 1:
        return False
    last = layer.layers[-1]
    return (
        isinstance(last, FORWARD + TRANSPOSED)
        and getattr(last, "groups", 1) == 1
        and last.activation is keras.activations.linear
    )


def _is_chain(layer) -> bool:
    return isinstance(layer, keras.Sequential) and all(
        stage.name.startswith(f"{layer.name}_") for stage in layer.layers
    )


def _from_parts(chain: keras.Sequential, parts: list) -> keras.KerasTensor:
    """The chain on the parts of its input, as one model of its name."""
    first, *rest = chain.layers
    kernel, row = keras.ops.convert_to_numpy(first.kernel), 0
    tensors, values = [], []
    inputs, sums = [], []
    for number, part in enumerate(parts):
        width = _width(part, first)
        rows = kernel[..., row : row + width, :]
        row += width
        tensors.append(_finished(part, rows) if isinstance(part, _Unfinished) else part)
        inputs.append(keras.Input(batch_shape=tensors[-1].shape, dtype=tensors[-1].dtype))
        if isinstance(part, _Unfinished):
            sums.append(inputs[-1])
            continue
        stage = _like(first, f"{first.name}_{number}", rows, None)
        sums.append(stage(inputs[-1]))
        values.append((stage, [rows]))
    x = keras.layers.Add(name=f"{chain.name}_sum", dtype=first.dtype_policy)(sums)
    for stage in rest:
        copy = type(stage).from_config(stage.get_config())
        x = copy(x)
        values.append((copy, stage.get_weights()))
    model = keras.Model(inputs, x, name=chain.name)
    model.trainable = chain.trainable
    for stage, weights in values:
        stage.set_weights(weights)
    return model(tensors)


def _finished(part: _Unfinished, rows: np.ndarray) -> keras.KerasTensor:
    """The end of a chain, and the rows of a matrix that read its channels, as one stage."""
    stages, rows = part.chain.layers, _squeezed(rows)
    *before, last = stages
    kernel = _behind(last, rows)
    if last.name.endswith("_out") and _merges(before[-1], kernel):
        kernel = _behind(before[-1], _squeezed(kernel))
        *before, last_core = before
        end = _like(last_core, last_core.name, kernel, last.bias)
    else:
        end = _like(last, last.name, kernel, last.bias)
    chain = keras.Sequential(
        [*(type(stage).from_config(stage.get_config()) for stage in before), end],
        name=part.chain.name,
    )
    chain.trainable = part.chain.trainable
    output = chain(part.tensor)
    for stage, copy in zip(before, chain.layers[:-1], strict=True):
        copy.set_weights(stage.get_weights())
    bias = [] if last.bias is None else [keras.ops.convert_to_numpy(last.bias) @ rows]
    end.set_weights([kernel, *bias])
    return output


def _merges(core: keras.layers.Layer, kernel: np.ndarray) -> bool:
    """Whether a core can take a matrix behind it into its kernel without growing."""
    return getattr(core, "groups", 1) == 1 and kernel.shape[-1] <= kernel.shape[-2]


def _behind(stage: keras.layers.Layer, matrix: np.ndarray) -> np.ndarray:
    """The kernel of a linear stage with a matrix applied to its output."""
    kernel = keras.ops.convert_to_numpy(stage.kernel)
    if _is_transposed(stage):
        return np.einsum("...oi,op->...pi", kernel, matrix)
    return kernel @ matrix


def _like(stage: keras.layers.Layer, name: str, kernel: np.ndarray, bias) -> keras.layers.Layer:
    """A layer as `stage`, not built and without activation, for a kernel of another width."""
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
