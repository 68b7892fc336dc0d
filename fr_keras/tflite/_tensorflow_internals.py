"""All private names of TensorFlow that this package uses; no other module uses one.

`tests/test_internals.py` has a test for each.
"""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.compiler.mlir.lite import types_pb2
from tensorflow.lite.python.conversion_metadata_schema_py_generated import ModelType

# `tf.lite.experimental.QuantizationDebugger` uses it, but does not accept ranges of the caller.
from tensorflow.lite.python.convert import mlir_quantize

# The converters that are public load a SavedModel again, for the traces in their error messages.
from tensorflow.lite.python.lite import (
    TFLiteConverterBase,
    TFLiteSavedModelConverterV2,
    _export_metrics,
)


class SavedModelConverter(TFLiteSavedModelConverterV2):
    """Converts a SavedModel; its options are those of `tf.lite.TFLiteConverter`.

    Args:
        folder: The SavedModel, with one signature for serving.
    """

    def __init__(self, folder: str):
        TFLiteConverterBase._set_original_model_type(ModelType.TF_CONCRETE_FUNCTIONS)
        tags, signature = {tf.saved_model.SERVING}, tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
        super().__init__(folder, tags, [signature])

    @_export_metrics  # adds the metadata of a conversion to the file
    def convert(self) -> bytes:
        graph, _, _ = self._load_saved_model(self.saved_model_dir, self._saved_model_tags)
        return self._convert_from_saved_model(graph)


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
