"""TensorFlow's converter: a plain Keras model to the bytes of a flatbuffer."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from fr_keras.tflite import flatbuffer
from fr_keras.tflite.endpoints import input_names, output_names, packed

#: The modes that need representative data.
CALIBRATED = ("int8", "int16x8")


def converted(
    model: keras.Model, quantize: str, rows: list[np.ndarray] | None, float_io: bool
) -> bytes:
    """Returns the file for batch 1, its inputs and outputs in the model's flat order.

    Raises:
        RuntimeError: If the converter refuses the model, with the ops it refuses.
        OSError: If it cannot write its temporary files.
    """
    trainable = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    other = [keras.ops.convert_to_numpy(v) for v in model.non_trainable_variables]

    # The weights are constants of the graph: the converter reads variables badly.
    def constant(*inputs):
        weights = ([tf.constant(value) for value in values] for values in (trainable, other))
        outputs = model.stateless_call(*weights, packed(model, inputs), training=False)[0]
        # An output may be an input, or another output, as it is.
        return [tf.identity(output) for output in keras.tree.flatten(outputs)]

    signature = [
        tf.TensorSpec((1, *entry.shape[1:]), float32_for(entry.dtype), name=f"input_{number}")
        for number, entry in enumerate(model.inputs)
    ]
    function = tf.function(constant).get_concrete_function(*signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    _configure(converter, quantize, rows, float_io)
    with _quiet():
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises many types, with pages of graph dumps
            reasons = [line for line in str(error).splitlines() if " ops: " in line]
            raise RuntimeError(
                f"'{model.name}' cannot be converted to quantize='{quantize}': "
                f"{(reasons or [str(error)])[0][:500]}"
            ) from error
    return _named(content, input_names(model), output_names(model))


def _named(content: bytes, inputs: list[str], outputs: list[str]) -> bytes:
    """The flatbuffer with its ends in the given order, by these names in its signature.

    The converter orders them as it likes and calls them `input_0` and `output_0`, by number.
    """
    model = flatbuffer.read(content)
    if not model.signatureDefs:
        # The converter goes on without a signature when it cannot write its temporary folder.
        raise OSError(
            "the converter could not write its temporary files and is not to be trusted then: "
            f"make room in '{tempfile.gettempdir()}', or set TMPDIR to another folder."
        )
    (signature,), graph = model.signatureDefs, model.subgraphs[0]
    graph.inputs = _rename(signature.inputs, "input", inputs)
    graph.outputs = _rename(signature.outputs, "output", outputs)
    flatbuffer.shorten_names(model)
    return flatbuffer.write(model)


def _rename(maps: list, prefix: str, names: list[str]) -> list[int]:
    numbered = {one.name.decode(): one for one in maps}
    ordered = [numbered[f"{prefix}_{number}"] for number in range(len(names))]
    for one, name in zip(ordered, names, strict=True):
        one.name = name
    return [one.tensorIndex for one in ordered]


def float32_for(dtype: str) -> str:
    """The type a file takes for a model's: float32 for every float."""
    return "float32" if "float" in dtype else dtype


def _configure(
    converter: tf.lite.TFLiteConverter,
    quantize: str,
    rows: list[np.ndarray] | None,
    float_io: bool,
) -> None:
    if quantize != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize not in CALIBRATED:
        return
    converter.representative_dataset = lambda: (
        {f"input_{number}": part[None] for number, part in enumerate(parts)}
        for parts in zip(*rows, strict=True)
    )
    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [
        sets.TFLITE_BUILTINS_INT8 if quantize == "int8" else wide
    ]
    if not float_io:
        kind = tf.int8 if quantize == "int8" else tf.int16
        converter.inference_output_type = kind
        if all(part.dtype == np.float32 for part in rows):
            # Integers, such as token ids, stay what they are.
            converter.inference_input_type = kind


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converter says of its own parts: its temporary folder, the interpreter
    that it calibrates with, and the statistics that calibration gives."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
            warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            yield
    finally:
        logger.setLevel(level)
