"""`convert`: a Keras model to a .tflite file, checked against the model before it is returned."""

import contextlib
import dataclasses
import logging
import os
import warnings
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from fr_keras.bake import bake
from fr_keras.files import check_target, write_bytes
from fr_keras.rebuild import all_layers, check_graph, frequency_layers, rebuild
from fr_keras.tflite import metadata
from fr_keras.tflite.agreement import BOUNDS, Agreement, compare
from fr_keras.tflite.rows import representative_rows
from fr_keras.tflite.run import Runner

#: The quantization modes, by the name that `convert` and the command line take.
MODES = tuple(BOUNDS)
_CALIBRATED = ("int8", "int16x8")
# Representative rows that are used at the most, and which of them only the check sees.
_ROWS = 600
_HELD_OUT = slice(None, None, 5)


class ConversionWarning(UserWarning):
    """A converted file disagrees with its Keras model beyond the stated bound."""


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted file: its bytes, its quantization mode, and its agreement with Keras."""

    content: bytes
    quantize: str
    agreement: Agreement

    def __str__(self) -> str:
        return f"{self.quantize}, {len(self.content):,} bytes; against Keras {self.agreement}"

    def to_dict(self) -> dict:
        """Returns sizes and agreement as plain types, ready for JSON."""
        return {
            "quantize": self.quantize,
            "bytes": len(self.content),
            "agreement": {**dataclasses.asdict(self.agreement), "holds": self.agreement.holds},
        }


def convert(
    model: keras.Model,
    path: str | os.PathLike | None = None,
    quantize: str = "float32",
    calibration=None,
    float_io: bool = False,
    labels: Sequence[str] | None = None,
    normalization: tuple[float, float] | None = None,
    command: str | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Converts a model to a .tflite file and runs it against the model.

    FR models are baked first. The batch is fixed to 1: an open one drags shape arithmetic into
    the graph, which delegates refuse. The check uses rows of `calibration` that calibration did
    not see (random rows if none are given); a disagreement beyond the bound of
    `fr_keras.tflite.agreement` is a `ConversionWarning`.

    Args:
        model: A built functional or sequential model with one input of fixed shape and one output.
        path: Where to write the file; `None` writes none.
        quantize: `"float32"`, `"float16"` (weights), `"dynamic"` (int8 weights), `"int8"`, or
            `"int16x8"` (16-bit activations, 8-bit weights).
        calibration: Representative data: an array `(rows, *input)`, a `tf.data.Dataset` or an
            iterable of rows or batches. Needed for int8 and int16x8, and for integer inputs.
        float_io: Whether an int8 or int16x8 file takes and gives float32.
        labels: Names of the classes, stored in the file.
        normalization: `(scale, offset)` with `input = scale * pixel + offset`, stored in the file.
        command: What made the file, stored in it; `None` stores this call.
        overwrite: Whether an existing file is replaced.

    Returns:
        A `Conversion` with the file's bytes and its agreement with `model`.

    Raises:
        ValueError: If an argument breaks these rules, or int8 has no representative data.
        RuntimeError: If the converter refuses the model, with the ops it refuses.
        OSError: If the file cannot be written; nothing is left behind.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> x = np.random.default_rng(0).normal(size=(50, 8))
    >>> convert(model, quantize="int8", calibration=x).agreement.holds
    True
    """
    if quantize not in MODES:
        raise ValueError(f"`quantize` must be one of {MODES}. Received: {quantize!r}")
    _check_model(model, quantize)
    if path is not None:
        check_target(path, overwrite)
    _check_labels(model, labels)
    calibrating, checking, rows_from = _split(calibration, model.inputs[0], quantize)
    content = _flatbuffer(_deployable(model), quantize, calibrating, float_io)
    content = metadata.attach(content, _entry(model.name, quantize, labels, normalization, command))
    runner, half = Runner(content), any(map(_in_half, all_layers(model)))
    agreement = compare(
        model,
        runner.run(checking),
        checking,
        rows_from=rows_from,
        step=runner.output_step,
        bound=max(BOUNDS[quantize], BOUNDS["float16"] if half else 0),
    )
    _warn_unless_it_holds(agreement, model.name, quantize)
    if path is not None:
        write_bytes(path, content, overwrite)
    return Conversion(content, quantize, agreement)


def _warn_unless_it_holds(agreement: Agreement, name: str, quantize: str) -> None:
    if not agreement.holds:
        warnings.warn(
            f"The {quantize} file of '{name}' disagrees with its Keras model {agreement}. The "
            f"bounds are a mean of {agreement.bound:g} of the range and "
            f"{agreement.argmax_bound:.0%} equal arg-max. Check that the representative data has "
            "the network's range, or use a wider mode.",
            ConversionWarning,
            stacklevel=3,
        )


