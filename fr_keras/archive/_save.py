"""`save_archive`: a model to a file of kilobytes."""

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping

import keras
import numpy as np

import fr_archive
from fr_archive import Archive, Config, Quantized, skeletons
from fr_archive.archive import source
from fr_archive.files import check_target, write_bytes
from fr_keras.archive import _reference, _validate
from fr_keras.archive._agreement import Sample, measured
from fr_keras.archive._description import Prepared, at_inference
from fr_keras.archive._load import loaded
from fr_keras.archive._normalization import move_biases, scales
from fr_keras.archive._precision import ERROR, STEP, Precision, by_layer
from fr_keras.archive._quantization import (
    quantize_tensor,
    quantize_vector,
    restore_vector,
    root_of_squares,
)
from fr_keras.archive._report import Packing, packing
from fr_keras.archive._shapes import unbuilt
from fr_keras.interop import calibrate_batch_norm
from fr_keras.models.coefficients import keep_series, kept_series
from fr_keras.models.compaction import to_corner
from fr_keras.models.vectors import Weight, weights
from fr_keras.models.walk import (
    all_layers,
    check_finite,
    check_graph,
    frequency_layers,
    named_kernels,
    rebuild,
)
from fr_keras.tflite import convert
from fr_keras.tflite.recipes.sites import sites_of

_CONVERSION = (
    "calibration",
    "float_io",
    "form",
    "float_layers",
    "labels",
    "normalization",
    "command",
)


def save_archive(
    model: keras.Model,
    path: str | os.PathLike,
    step: Precision = STEP,
    error: Precision = ERROR,
    calibration: Iterable | None = None,
    skeleton: Mapping | None = None,
    overwrite: bool = False,
) -> Packing:
    """Writes an FR model to a `.fr` file, the same bytes for the same model on every machine.

    The architecture is the name of a network of the zoo where the model is exactly that, else its
    configuration. Kept are the coefficients that count, in steps, and every other weight by the
    first few numbers of its DCT. Initializers and optimizer are not kept, nor the end points of a
    truncation that is under way, nor the augmentation of images, which does nothing at inference. A
    bias straight in front of a batch normalization moves into its mean. What a file holds comes
    back exactly: packing a loaded model gives the same bytes.

    The default keeps the function: of a U-Net of 759 coefficients 99.9 % of the pixels stay in
    their class. `step=0.005, error=0.01` makes that file a third smaller, and 98 % stay. With
    `calibration` the result says what it is for this model.

    Args:
        model: A built functional or sequential FR model, made of layers of Keras and fr_keras,
            or of your own that `register_twin` and Keras know. It stays as it is.
        path: The file, `.fr` by convention.
        step: The steps of each tensor of coefficients, relative to its Euclidean norm, up to 1; or
            a dict from the name of a layer, or its path as in `walk.named_kernels`, to its
            step. `archive.search` finds one.
        error: The root mean square error of each other weight: of means, variances, gammas and
            betas of batch normalizations relative to what the normalization divides by or
            multiplies with, of any other weight relative to its root mean square. Or a dict from
            the name of a layer, or its path as in `walk.named_layers`, to the error of its
            weights.
        calibration: Data as for `interop.calibrate_batch_norm`, to set the statistics of a copy
            anew after the coefficients were quantized. Behind FR layers they then take few
            numbers; moving averages lag behind the weights and take more. The statistics, and so
            the bytes, depend on the machine. Some of its rows then measure what the file did to
            the outputs.
        skeleton: Arguments of `tflite.convert` for an int8 file that the archive is to make by
            itself, with `calibration` as representative data unless there is one among them; an
            empty dict is enough. `fr_archive.expand` and `fr-keras unpack` then write, without
            TensorFlow, the file that `convert` writes for the model that `load_archive` returns.
        overwrite: Whether a file that exists is replaced.

    Returns:
        Where the bytes are, the error of each weight, and, with `calibration`, of the outputs.

    Raises:
        ValueError: If `model` is unbuilt or subclassed, has no FR layer, holds a weight that is not
            finite, or a layer that an archive cannot hold, which is said before anything else is
            done; if `step` or `error` is out of range, or the numbers are too many; if `skeleton`
            has arguments that are not `convert`'s for int8, or too much of the file follows no
            recipe.
        OSError: If the file exists or cannot be written.

    Example:

    >>> import tempfile
    >>> from fr_keras import regularize, zoo
    >>> model = regularize(zoo.lenet5(), start=776)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     packing = save_archive(model, f"{folder}/lenet5.fr")
    >>> packing.by_reference, packing.bytes < 1500
    (True, True)
    """
    check_target(path, overwrite)
    _check_skeleton(skeleton, calibration)
    given = prepared(model)
    sample = None if calibration is None else Sample(calibration, model)
    archive, residuals = packed(given, step, error, sample)
    # That it loads is proven before anything is written.
    found = loaded(fr_archive.decode(fr_archive.encode(archive)))
    agreements = {} if sample is None else measured(model, found, sample)
    if skeleton is not None:
        arguments = {"calibration": calibration, **skeleton}
        archive = dataclasses.replace(archive, skeleton=_skeleton(archive, found, arguments))
    data = fr_archive.encode(archive)
    report = packing(data, archive, found, weights(found), residuals)
    report = dataclasses.replace(report, left_out=tuple(given.left_out), agreements=agreements)
    write_bytes(path, data, overwrite)
    return report


