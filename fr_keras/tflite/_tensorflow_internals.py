"""Every private name of TensorFlow that this package uses, and none elsewhere.

`tests/test_internals.py` has a test for each.
"""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.compiler.mlir.lite import types_pb2

# `tf.lite.experimental.QuantizationDebugger` runs on it; it takes no ranges of one's own.
from tensorflow.lite.python.convert import mlir_quantize


def quantize_int8(
    content: bytes, whole: bool, inputs: tf.DType, outputs: tf.DType, left_out: Sequence[str]
) -> bytes:
    """Returns a float flatbuffer that has ranges with int8 kernels and activations.

    Args:
        content: The file.
        whole: Whether everything is quantized, or what can be.
        inputs: Type that the file takes: float32 or int8.
        outputs: Type that it gives.
        left_out: Names of tensors of which the ops stay in float32.
    """
    return mlir_quantize(
        content,
        fully_quantize=whole,
        inference_type=types_pb2.QUANTIZED_INT8,
        input_data_type=inputs,
        output_data_type=outputs,
        denylisted_nodes=list(left_out) or None,
    )
