"""The file of a model in a form: the part of `convert` that needs TensorFlow."""

import warnings
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from fr_keras.layers.forms import WHOLE, chooser, whole
from fr_keras.models.origins import Baked
from fr_keras.models.walk import named_layers
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.file import metadata
from fr_keras.tflite.file.graph import Recipes
from fr_keras.tflite.int8.aware import exact
from fr_keras.tflite.lowering import converted
from fr_keras.tflite.modes import Mode
from fr_keras.tflite.recipes.derive import LayerRecipes, fits_an_archive


class ConversionWarning(UserWarning):
    """A converted file disagrees with its Keras model, or is larger than its dense form."""


def file_in_form(
    model: keras.Model,
    mode: Mode,
    form: str,
    rows: list[np.ndarray] | None,
    float_io: bool,
    float_layers: Sequence[str],
    entry: Mapping,
) -> tuple[bytes, Recipes]:
    """Returns the file of a model, with `entry` as its metadata, and the recipes of its ops.

    The other arguments are those of `convert` and `lowering.converted`, which raises the same.
    """
    unrounded, ranges = exact(model)
    in_float = [named_layers(unrounded)[name] for name in float_layers]

    def lowered(form: str) -> tuple[Baked, bytes, Recipes]:
        plain, derived = deployable(unrounded, chooser(form, mode.bytes_of)), None
        if mode.ranges and fits_an_archive(unrounded):
            derived = LayerRecipes(unrounded, plain)
        file, recipes = converted(plain, mode, rows, float_io, in_float, ranges, derived)
        return plain, metadata.attach(file, entry), recipes

    return _not_larger_than_dense(model.name, mode, form, lowered)


def _not_larger_than_dense(
    name: str, mode: Mode, form: str, lowered: Callable[[str], tuple[Baked, bytes, Recipes]]
) -> tuple[bytes, Recipes]:
    """The file in a form; in the dense one instead of `"auto"` if that is smaller.

    The dense file is only made if whole kernels alone do not prove that it is larger.
    """
    plain, content, recipes = lowered(form)
    chains = {id(one.layer): one.layer for one in plain.origins.values() if one.chain != WHOLE}
    least = mode.weight_bytes * sum(whole(layer).weights for layer in chains.values())
    if not chains or len(content) <= least:
        return content, recipes
    _, dense, of_dense = lowered("dense")
    if len(content) <= len(dense):
        return content, recipes
    if form == "auto":
        return dense, of_dense
    warnings.warn(
        f"The {mode.name} file of '{name}' with form='{form}' has {len(content):,} bytes, more "
        f"than the {len(dense):,} bytes with form='dense'. Use form='auto', which takes chains "
        "only where they are smaller, or train with fewer coefficients.",
        ConversionWarning,
        stacklevel=5,
    )
    return content, recipes
