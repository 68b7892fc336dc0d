"""Runs TensorFlow's converter, from a plain Keras model to the bytes of a flatbuffer."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from fr_keras.models.origins import Baked
from fr_keras.tflite._calibration_data import float32_for
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import Recipes
from fr_keras.tflite.file.ops import outputs_from
from fr_keras.tflite.int8.budgets import saved_by_chains
from fr_keras.tflite.int8.ranges import calibrated, quantized
from fr_keras.tflite.int8.segments import reaches, segmented
from fr_keras.tflite.int8.splits import sliced
from fr_keras.tflite.int8.transposed import depth_to_space
from fr_keras.tflite.int8.two_classes import sigmoids
from fr_keras.tflite.modes import Mode
from fr_keras.tflite.recipes.apply import apply
from fr_keras.tflite.recipes.derive import LayerRecipes
from fr_keras.tflite.recipes.match import recipes_of
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.scopes import Scopes
from fr_keras.tflite.signature import input_names, output_names, packed

# The largest noise of int8 outputs, as a part of their own spread, that is good enough.
_NOISE = 0.05
# Only bottlenecks with at least this share of the largest one's positions are split: at first none,
# then those of the highest resolution, where noise costs most and kernels are small.
_SHARES = (np.inf, 1 / 4, 1 / 16, 1 / 64, 0)
# Segments cost bytes: if no file is good enough, the first within this factor of the best is taken.
_WORTH = 1.5
_JUDGED = 8  # representative rows


def converted(
    plain: Baked,
    mode: Mode,
    rows: list[np.ndarray] | None,
    float_io: bool,
    float_layers: Sequence[keras.layers.Layer] = (),
    ranges: Mapping[int, tuple[float, float]] | None = None,
    derived: LayerRecipes | None = None,
) -> tuple[bytes, Recipes]:
    """Returns the file for batch 1, its inputs and outputs in the model's flat order.

    `float_layers`, and `ranges` by `id`, belong to layers of the model that `plain` was baked from.
    With `derived`, the constants of an int8 file are computed from recipes, which are returned by
    the number of the op.

    Raises:
        ValueError: If the model keeps state between calls.
        RuntimeError: If the converter refuses the model; the message names the ops it refuses.
        OSError: If the converter cannot write its temporary files.
    """
    scopes = Scopes(plain.model)
    content = raw(scopes, mode, rows, float_io)
    if not mode.ranges:
        return named(content, scopes), {}
    recipes = {} if derived is None else recipes_of(content, derived, scopes)
    if not ranges:  # a quantization-aware model was trained with rounded logits
        content, recipes = sigmoids(content, recipes)
    content = calibrated(content, rows, _by_tensor(content, scopes, plain, ranges or {}))
    in_float = outputs_from(content, scopes, plain.made_from(float_layers))

    def finished(content: bytes, recipes: Recipes) -> tuple[bytes, Recipes]:
        content, recipes = depth_to_space(content, recipes)
        file = quantized(content, float_io, in_float)
        if recipes:
            file, recipes = apply(file, content, recipes, derived.source)
        return named(file, scopes), recipes

    # A quantization-aware model was trained with the steps that its ranges give.
    reach = {} if ranges else reaches(content, rows)
    if not reach:
        return finished(content, recipes)
    budget = saved_by_chains(plain)
    tries = (segmented(content, reach, share, recipes, budget) for share in _SHARES)
    return _held(tries, finished, rows, named(content, scopes))


def _by_tensor(
    content: bytes, scopes: Scopes, plain: Baked, ranges: Mapping[int, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The known ranges of layers, by the name of their output tensor."""
    known = {one: ranges.get(id(origin.layer)) for one, origin in plain.origins.items()}
    found = {}
    for tensor in flatbuffer.read(content).subgraphs[0].tensors:
        of_layers = [known.get(id(layer)) for layer in scopes.layers(tensor.name)]
        found |= {tensor.name.decode(): one for one in of_layers[::-1] if one}
    return found


def _held(
    tries: Iterable[tuple[bytes, int, Recipes]],
    finished: Callable[[bytes, Recipes], tuple[bytes, Recipes]],
    rows: list[np.ndarray],
    exact: bytes,
) -> tuple[bytes, Recipes]:
    """The int8 file with the fewest bottlenecks in segments whose outputs are good enough."""
    count = len(rows[0])
    chosen = np.linspace(0, count - 1, min(_JUDGED, count)).astype(int)
    some = [part[chosen] for part in rows]
    expected = Runner(exact).run_all(some)
    tried, most = [], -1
    for content, split, recipes in tries:
        if split > most:
            most, file = split, finished(content, recipes)
            tried.append((_noise(Runner(file[0]).run_all(some), expected), file))
        if tried[-1][0] <= _NOISE:
            return tried[-1][1]
    least = min(noise for noise, _ in tried)
    return next(file for noise, file in tried if noise <= _WORTH * least)


def _noise(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Root mean square of the difference, as a part of the spread of the output; the worst one."""
    return max(
        float(np.sqrt(np.mean((outputs[name] - one) ** 2)) / max(np.std(one), 1e-12))
        for name, one in expected.items()
    )


def raw(
    scopes: Scopes, mode: Mode, rows: list[np.ndarray] | None = None, float_io: bool = False
) -> bytes:
    """The file that TensorFlow's converter writes; it is in float32 if ranges are set later."""
    held = tf.Module()
    # A variable of a distribution strategy is a copy for each device.
    held.weights = [
        copy for v in scopes.model.variables for copy in getattr(v.value, "values", (v.value,))
    ]
    function = _traced(scopes, held.weights)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], held)
    _configure(converter, mode, rows, float_io)
    with _quiet():
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises many types, with pages of graph dumps
            reasons = [line for line in str(error).splitlines() if " ops: " in line]
            raise RuntimeError(
                f"'{scopes.model.name}' cannot be converted to quantize='{mode.name}': "
                f"{(reasons or [str(error)])[0][:500]}{_in_float64(function.graph, scopes)}"
            ) from error
    if not flatbuffer.read(content).signatureDefs:
        # The converter goes on without a signature when it cannot write its temporary folder.
        raise OSError(
            "the converter could not write its temporary files, so its result cannot be trusted: "
            f"make room in '{tempfile.gettempdir()}', or set TMPDIR to another folder."
        )
    return sliced(content) if mode.ranges else content


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


def named(content: bytes, scopes: Scopes) -> bytes:
    """The flatbuffer with inputs and outputs in the model's order, under the model's names in its
    signature, and with its other tensors named after their layers.

    The converter chooses its own order, and uses names with a number, as `input_0` and `output_0`.
    """
    parsed = flatbuffer.read(content)
    (signature,), graph = parsed.signatureDefs, parsed.subgraphs[0]
    graph.inputs = _rename(signature.inputs, "input", input_names(scopes.model))
    graph.outputs = _rename(signature.outputs, "output", output_names(scopes.model))
    ends = {*graph.inputs, *graph.outputs}
    for one in parsed.subgraphs:
        for number, tensor in enumerate(one.tensors):
            if one is not graph or number not in ends:
                tensor.name = scopes.short(tensor.name)
    return flatbuffer.write(parsed)


def _rename(maps: list, prefix: str, names: list[str]) -> list[int]:
    numbered = {one.name.decode(): one for one in maps}
    ordered = [numbered[f"{prefix}_{number}"] for number in range(len(names))]
    for one, name in zip(ordered, names, strict=True):
        one.name = name
    return [one.tensorIndex for one in ordered]


def _configure(
    converter: tf.lite.TFLiteConverter,
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
