"""Kernels that can be applied as chains of stages, with the channels left in the DCT domain."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from fr_keras import spectral
from fr_keras._keras_internals import set_tensor_attribute, tensor_attribute
from fr_keras.layers._frequency import FrequencyKernel

#: The stages of a chain, in the order in which they are applied.
ROLES = ("in", "core", "out")
_RIDER = "_fr_keras_last_stage"
_CHOICES = (("core",), ("core", "out"), ("in", "core"), ROLES)


@dataclasses.dataclass(frozen=True)
class Chain:
    """One way to apply a kernel from a corner of its coefficients.

    Attributes:
        roles: Its stages: `"in"` transforms input channels to frequencies, `"core"` holds the
            coefficients, `"out"` transforms frequencies to output channels. If `"in"` or `"out"`
            is missing, it is merged into the core.
        multiply_adds: Multiply-adds for one position of the core.
        weights: Number of weights in the kernels of all stages.
        channels: Number of output channels of all stages.
        counts: Number of weights in the kernel of each stage.
    """

    roles: tuple[str, ...]
    multiply_adds: int
    weights: int
    channels: int
    counts: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LastStage:
    """How a tensor was computed: `inputs @ matrix + bias` along its last axis.

    It is attached to the tensor, as Keras attaches masks, for a next layer that can compute its
    output more cheaply from here than from the tensor. Ops that nothing reads are then pruned from
    the graph.

    Attributes:
        inputs: The bottleneck `(..., r)`.
        matrix: `(r, channels)` in float32.
        bias: `(channels,)` in float32, or `None`.
    """

    inputs: object
    matrix: object
    bias: object

    @staticmethod
    def of(tensor) -> "LastStage | None":
        """The last stage that is attached to a tensor."""
        return tensor_attribute(tensor, _RIDER)

    def ride_on(self, tensor) -> None:
        set_tensor_attribute(tensor, _RIDER, self)

    def moments(self):
        """Mean and variance of each channel over all positions, in float32."""
        z = ops.cast(ops.reshape(self.inputs, (-1, self.inputs.shape[-1])), "float32")
        mean = ops.mean(z, axis=0)
        centred = z - mean
        covariance = ops.matmul(ops.transpose(centred), centred)
        covariance /= ops.cast(ops.shape(z)[0], "float32")
        variance = ops.sum(ops.matmul(covariance, self.matrix) * self.matrix, axis=0)
        mean = ops.squeeze(ops.matmul(mean[None], self.matrix), 0)
        # The variance of a constant channel is a rounding error, which may be negative.
        return mean if self.bias is None else mean + self.bias, ops.maximum(variance, 0.0)

    def scaled(self, scale, offset):
        """`inputs @ (matrix * scale) + offset`, in the dtype of the inputs."""
        matrix = ops.cast(self.matrix * scale, self.inputs.dtype)
        kernel = ops.reshape(matrix, (1,) * (len(self.inputs.shape) - 2) + tuple(matrix.shape))
        outputs = ops.conv(self.inputs, kernel, data_format="channels_last")
        return ops.add(outputs, ops.cast(offset, outputs.dtype))


class FactoredKernel(FrequencyKernel):
    """A `FrequencyKernel` that can be applied as a chain of an input, a core and an output stage.

    With cosine matrices `B` cut to the corner of the kept coefficients,

        conv(x, W) = conv1x1(conv_kxk(conv1x1(x, B_in^T), K), B_out)

    holds exactly, where `K` is the inverse DCT of the corner over the spatial axes only.
    """

    #: Groups of the kernel; each has bottlenecks of its own.
    groups = 1

    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns the axes of the coefficients that are input channels, and output channels."""
        raise NotImplementedError

    def positions(self) -> dict[str, int]:
        """Returns how often each stage is applied for one position of the core."""
        return dict.fromkeys(ROLES, 1)

    def chains(self, corner: Sequence[int]) -> list[Chain]:
        """Returns every chain of this kernel, from one stage with the whole kernel to three."""
        (whole_in, cut_in), (whole_out, cut_out) = (
            [math.prod(shape[axis] for axis in axes) for shape in (self.spectrum_shape, corner)]
            for axes in self.ends()
        )
        rest = math.prod(self.spectrum_shape) // (whole_in * whole_out)
        found = []
        for roles in _CHOICES:
            counts = {"core": rest}
            channels = {"core": self.groups * cut_out if "out" in roles else whole_out}
            counts["core"] *= (cut_in if "in" in roles else whole_in) * channels["core"]
            if "in" in roles:
                counts["in"] = self.groups * whole_in * cut_in
                channels["in"] = self.groups * cut_in
            if "out" in roles:
                counts["out"], channels["out"] = cut_out * whole_out, whole_out
            positions = self.positions()
            multiply_adds = sum(positions[role] * count for role, count in counts.items())
            each = tuple(counts[role] for role in roles)
            found.append(Chain(roles, multiply_adds, sum(each), sum(channels.values()), each))
        return found

    def stage_kernels(self, roles: Sequence[str], coefficients) -> dict:
        """Returns the float32 kernels of a chain's stages, from a corner of the coefficients."""
        inputs, outputs = self.ends()
        kept = (inputs if "in" in roles else ()) + (outputs if "out" in roles else ())
        corner = tuple(coefficients.shape)
        shape = [n if a not in kept else corner[a] for a, n in enumerate(self.spectrum_shape)]
        spatial = [axis for axis in range(len(shape)) if axis not in kept]
        core = spectral.idct_nd(coefficients, spatial, shape)
        kernels = {"core": self._core_kernel(core, roles)}
        for role, axes in zip(("in", "out"), (inputs, outputs), strict=True):
            if role in roles:
                cosines = functools.reduce(
                    np.kron,
                    [spectral.cosine_matrix(self.spectrum_shape[a], corner[a]) for a in axes],
                )
                matrix = ops.convert_to_tensor(cosines.T if role == "in" else cosines)
                kernels[role] = self._end_kernel(role, matrix, [corner[a] for a in axes])
        return {role: kernels[role] for role in roles}

    def corner_kernels(self, roles: Sequence[str]) -> dict:
        """Returns `stage_kernels` from the corner of the coefficients that are kept now."""
        corner = tuple(slice(n) for n in self.corner)
        return self.stage_kernels(roles, self.kept_coefficients()[corner])

    def stage_layers(self, roles: Sequence[str], kernels: dict) -> list[keras.layers.Layer]:
        """Returns one plain Keras layer per stage, not built; the last has bias and activation."""
        config = self.plain_config()
        ending = {name: config[name] for name in self._ending if name in config}
        layers = []
        for role in roles:
            options = {
                "name": f"{self.name}_{role}",
                "dtype": self.dtype_policy,
                "kernel_initializer": "zeros",
                **(ending if role == roles[-1] else {}),
            }
            layers.append(self._stage_layer(role, roles, tuple(kernels[role].shape), options))
        return layers

    #: The arguments that the last stage takes over from the layer.
    _ending: tuple[str, ...] = (
        "activation",
        "use_bias",
        "bias_regularizer",
        "bias_constraint",
        "activity_regularizer",
    )

    def call(self, inputs):
        roles = self._roles_of_stored_corner()
        if roles == ("core",):
            return super().call(inputs)
        x, kernels = inputs, self.stage_kernels(roles, self._used_coefficients())
        for role, kernel in kernels.items():
            before, x = x, self._apply(role, x, ops.cast(kernel, self.compute_dtype))
        if self.bias is not None:
            x = ops.add(x, self._shaped_bias())
        if self.activation not in (None, keras.activations.linear):
            return self.activation(x)
        if roles[-1] == "out" and self._ends_in_matrix():
            matrix = ops.reshape(kernels["out"], kernels["out"].shape[-2:])
            bias = None if self.bias is None else ops.cast(self.bias, "float32")
            LastStage(before, matrix, bias).ride_on(x)
        return x

    def _ends_in_matrix(self) -> bool:
        """Whether the output stage is one matrix along the last axis."""
        return False

    def _roles_of_stored_corner(self) -> tuple[str, ...]:
        """The chain with the fewest multiply-adds; `min` takes the one of fewer stages in a tie."""
        chains = self.chains(tuple(self.coefficients.shape))
        return min(chains, key=lambda chain: chain.multiply_adds).roles

    def _shaped_bias(self):
        return self.bias

    def _core_kernel(self, core, roles: Sequence[str]):
        """The core in the layout of its stage's kernel."""
        raise NotImplementedError

    def _end_kernel(self, role: str, matrix, corner: list[int]):
        """The matrix `(from, to)` of an outer stage in the layout of the stage's kernel.

        `corner` has the lengths of the stage's axes in the DCT domain.
        """
        raise NotImplementedError

    def _apply(self, role: str, x, kernel):
        """Applies one stage, without bias and activation."""
        raise NotImplementedError

    def _stage_layer(
        self, role: str, roles: Sequence[str], shape: tuple[int, ...], options: dict
    ) -> keras.layers.Layer:
        """The plain layer of one stage, with a kernel of that shape."""
        raise NotImplementedError
