"""`save_archive`: writes a model to a small file."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping

import keras

import fr_archive
from fr_archive import Archive, Config, skeletons
from fr_archive.archive import MOST_KERNEL_NUMBERS, decode_with_sizes, source, with_skeleton
from fr_archive.files import check_target, write_bytes
from fr_keras.archive import _reference, _validate
from fr_keras.archive._agreement import Sample, measured
from fr_keras.archive._description import Prepared, at_inference
from fr_keras.archive._load import loaded
from fr_keras.archive._precision import ERROR, KERNEL_ERROR, STEP, Precision, by_layer
from fr_keras.archive._quantization import quantize_tensor
from fr_keras.archive._report import Packing, packing
from fr_keras.archive._shapes import unbuilt
from fr_keras.archive._statistics import calibrated, normalizes
from fr_keras.archive._weights import rounded_kernels, rounded_vectors
from fr_keras.models.coefficients import kept_series
from fr_keras.models.quantized import unquantized
from fr_keras.models.vectors import weights
from fr_keras.models.walk import (
    all_layers,
    check_finite,
    check_graph,
    frequency_layers,
    named_kernels,
)
from fr_keras.tflite import convert
from fr_keras.tflite.recipes.sites import sites_of

_CONVERSION = (
    "calibration",
    "float_io",
    "form",
    "float_layers",
    "memory",
    "labels",
    "normalization",
    "command",
)


def save_archive(
    model: keras.Model,
    path: str | os.PathLike,
    step: Precision = STEP,
    error: Precision = ERROR,
    kernel_error: Precision = KERNEL_ERROR,
    calibration: Iterable | None = None,
    skeleton: Mapping | None = None,
    overwrite: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> Packing:
    """Writes a model to a `.fr` file.

    Without `calibration` the same model gives the same bytes on every machine.

    If the model is exactly a network of the zoo, the file names that network; otherwise it holds
    the configuration of the layers. The kept coefficients of FR layers are quantized in steps, and
    so are *kernels in space*, the weights with several axes of all other layers. Biases and all
    other weights are *vectors*, which are stored as the first few numbers of their DCT. A kernel in
    space of at most 16 different numbers, as of a ternary network, is stored exactly, as a
    codebook, unless steps take fewer bytes. A kernel in space whose initializer is
    `layers.SeededSigns`, and which still has exactly the numbers that this makes, is stored as its
    seed and scale; the layer of the loaded model has that initializer again. The file does not hold
    other initializers, the optimizer, the start and target of an unfinished truncation, or image
    augmentation, which does nothing at inference. A bias directly before a batch normalization is
    moved into the mean of the normalization. Stored numbers come back exactly, so packing a loaded
    model gives the same bytes.

    The default keeps the function; kernels in space get about the error of int8. In a U-Net of 759
    coefficients, 99.9 % of the pixels keep their class. With `step=0.005, error=0.01` that file is
    a third smaller, and 98 % keep theirs. With `calibration`, the result reports how much the
    outputs of your model change.

    Args:
        model: A built functional or sequential model, with FR layers or without. Its layers come
            from Keras and fr_keras, or are your own and registered with `register_twin` and Keras.
            It is not changed.
        path: The file to write, `.fr` by convention.
        step: Quantization step of each coefficient tensor, relative to its Euclidean norm, up to
            1; or a dict from the name of a layer, or its path as in `walk.named_kernels`, to its
            step. `archive.search` finds a good one.
        error: Root mean square error that is allowed for each vector. For the means,
            variances, gammas and betas of batch normalizations it is relative to the number that
            the normalization divides by or multiplies with; for any other vector it is relative to
            its root mean square. Or a dict from the name of a layer, or its path as in
            `walk.named_layers`, to the error of its vectors.
        kernel_error: Root mean square error of each kernel in space, relative to its root mean
            square; or a dict, as for `error`. The default is about the error of int8 weights with a
            scale for each channel. Codebooks of the kernel's own numbers, and signs of a seed, have
            no error.
        calibration: Data as for `interop.calibrate_batch_norm`. After the kernels are rounded, the
            batch-norm statistics are measured on this data, in a copy of the model. After FR
            layers, such statistics take few numbers; moving averages lag behind the weights and
            take more. In a model without FR layers, the statistics stay those of the training, but
            for the change that rounding makes on this data. The statistics, and so the bytes,
            depend on the machine. Some of the rows are then used to measure how much the file
            changes the outputs.
        skeleton: Arguments of `tflite.convert` for an int8 file that the archive can produce by
            itself; an empty dict is enough. `calibration` is its representative data, unless these
            arguments have other data. `fr_archive.expand` and `fr-keras unpack` then write,
            without TensorFlow, the file that `convert` writes for the model that `load_archive`
            returns. `save_archive` itself needs TensorFlow for this, as `convert` does.
        overwrite: Whether to replace an existing file.
        progress: A function that is called with what is being done, and with the share of it that
            is done, or `None` where that is not known.

    Returns:
        The size of each part, the error of each weight and, with `calibration`, the change of each
        output.

    Raises:
        ValueError: If `model` is unbuilt or subclassed, or holds a weight that is not finite or a
            layer that an archive cannot hold, which is checked before any other work is done; if
            `step`, `error` or `kernel_error` is out of range, or there are too many numbers; if
            `skeleton` has arguments that `convert` does not take for int8, or if the archive can
            produce too little of that file.
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
    check_skeleton(skeleton, calibration)
    told = progress or (lambda text, share: None)
    given = prepared(model)
    sample = None if calibration is None else Sample(calibration, model)
    archive, residuals = packed(given, step, error, kernel_error, sample, told)
    data = fr_archive.encode(archive)
    # Nothing is written before the archive has been loaded.
    held, sizes = decode_with_sizes(data)
    found = loaded(held)
    told("comparing outputs", None)
    agreements = {} if sample is None else measured(model, found, sample)
    if skeleton is not None:
        told("making the int8 file", None)
        arguments = {"calibration": calibration, **skeleton}
        data = with_skeleton(data, make_skeleton(archive, found, arguments))
        sizes = sizes.of(data)
    report = packing(sizes, archive, found, weights(found), residuals)
    report = dataclasses.replace(report, left_out=tuple(given.left_out), agreements=agreements)
    write_bytes(path, data, overwrite)
    return report