def _check_model(model: keras.Model, quantize: str) -> None:
    check_graph(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`model` must have one input and one output. "
            f"Received: {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise ValueError(
            "`model` must have an input of fixed shape, for a .tflite file has one: build it on "
            f"the size the phone will use. Received: {shape}"
        )
    rolled = [
        layer.name
        for layer in all_layers(model)
        if not getattr(getattr(layer, "forward_layer", layer), "unroll", True)
    ]
    if quantize in _CALIBRATED and rolled:
        raise ValueError(
            f"`model` must have unrolled recurrent layers for quantize='{quantize}': the converter "
            f"cannot calibrate a loop. Build {rolled} with unroll=True."
        )


def _check_labels(model: keras.Model, labels: Sequence[str] | None) -> None:
    classes = model.outputs[0].shape[-1]
    if labels is not None and len(labels) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of the output. Received: {len(labels)} names"
        )


def _split(calibration, entry, quantize: str) -> tuple[np.ndarray | None, np.ndarray, str]:
    """Rows for calibration, rows for the check, and where the latter are from."""
    shape = tuple(entry.shape[1:])
    if calibration is None:
        if quantize in _CALIBRATED or "float" not in entry.dtype:
            raise ValueError(
                f"`calibration` must be given for quantize='{quantize}' and inputs of type "
                f"{entry.dtype}: a few hundred typical input rows. Received: None"
            )
        return None, np.random.default_rng(0).random((32, *shape), np.float32), "random"
    rows = representative_rows(calibration, shape, _ROWS, _float32(entry.dtype))
    if len(rows) == 1:
        return rows, rows, "calibration"
    held_out = np.zeros(len(rows), bool)
    held_out[_HELD_OUT] = True
    return rows[~held_out], rows[held_out], "held out"


def _in_half(layer: keras.layers.Layer) -> bool:
    return layer.compute_dtype in ("float16", "bfloat16")


def _float32(dtype: str) -> str:
    return "float32" if "float" in dtype else dtype


def _deployable(model: keras.Model) -> keras.Model:
    """Baked, and in float32: TFLite has no kernels for half-precision policies."""
    if frequency_layers(model):
        model = bake(model)
    if not any(map(_in_half, all_layers(model))):
        return model

    def in_float32(layer):
        config = {**layer.get_config(), "dtype": "float32"}
        return type(layer).from_config(config) if _in_half(layer) else None

    return rebuild(model, in_float32)


def _flatbuffer(
    model: keras.Model, quantize: str, rows: np.ndarray | None, float_io: bool
) -> bytes:
    entry = model.inputs[0]
    trainable = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    other = [keras.ops.convert_to_numpy(v) for v in model.non_trainable_variables]

    # The weights are constants of the graph: the converter reads variables badly.
    def constant(inputs):
        weights = ([tf.constant(value) for value in values] for values in (trainable, other))
        (output,) = keras.tree.flatten(model.stateless_call(*weights, inputs, training=False)[0])
        return output

    signature = tf.TensorSpec((1, *entry.shape[1:]), _float32(entry.dtype), name=entry.name)
    function = tf.function(constant).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    _configure(converter, quantize, rows, float_io)
    with _quiet():
        try:
            return converter.convert()
        except Exception as error:  # the converter raises many types, with pages of graph dumps
            reasons = [line for line in str(error).splitlines() if " ops: " in line]
            raise RuntimeError(
                f"'{model.name}' cannot be converted to quantize='{quantize}': "
                f"{(reasons or [str(error)])[0][:500]}"
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converter says of its own temporary folder and of statistics, which
    calibration gives."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
            yield
    finally:
        logger.setLevel(level)


def _configure(
    converter: tf.lite.TFLiteConverter, quantize: str, rows: np.ndarray | None, float_io: bool
) -> None:
    if quantize != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize not in _CALIBRATED:
        return
    converter.representative_dataset = lambda: ([row[None]] for row in rows)
    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [
        sets.TFLITE_BUILTINS_INT8 if quantize == "int8" else wide
    ]
    if not float_io:
        kind = tf.int8 if quantize == "int8" else tf.int16
        converter.inference_output_type = kind
        if rows.dtype == np.float32:  # integers, such as token ids, stay what they are
            converter.inference_input_type = kind


def _entry(name, quantize, labels, normalization, command) -> dict:
    entry: dict = {
        "quantize": quantize,
        "command": command or f"fr_keras.tflite.convert({name}, quantize={quantize!r})",
    }
    if labels is not None:
        entry["labels"] = [str(label) for label in labels]
    if normalization is not None:
        scale, offset = normalization
        entry["normalization"] = {"scale": float(scale), "offset": float(offset)}
    return entry
