"""The table of layers: a new layer is one row here and inherits every conformance test."""

import dataclasses

import keras
import numpy as np
from examples import telling

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

    def call(self, layer, x):
        return layer(x, x) if "Attention" in self.cls.__name__ else layer(x)

    def built(self, **kwargs):
        layer = self.layer(name="layer", **kwargs)
        self.call(layer, self.inputs())
        return layer

    def model(self, layer):
        dtype = "int32" if "Embedding" in self.cls.__name__ else None
        inputs = keras.Input(self.input_shape, dtype=dtype)
        return keras.Model(inputs, self.call(layer, inputs), name="golden")

    def inputs(self, rows: int = 2) -> np.ndarray:
        rng = np.random.default_rng(0)
        if "Embedding" in self.cls.__name__:
            return rng.integers(0, self.kwargs["input_dim"], (rows, *self.input_shape))
        return rng.normal(size=(rows, *self.input_shape)).astype(np.float32)


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
    Case(layers.FRSeparableConv1D, {"filters": 6, "kernel_size": 3}, (9, 4)),
    Case(
        layers.FRSeparableConv2D,
        {"filters": 6, "kernel_size": 3, "depth_multiplier": 2, "padding": "same", "strides": 2},
        (9, 9, 4),
    ),
    Case(layers.FREinsumDense, {"equation": "abc,cd->abd", "output_shape": (5, 6)}, (5, 4)),
    Case(
        layers.FREinsumDense,
        {"equation": "abc,cde->abde", "output_shape": (5, 2, 6), "bias_axes": "de"},
        (5, 4),
    ),
    Case(layers.FREmbedding, {"input_dim": 12, "output_dim": 6}, (5,)),
    Case(layers.FRMultiHeadAttention, {"num_heads": 2, "key_dim": 4}, (5, 8)),
]
#: The same, of which one of each odd kind is fast: other kernels go ways that these go too.
BY_KIND = telling(
    CASES,
    *(
        next(case for case in CASES if case.cls is cls)
        for cls in (
            layers.FRConv2DTranspose,
            layers.FRSeparableConv2D,
            layers.FREinsumDense,
            layers.FREmbedding,
            layers.FRMultiHeadAttention,
        )
    ),
)
