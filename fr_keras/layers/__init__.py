"""Keras layers whose kernels live in the DCT domain."""

import keras

from fr_keras.layers._frequency import FrequencyKernel, refusal
from fr_keras.layers.conv import (
    FRConv1D,
    FRConv1DTranspose,
    FRConv2D,
    FRConv2DTranspose,
    FRConv3D,
    FRConv3DTranspose,
    FRDepthwiseConv1D,
    FRDepthwiseConv2D,
)
from fr_keras.layers.dense import FRDense

#: Plain Keras layer -> its twin in the DCT domain. A new layer type is one row here.
TWINS: dict[type[keras.layers.Layer], type[FrequencyKernel]] = {
    keras.layers.Dense: FRDense,
    keras.layers.Conv1D: FRConv1D,
    keras.layers.Conv2D: FRConv2D,
    keras.layers.Conv3D: FRConv3D,
    keras.layers.Conv1DTranspose: FRConv1DTranspose,
    keras.layers.Conv2DTranspose: FRConv2DTranspose,
    keras.layers.Conv3DTranspose: FRConv3DTranspose,
    keras.layers.DepthwiseConv1D: FRDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: FRDepthwiseConv2D,
}

__all__ = [
    "TWINS",
    "FRConv1D",
    "FRConv1DTranspose",
    "FRConv2D",
    "FRConv2DTranspose",
    "FRConv3D",
    "FRConv3DTranspose",
    "FRDense",
    "FRDepthwiseConv1D",
    "FRDepthwiseConv2D",
    "FrequencyKernel",
    "refusal",
]
