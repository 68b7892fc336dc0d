"""`load_archive`: builds the model that a file holds."""

import io
import os
from fractions import Fraction

import keras

import fr_archive
from fr_archive import nested
from fr_archive.archive import decode_with_sizes
from fr_archive.container import load
from fr_keras.archive import _validate
from fr_keras.archive._building import build, make_layer, settings
from fr_keras.archive._nested_packing import NestedPacking, nested_packing
from fr_keras.archive._reference import describe_reference
from fr_keras.archive._report import Packing, packing
from fr_keras.archive._shapes import Unbuilt, guarded, unbuilt
from fr_keras.archive._weights import fill_weights
from fr_keras.layers import FRBatchNormalization, FrequencyKernel, FrequencyTwin
from fr_keras.models.coefficients import keep_series
from fr_keras.models.vectors import weights
from fr_keras.models.walk import all_layers, frequency_layers


def load_archive(path: str | os.PathLike, capacity: Fraction | float | None = None) -> keras.Model:
    """Returns the model that a `.fr` file holds.

    As after `compact`, its FR layers store no more than the corner of the kept coefficients, and
    its batch normalizations are `layers.FRBatchNormalization`; a model without FR layers has plain
    layers of Keras alone. The model is not compiled. A file
    cannot make code run: it can only name layers of Keras and fr_keras that are on a list, and
    layers that your program gave to `register_twin`.

    Args:
        path: The file.
        capacity: A number above 0 and at most 1. Below 1, the same file gives a smaller network,
            with the first `ceil(capacity * n)` of the `n` coefficients of each tensor. Of a file of
            several networks, as `save_nested` writes it, it is the largest whose share is at most
            this.

    Raises:
        ValueError: If the file is not an archive, is damaged, names a layer that is not on the
            list, or declares more weights than `fr_keras.archive` allows. No model is built then.
        OSError: If the file cannot be read.

    Warns if a file of several networks is cut, and one that was asked for may be missing.

    Example:

    >>> import tempfile
    >>> from fr_keras import regularize, save_archive, zoo
    >>> model = regularize(zoo.lenet5(), start=776)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_archive(model, f"{folder}/lenet5.fr")
    ...     loaded = load_archive(f"{folder}/lenet5.fr")
    >>> loaded.get_layer("hidden").kept == model.get_layer("hidden").kept
    True
    """
    archive = fr_archive.decode(load(path), capacity)
    return loaded(archive)


def inspect(path: str | os.PathLike) -> Packing | NestedPacking:
    """Returns what a `.fr` file holds and how many bytes each part takes; `print` it for a table.

    Of a file of several networks it is what each of them takes, and its profile.

    Raises:
        ValueError: As in `load_archive`.
        OSError: If the file cannot be read.
    """
    data = load(path)
    if nested.is_nested(data):
        return nested_packing(len(data), nested.frames(io.BytesIO(data)))
    archive, sizes = decode_with_sizes(data)
    model = loaded(archive)
    return packing(sizes, archive, model, weights(model))


def loaded(archive: fr_archive.Archive) -> keras.Model:
    """Returns the model of an archive.

    Raises:
        ArchiveError: As in `load_archive`.
    """
    network = archive.architecture
    if isinstance(network, fr_archive.Reference):
        description = guarded(lambda: describe_reference(network))
    else:
        description = network.config
    _validate.check(description)
    shapes = unbuilt(description)
    counts = [len(tensor.values) for tensor in archive.tensors]
    shapes.check_held(counts)
    shapes.check_weights(archive)
    with settings():
        model = guarded(lambda: build(description, _maker(shapes, counts)))
    for part, tensor in zip(frequency_layers(model), archive.tensors, strict=True):
        keep_series(part, tensor.reals())
    fill_weights(weights(model), archive)
    for layer in all_layers(model):
        # A layer without weights was not adapted, or its state is among its arguments.
        if layer.weights and hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def _maker(shapes: Unbuilt, counts: list[int]):
    """Makes each layer so that it stores no more than the corner of what it keeps."""
    held = iter(shapes.held(counts))

    def make(name, arguments):
        if name == "BatchNormalization" and shapes.spectra:
            return FRBatchNormalization.from_config(make_layer(name, arguments).get_config())
        layer = make_layer(name, arguments)
        if not isinstance(layer, FrequencyTwin):
            return layer
        corners = next(held)
        if isinstance(layer, FrequencyKernel):
            layer = type(layer).from_config({**layer.get_config(), "stored": corners[0]})
            layer.beginning = keras.initializers.Zeros()
        return layer

    return make