def _check_skeleton(skeleton: Mapping | None, calibration: Iterable | None) -> None:
    if skeleton is None:
        return
    if not isinstance(skeleton, Mapping) or not {*skeleton} <= {*_CONVERSION}:
        raise ValueError(
            f"`skeleton` must be a dict of arguments of `tflite.convert` from {_CONVERSION}. "
            f"Received: {skeleton!r:.200}"
        )
    if skeleton.get("calibration", calibration) is None:
        raise ValueError(
            "`calibration` must be given with `skeleton`, for int8 ranges come from representative "
            "data. Received: calibration=None"
        )


def _skeleton(archive: Archive, model: keras.Model, arguments: dict) -> bytes:
    """The int8 file of a model without what the archive of the model says of it already."""
    done = convert(model, quantize="int8", **arguments)
    sites, gaps = sites_of(done.content, done.recipes)
    return skeletons.write(done.content, sites, gaps, source(archive))


def prepared(model: keras.Model) -> Prepared:
    """Returns what an archive holds of a model.

    Raises:
        ValueError: If an archive cannot hold the model.
    """
    check_graph(model)
    for layer in all_layers(model):
        check_finite(layer)
    if not frequency_layers(model):
        raise ValueError(
            f"`model` must have a layer in the DCT domain: use `regularize`. Received: "
            f"'{model.name}' with none"
        )
    given = at_inference(model)
    weights(given.model)
    _validate.check(given.description)
    shapes = unbuilt(given.description)
    shapes.check_held([part.kept for part in frequency_layers(given.model)])
    return given


def packed(
    given: Prepared, step: Precision, error: Precision, calibration: Iterable | None
) -> tuple[Archive, dict[str, float]]:
    """Returns the archive of a model that is prepared, and the error of each weight by its name."""
    model, description, _ = given
    parts = named_kernels(model)
    steps = by_layer("step", step, parts, STEP)
    names = dict.fromkeys(one.layer_name for one in weights(model))
    errors = by_layer("error", error, names, ERROR)
    tensors = [quantize_tensor(kept_series(part), steps[name]) for name, part in parts.items()]
    if calibration is not None:
        model = _calibrated(model, tensors, calibration)
    vectors, residuals = quantized_vectors(model, weights(model), errors)
    network = _reference.find(model, description) or Config(description)
    return Archive(network, tensors, vectors), residuals


def normalizes(model: keras.Model) -> bool:
    """Whether there are statistics to calibrate."""
    return any(isinstance(one, keras.layers.BatchNormalization) for one in all_layers(model))


def _calibrated(model: keras.Model, tensors: list[Quantized], calibration: Iterable) -> keras.Model:
    """A copy with the quantized coefficients and statistics of its own, if it has any."""
    if not normalizes(model):
        for _ in calibration:
            pass  # it keeps some rows to be measured on
        return model
    copy = rebuild(model, to_corner)
    for part, tensor in zip(frequency_layers(copy), tensors, strict=True):
        keep_series(part, tensor.reals())
    calibrate_batch_norm(copy, calibration)
    return copy


def quantized_vectors(
    model: keras.Model, found: list[Weight], errors: Mapping[str, float]
) -> tuple[list[Quantized], dict[str, float]]:
    """Returns the vectors of all weights, and the error of each weight by its name.

    Args:
        model: The model.
        found: Its weights.
        errors: By the name of the layer in `named_layers`.
    """
    values = [weight.values() for weight in found]
    move_biases(model, found, values)
    vectors, residuals = [], {}
    for weight, numbers, scale in zip(found, values, scales(found, values), strict=True):
        variance = weight.is_statistic("variance")
        restored = []
        for part in weight.cut(numbers):
            vectors.append(quantize_vector(part, errors[weight.layer_name] * scale, variance))
            restored.append(restore_vector(vectors[-1], len(part), variance))
        difference = np.concatenate([*restored, []]) - numbers
        norm = root_of_squares(difference) / math.sqrt(max(1, len(numbers)))
        residuals[weight.name] = norm / scale if scale else 0.0
    return vectors, residuals
