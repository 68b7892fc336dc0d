"""`convert`: turns a Keras model into a .tflite file, and checks the file against the model."""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence

import keras

from fr_archive.files import check_target, write_bytes
from fr_keras.layers.forms import chooser
from fr_keras.models.walk import all_layers, check_graph, named_layers
from fr_keras.tflite._calibration_data import split_rows
from fr_keras.tflite._elsewhere import with_tensorflow
from fr_keras.tflite._in_form import ConversionWarning, file_in_form
from fr_keras.tflite.agreement import Agreement, agreements
from fr_keras.tflite.file.fitting import fitted
from fr_keras.tflite.file.graph import Recipe
from fr_keras.tflite.int8.aware import exact
from fr_keras.tflite.modes import Mode, mode_of
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.signature import predict


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted file: its bytes, its quantization mode, and its agreement with Keras.

    Attributes:
        content: The flatbuffer.
        quantize: The quantization mode.
        agreements: How far each output is from the model's, by the name of the output.
        recipes: For an int8 file, how the constants of its ops are computed from the numbers of an
            archive, by the number of the op. The skeleton of an archive is made from this.
        computed_twice: The part of the activations that the file computes twice, because its goal
            of memory could not be kept otherwise.
    """

    content: bytes
    quantize: str
    agreements: dict[str, Agreement]
    recipes: Mapping[int, Recipe] = dataclasses.field(default_factory=dict, repr=False)
    computed_twice: float = 0.0

    @property
    def agreement(self) -> Agreement:
        """The agreement of the output that is furthest from the model, relative to its range."""
        return max(self.agreements.values(), key=lambda one: (not one.holds, one.relative))

    def __str__(self) -> str:
        size = f"{len(self.content):,} bytes"
        if self.computed_twice:
            size += f", computes {self.computed_twice:.1%} of the activations twice"
        return f"{self.quantize}, {size}; against Keras {self.agreement}"

    def to_dict(self) -> dict:
        """Returns sizes and agreement as plain types, ready for JSON."""
        return {
            "quantize": self.quantize,
            "bytes": len(self.content),
            "computed_twice": self.computed_twice,
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
    float_layers: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    normalization: tuple[float, float] | None = None,
    command: str | None = None,
    overwrite: bool = False,
    memory: str | int | None = None,
) -> Conversion:
    """Converts a model to a .tflite file and compares the outputs of both.

    FR models are baked first, by default in the form that is smallest and fastest: `"auto"` never
    gives a file that is larger than the dense form in the same mode. `"factored"` may, and then
    gives a `ConversionWarning`. The batch size
    is fixed to 1, because a dynamic one adds shape arithmetic to the graph that delegates refuse.
    The comparison uses rows of `calibration` that were held out from calibration, or random rows if
    no `calibration` is given. A difference beyond the bounds of `fr_keras.tflite.agreement` gives a
    `ConversionWarning`.

    The converter is TensorFlow's. If Keras has another backend, it runs in a process of its own,
    which loads the model from a temporary file; TensorFlow must be installed, and the model's own
    classes must be registered with Keras in modules that can be imported.

    Args:
        model: A built functional or sequential model with inputs of fixed shape. The file has the
            model's inputs and outputs in the same order, and its signature has their names.
        path: Where to write the file; `None` writes no file.
        quantize: `"float32"`, `"float16"` (weights), `"dynamic"` (int8 weights), `"int8"`, or
            `"int16x8"` (16-bit activations, 8-bit weights).
        calibration: Representative data: an array `(rows, *input)`, a `tf.data.Dataset` or an
            iterable of rows or batches, with or without labels, or a function that returns one,
            like TFLite's `representative_dataset`. For several inputs: a dict of these by name, a
            list in order, or data nested like the model's inputs, with matching rows. Required for
            int8 and int16x8, and for integer inputs.
        float_io: Whether an int8 or int16x8 file has float32 inputs and outputs.
        form: The form in which an FR model is baked: `"auto"`, `"factored"` or `"dense"`; see
            `fr_keras.bake`. Here `"auto"` takes no chain that needs more bytes than the whole
            kernel.
        float_layers: Names of layers whose ops stay in float32 in an int8 file, or paths such as
            `"left/fc"` where layers of nested models share a name. Choose the layers that
            `fr_keras.tflite.sensitivity` lists first. QUANTIZE and DEQUANTIZE ops connect float32
            and int8 ops.
        labels: Names of the classes, for a model with one output; stored in the file.
        normalization: `(scale, offset)` with `input = scale * pixel + offset`, stored in the file.
        command: The command that made the file, stored in it; `None` stores this call.
        overwrite: Whether to replace an existing file.
        memory: The bytes that the file may need while it runs on a CPU, as `inspect` expects it, or
            `"auto"` for less memory where it costs few bytes of the file: one for each 500, and
            none for a file that needs less than 16 MB. Where only pointwise ops and pooling touch
            wide tensors, these are made and used strip by strip, and convolutions of few channels
            compute several pixels of a row at once. If a goal needs it, strips also run through
            convolutions over several rows, and the rows at their ends are computed twice. The
            outputs stay the same: in int8 to the bit, in float32 as well unless sums get another
            order. `None` leaves the file as it is.

    Returns:
        A `Conversion` with the file's bytes and its agreement with `model`.

    Raises:
        ImportError: If TensorFlow is not installed.
        ValueError: If an argument breaks these rules, or a mode lacks the representative data that
            it needs.
        RuntimeError: If the converter refuses the model; the message names the ops it refuses. Or
            if the system ends its process, such as for lack of memory.
        OSError: If the file cannot be written; nothing is left behind.

    Example:

    >>> import numpy as np
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> x = np.random.default_rng(0).normal(size=(500, 8))
    >>> convert(model, quantize="int8", calibration=x).agreement.holds
    True
    """
    mode = mode_of(quantize)
    chooser(form)  # an unknown form is an error before the work
    check_convertible(model, mode)
    _check_float_layers(model, mode, float_layers)
    _check_memory(memory)
    if path is not None:
        check_target(path, overwrite)
    _check_labels(model, labels)
    calibrating, checking, rows_from = split_rows(calibration, model, mode)
    entry = _entry(model.name, quantize, labels, normalization, command)
    content, recipes = with_tensorflow(
        file_in_form, model, mode, form, calibrating, float_io, list(float_layers), entry
    )
    twice = 0.0
    if memory is not None:
        fit = fitted(content, memory, recipes)
        content, recipes, twice = fit.content, fit.places, fit.twice
    if not mode.ranges:
        model, _ = exact(model)  # the file does not round as a quantization-aware model does
    expected = predict(model, checking)
    found = agreements(model, expected, Runner(content), checking, rows_from, mode)
    for name, agreement in found.items():
        _warn_unless_it_holds(agreement, f"{model.name}' output '{name}", quantize)
    if path is not None:
        write_bytes(path, content, overwrite)
    return Conversion(content, quantize, found, recipes, twice)


def _warn_unless_it_holds(agreement: Agreement, name: str, quantize: str) -> None:
    if not agreement.holds:
        warnings.warn(
            f"The {quantize} file of '{name}' disagrees with its Keras model {agreement}. The "
            f"bounds are a mean difference of {agreement.bound:g} of the range and "
            f"{agreement.argmax_bound:.0%} equal arg-maxes. Check that the representative data "
            "looks like the inputs that the network was trained on, or use a mode with more bits.",
            ConversionWarning,
            stacklevel=3,
        )


def check_convertible(model: keras.Model, mode: Mode) -> None:
    """Raises a ValueError if a .tflite file in that mode cannot be made of `model`."""
    check_graph(model)
    for entry in model.inputs:
        if None in entry.shape[1:]:
            raise ValueError(
                "`model` must have inputs of fixed shape, because those of the file are fixed: "
                "build it with the size that the phone will use. "
                f"Received: {tuple(entry.shape[1:])} for '{entry.name}'"
            )
    integers = [entry.name for entry in model.inputs if "float" not in entry.dtype]
    if mode.calibrated and not mode.ranges and integers:
        raise ValueError(
            f"`model` must have float inputs for quantize='{mode.name}': TensorFlow "
            f"cannot calibrate integer inputs in this mode. Received: integer inputs {integers}. "
            "Use quantize='int8', where they stay integers."
        )
    rolled = [
        layer.name
        for layer in all_layers(model)
        if not getattr(getattr(layer, "forward_layer", layer), "unroll", True)
    ]
    if mode.calibrated and rolled:
        raise ValueError(
            f"`model` must have unrolled recurrent layers for quantize='{mode.name}': the "
            f"converter cannot calibrate a loop. Build {rolled} with unroll=True."
        )


def _check_float_layers(model: keras.Model, mode: Mode, names: Sequence[str]) -> None:
    if names and not mode.ranges:
        raise ValueError(
            "`float_layers` must be left out unless quantize='int8'. "
            f"Received: {list(names)} with quantize={mode.name!r}"
        )
    known = named_layers(model)
    if isinstance(names, str) or not {*names} <= {*known}:
        raise ValueError(
            f"`float_layers` must be a list of layers of the model: {sorted(known)}. "
            f"Received: {names!r}"
        )


def _check_memory(memory: str | int | None) -> None:
    count = isinstance(memory, int) and not isinstance(memory, bool) and memory > 0
    if not (memory is None or memory == "auto" or count):
        raise ValueError(
            f"`memory` must be a number of bytes above 0, 'auto' or None. Received: {memory!r}"
        )


def _check_labels(model: keras.Model, labels: Sequence[str] | None) -> None:
    if labels is None:
        return
    if len(model.outputs) != 1:
        raise ValueError(
            "`labels` must be left out for several outputs, because they name the classes of one. "
            f"Received: labels for {len(model.outputs)} outputs"
        )
    classes = model.outputs[0].shape[-1]
    if len(labels) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of the output. Received: {len(labels)} names"
        )


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
