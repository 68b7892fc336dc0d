"""The table of layers: a new layer is one row here and inherits every conformance test."""

import dataclasses

import numpy as np

from fr_keras import layers


@dataclasses.dataclass(frozen=True)
class Case:
    cls: type
    kwargs: dict
    input_shape: tuple[int, ...]

    @property
    def id(self) -> str:
        return f"{self.cls.__name__}-{'-'.join(f'{k}={v}' for k, v in self.kwargs.items())}"

    def layer(self, **kwargs):
        return self.cls(**{**self.kwargs, **kwargs})

    def built(self, **kwargs):
        layer = self.layer(name="layer", **kwargs)
        layer.build((None, *self.input_shape))
        return layer

    def inputs(self, rows: int = 2) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(rows, *self.input_shape)).astype(np.float32)


CASES = [
    Case(layers.FRDense, {"units": 6}, (8,)),
    Case(layers.FRDense, {"units": 6, "use_bias": False, "activation": "relu"}, (3, 8)),
    Case(layers.FRDense, {"units": 6, "input_axes": (2, 2, 5)}, (20,)),
    Case(layers.FRConv1D, {"filters": 6, "kernel_size": 3, "padding": "causal"}, (9, 4)),
    Case(layers.FRConv2D, {"filters": 6, "kernel_size": 3}, (9, 9, 4)),
    Case(
        layers.FRConv2D,
        {"filters": 6, "kernel_size": (3, 2), "strides": 2, "padding": "same", "groups": 2},
        (9, 9, 4),
    ),
    Case(layers.FRConv2D, {"filters": 6, "kernel_size": 3, "dilation_rate": 2}, (9, 9, 4)),
    Case(
        layers.FRConv2D, {"filters": 6, "kernel_size": 3, "axis_weights": (2, 2, 1, 0.5)}, (9, 9, 4)
    ),
    Case(layers.FRConv3D, {"filters": 6, "kernel_size": 3}, (5, 5, 5, 4)),
    Case(layers.FRConv1DTranspose, {"filters": 6, "kernel_size": 2, "strides": 2}, (5, 4)),
    Case(layers.FRConv2DTranspose, {"filters": 6, "kernel_size": 2, "strides": 2}, (5, 5, 4)),
    Case(
        layers.FRConv2DTranspose,
        {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False},
        (5, 5, 4),
    ),
    Case(layers.FRConv3DTranspose, {"filters": 6, "kernel_size": 2, "strides": 2}, (3, 3, 3, 4)),
    Case(layers.FRDepthwiseConv1D, {"kernel_size": 3}, (9, 4)),
    Case(layers.FRDepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2}, (9, 9, 4)),
]
