"""`sensitivity`: finds the layers in which an int8 file loses accuracy."""

import keras
import numpy as np
from rich.progress import track

from fr_keras.layers.forms import chooser
from fr_keras.models.walk import named_layers
from fr_keras.tflite._calibration_data import split_rows
from fr_keras.tflite._convert import check_convertible
from fr_keras.tflite._elsewhere import with_tensorflow
from fr_keras.tflite.agreement import Agreement, agreements
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.file.ops import outputs_from
from fr_keras.tflite.int8.aware import exact
from fr_keras.tflite.int8.ranges import calibrated, outputs_of_ops, quantized
from fr_keras.tflite.lowering import named
from fr_keras.tflite.modes import INT8
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.scopes import Scopes
from fr_keras.tflite.signature import predict


def sensitivity(
    model: keras.Model, calibration, form: str = "auto", verbose: int = 1
) -> dict[str, Agreement]:
    """Measures, for each layer, how far a file with only that layer in int8 is from the model.

    If an int8 file of all layers loses too much accuracy and you cannot fine-tune, keep the first
    layers of the result in float32 with `convert(..., float_layers=[...])`. TensorFlow runs where
    it does for `convert`.

    Args:
        model: A model as for `convert`.
        calibration: Representative data as for `convert`; the measurement uses a part of it that is
            held out.
        form: The form in which an FR model is baked.
        verbose: 1 shows a progress bar, 0 does not.

    Returns:
        A dict from the name of each layer with ops of its own that int8 changes to the agreement of
        the output that is furthest from the model; the worst layer comes first. Where layers of
        nested models share a name, the dict has paths such as `"left/fc"`.

    Raises:
        ValueError: If an argument breaks these rules.
        RuntimeError: If the converter refuses the model; the message names the ops it refuses.

    Example:

    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="logits")])
    >>> x = np.random.default_rng(0).normal(size=(50, 8))
    >>> list(sensitivity(model, x, verbose=0))
    ['logits']
    """
    chooser(form)  # an unknown form is an error before the work
    check_convertible(model, INT8)
    model, _ = exact(model)
    calibrating, checking, rows_from = split_rows(calibration, model, INT8)
    expected = predict(model, checking)
    return with_tensorflow(
        _by_layer, model, form, calibrating, checking, expected, rows_from, verbose
    )


def _by_layer(
    model: keras.Model,
    form: str,
    calibrating: list[np.ndarray],
    checking: list[np.ndarray],
    expected: list[np.ndarray],
    rows_from: str,
    verbose: int,
) -> dict[str, Agreement]:
    """What `sensitivity` returns; `model` does not round, and its outputs are `expected`."""
    from fr_keras.tflite.converter import raw

    plain = deployable(model, chooser(form, INT8.bytes_of))
    scopes = Scopes(plain.model)
    content = calibrated(raw(scopes, INT8), calibrating)
    every, found = outputs_of_ops(content), {}
    layers = {name: layer for name, layer in named_layers(model).items() if layer.weights}
    for name, layer in track(layers.items(), "Sensitivity", transient=True, disable=not verbose):
        own = {*outputs_from(content, scopes, plain.made_from([layer]))}
        if own:
            others = [one for one in every if one not in own]
            runner = Runner(named(quantized(content, True, others), scopes))
            by_output = agreements(model, expected, runner, checking, rows_from, INT8)
            found[name] = max(by_output.values(), key=lambda one: one.relative)
    return dict(sorted(found.items(), key=lambda item: -item[1].relative))
