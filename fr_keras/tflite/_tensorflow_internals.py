"""All private names of TensorFlow that this package uses; no other module uses one.

`tests/test_internals.py` has a test for each.
"""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.compiler.mlir.lite import types_pb2

# `tf.lite.experimental.QuantizationDebugger` uses it, but does not accept ranges of the caller.
from tensorflow.lite.python.convert import mlir_quantize


def quantize_int8(
    content: bytes, whole: bool, inputs: str, outputs: str, left_out: Sequence[str]
) -> bytes:
    """Returns a float flatbuffer with ranges, quantized to int8 kernels and activations.

    Args:
        content: The file.
        whole: Whether everything must be quantized, or only what can be.
        inputs: Type of the file's inputs: float32 or int8.
        outputs: Type of its outputs.
        left_out: Names of tensors whose ops stay in float32.
    """
    return mlir_quantize(
        content,
        fully_quantize=whole,
        inference_type=types_pb2.QUANTIZED_INT8,
        input_data_type=tf.as_dtype(inputs),
        output_data_type=tf.as_dtype(outputs),
        denylisted_nodes=list(left_out) or None,
    )
