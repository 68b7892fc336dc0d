"""Keras layers whose kernels live in the DCT domain."""

import keras

from fr_keras.layers._factored import Chain, FactoredKernel
from fr_keras.layers._frequency import FrequencyKernel, FrequencyTwin, refusal
from fr_keras.layers.attention import FRMultiHeadAttention
from fr_keras.layers.batch_norm import FRBatchNormalization
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
from fr_keras.layers.einsum_dense import FREinsumDense
from fr_keras.layers.embedding import FREmbedding
from fr_keras.layers.separable import FRSeparableConv1D, FRSeparableConv2D

#: Plain Keras layer -> its twin in the DCT domain. A new layer type is one row here.
TWINS: dict[type[keras.layers.Layer], type[FrequencyTwin]] = {
    keras.layers.Dense: FRDense,
    keras.layers.Conv1D: FRConv1D,
    keras.layers.Conv2D: FRConv2D,
    keras.layers.Conv3D: FRConv3D,
    keras.layers.Conv1DTranspose: FRConv1DTranspose,
    keras.layers.Conv2DTranspose: FRConv2DTranspose,
    keras.layers.Conv3DTranspose: FRConv3DTranspose,
    keras.layers.DepthwiseConv1D: FRDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: FRDepthwiseConv2D,
    keras.layers.SeparableConv1D: FRSeparableConv1D,
    keras.layers.SeparableConv2D: FRSeparableConv2D,
    keras.layers.EinsumDense: FREinsumDense,
    keras.layers.Embedding: FREmbedding,
    keras.layers.MultiHeadAttention: FRMultiHeadAttention,
}

__all__ = [
    "TWINS",
    "Chain",
    "FRBatchNormalization",
    "FRConv1D",
    "FRConv1DTranspose",
    "FRConv2D",
    "FRConv2DTranspose",
    "FRConv3D",
    "FRConv3DTranspose",
    "FRDense",
    "FRDepthwiseConv1D",
    "FRDepthwiseConv2D",
    "FREinsumDense",
    "FREmbedding",
    "FRMultiHeadAttention",
    "FRSeparableConv1D",
    "FRSeparableConv2D",
    "FactoredKernel",
    "FrequencyKernel",
    "FrequencyTwin",
    "refusal",
]
