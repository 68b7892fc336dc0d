"""The layers whose kernels can be split, and the networks that take their places."""

import keras
import numpy as np

from fr_keras._backends import assign_copy
from fr_keras.layers import TWINS
from fr_keras.methods._splits import Split

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
KINDS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    *_TRANSPOSED,
)
_CHAIN = ("core", "out")


def unsplittable(layer: keras.layers.Layer, shapes: set) -> str | None:
    """Returns why the kernel of a layer, called on these shapes, cannot be split, or `None`."""
    if len({*map(len, shapes)}) != 1:
        return "it is called on tensors of different ranks"
    if getattr(layer, "groups", 1) > 1:
        return "its channels are in groups"
    if layer.kernel_constraint is not None:
        return "its kernel has a constraint"
    if getattr(layer, "lora_rank", None) or layer.quantization_mode is not None:
        return "its kernel has LoRA or is quantized"
    if not np.any(keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32"))):
        return "its kernel is zero"
    return None


def as_matrix(layer: keras.layers.Layer) -> np.ndarray:
    """The kernel as a matrix: everything that is not an output channel, and output channels."""
    kernel = keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32")).astype(np.float64)
    if isinstance(layer, _TRANSPOSED):
        kernel = kernel.swapaxes(-1, -2)
    return kernel.reshape(-1, kernel.shape[-1])


def as_kernel(layer: keras.layers.Layer, matrix: np.ndarray) -> np.ndarray:
    """The kernel of the kind of a layer that `as_matrix` makes a matrix of."""
    shape = tuple(layer.kernel.shape)
    if isinstance(layer, _TRANSPOSED):
        return matrix.reshape(*shape[:-2], shape[-1], -1).swapaxes(-1, -2)
    return matrix.reshape(*shape[:-1], -1)


def split_layer(layer: keras.layers.Layer, split: Split, shapes: set) -> keras.Model:
    """The network in the place of a layer that is called on tensors of these shapes."""
    # An axis on which they differ may have any length.
    shape = [lengths[0] if len({*lengths}) == 1 else None for lengths in zip(*shapes, strict=True)]
    inputs = keras.Input(batch_shape=shape, dtype=layer.compute_dtype)
    config, ending = layer.get_config(), {"activation": None, "activity_regularizer": None}
    branch = split.entries > 0
    twin = TWINS[type(layer)].from_config({**config, **(ending if branch else {})})
    last = np.zeros((1,) * getattr(layer, "rank", 0) + split.last.shape)
    kernels = {"core": as_kernel(layer, split.first), "out": last}
    outputs = inputs
    for stage in twin.stage_layers(_CHAIN, kernels):
        stage.kernel_regularizer = layer.kernel_regularizer
        outputs = stage(outputs)
    if branch:
        other = {**config, **ending, "use_bias": False, "name": f"{layer.name}_sparse"}
        added = keras.layers.Add(name=f"{layer.name}_sum", dtype=layer.dtype_policy)
        outputs = added([outputs, type(layer).from_config(other)(inputs)])
    if branch and (layer.activation is not keras.activations.linear or layer.activity_regularizer):
        outputs = keras.layers.Activation(
            layer.activation,
            activity_regularizer=layer.activity_regularizer,
            name=f"{layer.name}_activation",
            dtype=layer.dtype_policy,
        )(outputs)
    network = keras.Model(inputs, outputs, name=layer.name)
    network.trainable = layer.trainable
    return network


def fill_split(layer: keras.layers.Layer, network: keras.Model, split: Split) -> None:
    """Gives the network in the place of a layer its weights."""
    core, out = (network.get_layer(f"{layer.name}_{role}") for role in _CHAIN)
    core.kernel.assign(as_kernel(layer, split.first))
    out.kernel.assign(split.last.reshape(out.kernel.shape))
    if layer.use_bias:
        assign_copy(out.bias, layer.bias)
    if split.entries:
        sparse = network.get_layer(f"{layer.name}_sparse")
        sparse.kernel.assign(as_kernel(layer, split.sparse))
