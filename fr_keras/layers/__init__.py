"""Keras layers whose kernels are held in the DCT domain, or take few values."""

from fr_keras.layers._attention import FRMultiHeadAttention
from fr_keras.layers._batch_norm import FRBatchNormalization
from fr_keras.layers._conv import (
    FRConv1D,
    FRConv1DTranspose,
    FRConv2D,
    FRConv2DTranspose,
    FRConv3D,
    FRConv3DTranspose,
    FRDepthwiseConv1D,
    FRDepthwiseConv2D,
)
from fr_keras.layers._dense import FRDense
from fr_keras.layers._einsum_dense import FREinsumDense
from fr_keras.layers._embedding import FREmbedding
from fr_keras.layers._factored import Chain, FactoredKernel
from fr_keras.layers._frequency import FrequencyKernel, FrequencyTwin
from fr_keras.layers._quantized import QUANTIZED, QuantizedKernel
from fr_keras.layers._quantized_frequency import QUANTIZED_TWINS, QuantizedCoefficients
from fr_keras.layers._quantizer import Alike, Columns, Quantizer, Quantizing, State, numbers
from fr_keras.layers._refusal import adapted, misnamed, refusal
from fr_keras.layers._seeded_signs import SeededSigns
from fr_keras.layers._separable import FRSeparableConv1D, FRSeparableConv2D
from fr_keras.layers._transformed import TransformedKernel, straight_through
from fr_keras.layers._twins import TWINS, plain_class, register_twin

__all__ = [
    "QUANTIZED",
    "QUANTIZED_TWINS",
    "TWINS",
    "Alike",
    "Chain",
    "Columns",
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
    "QuantizedCoefficients",
    "QuantizedKernel",
    "Quantizer",
    "Quantizing",
    "State",
    "SeededSigns",
    "TransformedKernel",
    "adapted",
    "misnamed",
    "numbers",
    "plain_class",
    "refusal",
    "register_twin",
    "straight_through",
]
