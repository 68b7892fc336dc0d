"""Layers that are linear but for bias and activation, and the chains that they can become."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from fr_keras._backends import exact_type
from fr_keras.layers import TWINS
from fr_keras.methods._tucker2 import Factors
from fr_keras.models.twins import flattened_axes

#: A stage of a chain: its role, the layer, and the values of its kernel. A layer that only puts
#: numbers in another shape has no role and no kernel.
Stage = tuple[str | None, keras.layers.Layer, np.ndarray | None]


class Linear:
    """A layer whose kernel is seen as an array `(groups, k, s, t)`.

    For each group, and each of `k` positions, it is a matrix from `s` input channels to `t` output
    channels.

    Attributes:
        layer: The layer, built.
        shape: `(groups, k, s, t)`.
    """

    shape: tuple[int, int, int, int]

    def __init__(self, layer: keras.layers.Layer):
        self.layer = layer

    def kernel(self) -> np.ndarray:
        """Returns the kernel in the shape above, not in half precision."""
        kernel = self.layer.kernel
        exact = exact_type(kernel.dtype)
        return self._ordered(ops.convert_to_numpy(ops.cast(kernel, exact)))

    def like(self, kernel: np.ndarray) -> keras.layers.Layer:
        """Returns a layer with another kernel, in float32 and without bias and activation."""
        config = self.layer.get_config()
        bias = {"use_bias": False} if "use_bias" in config else {"bias_axes": None}
        config |= {"activation": None, "activity_regularizer": None, "dtype": "float32", **bias}
        copy = type(self.layer).from_config(config)
        copy.build(self.layer.get_build_config()["input_shape"])
        copy.kernel.assign(self._restored(kernel))
        return copy

    def channels(self, inputs: np.ndarray) -> np.ndarray:
        """Returns inputs of the layer as `(positions, groups, s)`."""
        groups, _, s, _ = self.shape
        return inputs.reshape(-1, groups, s)

    def outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Returns outputs of the layer as `(positions, groups, t)`."""
        groups, _, _, t = self.shape
        return outputs.reshape(-1, groups, t)

    def stages(self, factors: Sequence[Factors]) -> list[Stage]:
        """Returns the layers of the chain from the factors of each group, not built."""
        kernels = {"core": self._core(np.stack([one.core for one in factors]))}
        if factors[0].before is not None:
            before = np.concatenate([one.before for one in factors], axis=1)
            kernels = {"in": self._end(before), **kernels}
        if factors[0].after is not None:
            kernels["out"] = self._end(np.concatenate([one.after for one in factors], axis=1))
        config = {**self.layer.get_config(), "kernel_regularizer": None}
        twin = TWINS[type(self.layer)].from_config(config)
        layers = twin.stage_layers([*kernels], kernels)
        for one in layers:  # what keeps the kernel small keeps its factors small
            one.kernel_regularizer = self.layer.kernel_regularizer
        return list(zip(kernels, layers, kernels.values(), strict=True))

    def _ordered(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel of the layer in the order of `shape`."""
        raise NotImplementedError

    def _restored(self, kernel: np.ndarray) -> np.ndarray:
        """The opposite of `_ordered`."""
        raise NotImplementedError

    def _core(self, core: np.ndarray) -> np.ndarray:
        """The kernel of the stage from the cores of all groups."""
        raise NotImplementedError

    def _end(self, matrix: np.ndarray) -> np.ndarray:
        """The kernel of a stage from the matrices of all groups side by side."""
        return matrix


class Convolution(Linear):
    def __init__(self, layer):
        super().__init__(layer)
        *self._spatial, s, out = layer.kernel.shape
        self.shape = layer.groups, math.prod(self._spatial), s, out // layer.groups

    def channels(self, inputs):
        return super().channels(self._channels_last(inputs))

    def outputs(self, outputs):
        return super().outputs(self._channels_last(outputs))

    def _channels_last(self, tensor: np.ndarray) -> np.ndarray:
        first = self.layer.data_format == "channels_first"
        return np.moveaxis(tensor, 1, -1) if first else tensor

    def _ordered(self, kernel):
        groups, k, s, t = self.shape
        return kernel.reshape(k, s, groups, t).transpose(2, 0, 1, 3)

    def _restored(self, kernel):
        return self._core(kernel)

    def _core(self, core):
        groups, _, r_in, r_out = core.shape
        return core.transpose(1, 2, 0, 3).reshape(*self._spatial, r_in, groups * r_out)

    def _end(self, matrix):
        return matrix.reshape(*[1] * len(self._spatial), *matrix.shape)


class Transposed(Convolution):
    def __init__(self, layer):
        Linear.__init__(self, layer)
        *self._spatial, t, s = layer.kernel.shape
        self.shape = 1, math.prod(self._spatial), s, t

    def _ordered(self, kernel):
        return kernel.reshape(-1, *kernel.shape[-2:]).swapaxes(1, 2)[None]

    def _core(self, core):
        _, _, r_in, r_out = core.shape
        return core[0].swapaxes(1, 2).reshape(*self._spatial, r_out, r_in)


class Dense(Linear):
    """Behind a Flatten, the kernel has a position for each one of the tensor."""

    def __init__(self, layer):
        super().__init__(layer)
        rows, units = layer.kernel.shape
        self._axes = flattened_axes(layer) or (rows,)
        self.shape = 1, rows // self._axes[-1], self._axes[-1], units

    def stages(self, factors):
        found, name = super().stages(factors), self.layer.name
        if factors[0].before is None or len(self._axes) == 1:
            return found
        options = {"dtype": self.layer.dtype_policy}
        tensor = keras.layers.Reshape(self._axes, name=f"{name}_tensor", **options)
        flat = keras.layers.Flatten("channels_last", name=f"{name}_flat", **options)
        return [(None, tensor, None), found[0], (None, flat, None), *found[1:]]

    def _ordered(self, kernel):
        return kernel.reshape(self.shape)

    def _restored(self, kernel):
        return self._core(kernel)

    def _core(self, core):
        return core.reshape(-1, core.shape[-1])
