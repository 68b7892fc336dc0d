"""From a plain Keras model to the bytes of a flatbuffer."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np

from fr_keras.models.origins import Baked
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import Recipes
from fr_keras.tflite.file.ops import outputs_from
from fr_keras.tflite.int8.budgets import saved_by_chains
from fr_keras.tflite.int8.ranges import calibrated, quantized
from fr_keras.tflite.int8.segments import reaches, segmented
from fr_keras.tflite.int8.transposed import depth_to_space
from fr_keras.tflite.int8.two_classes import sigmoids
from fr_keras.tflite.modes import Mode
from fr_keras.tflite.recipes.apply import apply
from fr_keras.tflite.recipes.derive import LayerRecipes
from fr_keras.tflite.recipes.match import recipes_of
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.scopes import Scopes
from fr_keras.tflite.signature import input_names, output_names

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
    from fr_keras.tflite.converter import raw

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
