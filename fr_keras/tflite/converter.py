"""Runs TensorFlow's converter."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from fr_keras.tflite._calibration_data import float32_for
from fr_keras.tflite._tensorflow_internals import SavedModelConverter
from fr_keras.tflite.int8.splits import sliced
from fr_keras.tflite.modes import Mode
from fr_keras.tflite.scopes import Scopes
from fr_keras.tflite.signature import packed


def raw(
    scopes: Scopes, mode: Mode, rows: list[np.ndarray] | None = None, float_io: bool = False
) -> bytes:
    """Returns the file that TensorFlow's converter writes, in float32 if ranges are set later.

    Raises:
        ValueError, RuntimeError, OSError: As in `lowering.converted`.
    """
    held = tf.Module()
    # A variable of a distribution strategy is a copy for each device.
    held.weights = [
        copy for v in scopes.model.variables for copy in getattr(v.value, "values", (v.value,))
    ]
    function = _traced(scopes, held.weights)
    with _saved(held, function) as folder, _quiet():
        converter = SavedModelConverter(folder)
        _configure(converter, mode, rows, float_io)
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises many types, with pages of graph dumps
            reasons = [line for line in str(error).splitlines() if " ops: " in line]
            raise RuntimeError(
                f"'{scopes.model.name}' cannot be converted to quantize='{mode.name}': "
                f"{(reasons or [str(error)])[0][:500]}{_in_float64(function.graph, scopes)}"
            ) from error
    return sliced(content) if mode.ranges else content


@contextlib.contextmanager
def _saved(held: tf.Module, function: tf.types.experimental.ConcreteFunction) -> Iterator[str]:
    """A folder with the graph and its variables, from which the converter reads them."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            with _quiet():
                tf.saved_model.save(held, folder, function)
        except (OSError, tf.errors.OpError) as error:
            raise OSError(
                "the converter could not write its temporary files: make room in "
                f"'{tempfile.gettempdir()}', or set TMPDIR to another folder. {error}"
            ) from error
        yield folder


def _traced(scopes: Scopes, known: list[tf.Variable]) -> tf.types.experimental.ConcreteFunction:
    """The graph of a model for one row; it must change no state, and read no other variables."""
    model, changed = scopes.model, []

    # Weights are read outside of all layers, and once: where a layer reads its own, the converter
    # does worse. As constants of the graph they would be copied four times before it begins.
    def answer(*inputs):
        weights = [
            [tf.convert_to_tensor(v.value) for v in values]
            for values in (model.trainable_variables, model.non_trainable_variables)
        ]
        outputs, after = model.stateless_call(*weights, packed(model, inputs), training=False)
        pairs = zip(model.non_trainable_variables, weights[1], after, strict=True)
        changed.extend(variable.path for variable, one, two in pairs if one is not two)
        # An output may be an input, or another output, as it is.
        return [tf.identity(output) for output in keras.tree.flatten(outputs)]

    signature = [
        tf.TensorSpec((1, *entry.shape[1:]), float32_for(entry.dtype), name=f"input_{number}")
        for number, entry in enumerate(model.inputs)
    ]
    with scopes.entered():
        function = tf.function(answer).get_concrete_function(*signature)
    ours = {id(one) for one in known}
    foreign = [one.name for one in function.variables if id(one) not in ours]
    _check_stateless([*foreign, *changed])
    return function


def _in_float64(graph: tf.Graph, scopes: Scopes) -> str:
    """Names the layers that compute in a type for which TFLite has no kernels."""
    names = {
        scopes.short(op.name)
        for op in graph.get_operations()
        if any(output.dtype == tf.float64 for output in op.outputs)
    }
    return f". Use float32 instead of float64 in {sorted(names)}" if names else ""


def _check_stateless(variables: list[str]) -> None:
    if variables:
        raise ValueError(
            "`model` must keep no state from one call to the next, because the weights of a file "
            f"cannot change. Received: variables {sorted({*variables})}. Build recurrent layers "
            "with stateful=False and pass their state as an input; use constants instead of "
            "variables that do not change."
        )


def _configure(
    converter: SavedModelConverter,
    mode: Mode,
    rows: list[np.ndarray] | None,
    float_io: bool,
) -> None:
    if not mode.small_weights:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode.float16_weights:
        converter.target_spec.supported_types = [tf.float16]
    if not mode.calibrated:
        return
    converter.representative_dataset = lambda: (
        {f"input_{number}": part[None] for number, part in enumerate(parts)}
        for parts in zip(*rows, strict=True)
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    if not float_io:
        converter.inference_output_type = tf.as_dtype(mode.activations)
        if all(part.dtype == np.float32 for part in rows):
            # Integers, such as token ids, stay integers.
            converter.inference_input_type = tf.as_dtype(mode.activations)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides messages of the converter about its own parts: its temporary folder, the interpreter
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