def check_skeleton(skeleton: Mapping | None, calibration: Iterable | None) -> None:
    """Checks the argument `skeleton`.

    Raises:
        ValueError: If `convert` does not take it, or there are no representative data.
    """
    if skeleton is None:
        return
    if not isinstance(skeleton, Mapping) or not {*skeleton} <= {*_CONVERSION}:
        raise ValueError(
            f"`skeleton` must be a dict of arguments of `tflite.convert`: any of {_CONVERSION}. "
            f"Received: {skeleton!r:.200}"
        )
    if skeleton.get("calibration", calibration) is None:
        raise ValueError(
            "`calibration` must be given with `skeleton`, because an int8 file needs "
            "representative data. Received: calibration=None"
        )


def make_skeleton(
    archive: Archive,
    model: keras.Model,
    arguments: dict,
    before: bytes | skeletons.Following | None = None,
) -> bytes | skeletons.Following:
    """Returns the int8 file of a model without the parts that follow from its archive.

    Args:
        archive: The archive.
        model: The model that it holds.
        arguments: Those of `convert`.
        before: The skeleton of the network before, in a file of several.
    """
    done = convert(model, quantize="int8", **arguments)
    sites, gaps = sites_of(done.content, done.recipes)
    return skeletons.write(done.content, sites, gaps, source(archive), before)


def prepared(model: keras.Model) -> Prepared:
    """Returns a model as an archive holds it.

    Raises:
        ValueError: If an archive cannot hold the model.
    """
    check_graph(model)
    for layer in all_layers(model):
        check_finite(layer)
    given = at_inference(unquantized(model))
    numbers = sum(one.size for one in weights(given.model) if one.in_space)
    if numbers > MOST_KERNEL_NUMBERS:
        raise ValueError(
            f"`model` must have at most {MOST_KERNEL_NUMBERS:,} numbers in kernels outside of FR "
            "layers: convert large layers with `fr_keras.regularize`. Received: "
            f"{numbers:,}"
        )
    _validate.check(given.description)
    shapes = unbuilt(given.description)
    shapes.check_held([part.kept for part in frequency_layers(given.model)])
    return given


def packed(
    given: Prepared,
    step: Precision,
    error: Precision,
    kernel_error: Precision,
    calibration: Sample | None,
    told: Callable[[str, float | None], None] = lambda text, share: None,
) -> tuple[Archive, dict[str, float]]:
    """Returns the archive of a prepared model, and the error of each weight by its name."""
    told("rounding kernels", None)
    model, description, _ = given
    parts = named_kernels(model)
    steps = by_layer("step", step, parts, STEP)
    found = weights(model)
    names = dict.fromkeys(one.layer_name for one in found if not one.in_space)
    errors = by_layer("error", error, names, ERROR)
    names = dict.fromkeys(one.layer_name for one in found if one.in_space)
    kernel_errors = by_layer("kernel_error", kernel_error, names, KERNEL_ERROR)
    tensors = [quantize_tensor(kept_series(part), steps[name]) for name, part in parts.items()]
    kernels, of_kernels = rounded_kernels(found, kernel_errors)
    if calibration is not None and not normalizes(model):
        calibration.read()  # rows for the comparison of outputs
    elif calibration is not None:
        held = Archive(Config(description), tensors, kernels=kernels)
        model = calibrated(model, held, calibration, lambda done: told("calibrating", done))
    told("rounding other weights", None)
    vectors, residuals = rounded_vectors(model, weights(model), errors)
    network = _reference.find(model, description) or Config(description)
    return Archive(network, tensors, vectors, kernels=kernels), of_kernels | residuals
