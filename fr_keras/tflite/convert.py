"""`convert`: a Keras model to a .tflite file, checked against the model before it is returned."""

import dataclasses
import os
import warnings
from collections.abc import Sequence

import keras
import numpy as np

from fr_keras.bake import bake
from fr_keras.files import check_target, write_bytes
from fr_keras.forms import chooser
from fr_keras.rebuild import all_layers, check_graph, frequency_layers, rebuild
from fr_keras.tflite import metadata
from fr_keras.tflite._converter import CALIBRATED, converted, float32_for
from fr_keras.tflite.agreement import BOUNDS, Agreement, compare
from fr_keras.tflite.endpoints import by_input, input_names, output_names, predict
from fr_keras.tflite.rows import representative_rows
from fr_keras.tflite.run import Runner

#: The quantization modes, by the name that `convert` and the command line take.
MODES = tuple(BOUNDS)
# Representative rows that are used at the most, and which of them only the check sees.
_ROWS = 600
_HELD_OUT = slice(None, None, 5)


class ConversionWarning(UserWarning):
    """A converted file disagrees with its Keras model beyond the stated bound."""


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted file: its bytes, its quantization mode, and its agreement with Keras.

    Attributes:
        content: The flatbuffer.
        quantize: The mode.
        agreements: How far each output is from the model's, by name of the output.
    """

    content: bytes
    quantize: str
    agreements: dict[str, Agreement]

    @property
    def agreement(self) -> Agreement:
        """The agreement of the output that is furthest from the model, in its own range."""
        return max(self.agreements.values(), key=lambda one: (not one.holds, one.relative))

    def __str__(self) -> str:
        return f"{self.quantize}, {len(self.content):,} bytes; against Keras {self.agreement}"

    def to_dict(self) -> dict:
        """Returns sizes and agreement as plain types, ready for JSON."""
        return {
            "quantize": self.quantize,
            "bytes": len(self.content),
            "agreement": self.agreement.to_dict(),
            "outputs": {name: one.to_dict() for name, one in self.agreements.items()},
        }


def convert(
    model: keras.Model,
    path: str | os.PathLike | None = None,
    quantize: str = "float32",
    calibration=None,
    float_io: bool = False,
    form: str = "auto",
    labels: Sequence[str] | None = None,
    normalization: tuple[float, float] | None = None,
    command: str | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Converts a model to a .tflite file and runs it against the model.

    FR models are baked first, by default in the form that is smallest and fastest. The batch is
    fixed to 1: an open one drags shape arithmetic into the graph, which delegates refuse. The
    check uses rows of `calibration` that calibration did not see (random rows if none are given);
    a disagreement beyond the bound of `fr_keras.tflite.agreement` is a `ConversionWarning`.

    Args:
        model: A built functional or sequential model with inputs of fixed shape. The file's inputs
            and outputs have the model's order; its signature has their names.
        path: Where to write the file; `None` writes none.
        quantize: `"float32"`, `"float16"` (weights), `"dynamic"` (int8 weights), `"int8"`, or
            `"int16x8"` (16-bit activations, 8-bit weights).
        calibration: Representative data: an array `(rows, *input)`, a `tf.data.Dataset` or an
            iterable of rows or batches. For several inputs a dict of these by name, or a list in
            order, row by row what belongs together. Needed for int8 and int16x8, and for integer
            inputs.
        float_io: Whether an int8 or int16x8 file takes and gives float32.
        form: The form in which an FR model is baked: `"auto"`, `"factored"` or `"dense"`; see
            `fr_keras.bake`.
        labels: Names of the classes of a single output, stored in the file.
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
    chooser(form)
    _check_model(model, quantize)
    if path is not None:
        check_target(path, overwrite)
    _check_labels(model, labels)
    calibrating, checking, rows_from = _split(calibration, model, quantize)
    content = converted(_deployable(model, form), quantize, calibrating, float_io)
    entry = _entry(model.name, quantize, labels, normalization, command)
    content = metadata.attach(content, entry)
    agreements = _agreements(model, Runner(content), checking, rows_from, BOUNDS[quantize])
    for name, agreement in agreements.items():
        _warn_unless_it_holds(agreement, f"{model.name}' output '{name}", quantize)
    if path is not None:
        write_bytes(path, content, overwrite)
    return Conversion(content, quantize, agreements)


def _agreements(
    model: keras.Model, runner: Runner, rows: list[np.ndarray], rows_from: str, bound: float
) -> dict[str, Agreement]:
    """How far the file is from the model, by name of the output."""
    half = any(map(_in_half, all_layers(model)))
    outputs = runner.run_all(rows)
    return {
        name: compare(
            outputs[name],
            expected,
            rows_from=rows_from,
            step=runner.output_steps[name],
            bound=max(bound, BOUNDS["float16"] if half else 0),
        )
        for name, expected in zip(output_names(model), predict(model, rows), strict=True)
    }


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
    for entry in model.inputs:
        if None in entry.shape[1:]:
            raise ValueError(
                "`model` must have inputs of fixed shape, for a .tflite file has: build it on the "
                f"size the phone will use. Received: {tuple(entry.shape[1:])} for '{entry.name}'"
            )
    rolled = [
        layer.name
        for layer in all_layers(model)
        if not getattr(getattr(layer, "forward_layer", layer), "unroll", True)
    ]
    if quantize in CALIBRATED and rolled:
        raise ValueError(
            f"`model` must have unrolled recurrent layers for quantize='{quantize}': the converter "
            f"cannot calibrate a loop. Build {rolled} with unroll=True."
        )


def _check_labels(model: keras.Model, labels: Sequence[str] | None) -> None:
    if labels is None:
        return
    if len(model.outputs) != 1:
        raise ValueError(
            "`labels` name the classes of one output, and must be left out for several. Received: "
            f"labels for {len(model.outputs)} outputs"
        )
    classes = model.outputs[0].shape[-1]
    if len(labels) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of the output. Received: {len(labels)} names"
        )


def _split(
    calibration, model: keras.Model, quantize: str
) -> tuple[list[np.ndarray] | None, list[np.ndarray], str]:
    """Rows for calibration, rows for the check, each an array an input; where these are from."""
    shapes = [tuple(entry.shape[1:]) for entry in model.inputs]
    types = [entry.dtype for entry in model.inputs]
    if calibration is None:
        integers = [dtype for dtype in types if "float" not in dtype]
        if quantize in CALIBRATED or integers:
            raise ValueError(
                f"`calibration` must be given for quantize='{quantize}' and inputs of type "
                f"{types}: a few hundred typical input rows. Received: None"
            )
        rng = np.random.default_rng(0)
        return None, [rng.random((32, *shape), np.float32) for shape in shapes], "random"
    parts = by_input(calibration, input_names(model), "calibration")
    rows = [
        representative_rows(part, shape, _ROWS, float32_for(dtype))
        for part, shape, dtype in zip(parts, shapes, types, strict=True)
    ]
    counts = {len(part) for part in rows}
    if len(counts) > 1:
        raise ValueError(
            "`calibration` must have as many rows for each input. "
            f"Received: {[len(part) for part in rows]}"
        )
    if counts == {1}:
        return rows, rows, "calibration"
    held_out = np.zeros(*counts, bool)
    held_out[_HELD_OUT] = True
    return [part[~held_out] for part in rows], [part[held_out] for part in rows], "held out"


def _in_half(layer: keras.layers.Layer) -> bool:
    return layer.compute_dtype in ("float16", "bfloat16")


def _deployable(model: keras.Model, form: str) -> keras.Model:
    """Baked, and in float32: TFLite has no kernels for half-precision policies."""
    if frequency_layers(model):
        model = bake(model, form)
    if not any(map(_in_half, all_layers(model))):
        return model

    def in_float32(layer):
        config = {**layer.get_config(), "dtype": "float32"}
        return type(layer).from_config(config) if _in_half(layer) else None

    return rebuild(model, in_float32)


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
