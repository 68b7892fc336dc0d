"""Loads the data sets and models that the sub-commands are given."""

import re
import warnings
from pathlib import Path

import click

from fr_keras_cli._options import file_name

#: Suffixes of the files from which Keras loads a model.
MODELS = (".keras", ".h5", ".hdf5")
#: The most rows of a data set that are used for calibration, and the most numbers in them: they
#: stay in memory, as 64 MiB.
CALIBRATION_ROWS = 2048
_CALIBRATION_NUMBERS = 1 << 24
# The most validation rows that tell whether a network is trained, and its pixels are right.
_SCORED = 1_000
# Keras says only in words that it does not know a class or function: in files of both formats, and
# as `package>name` if it was registered.
_UNKNOWN = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown \w+:) '(?:[^'>]*>)?([^'>]+)'"
)


def load(source: str, image_size, validation: str | None = None, channels: int = 3):
    """Loads data, and says what is changed in them."""
    from fr_bench import data

    path = Path(source)
    is_file = path.suffix == ".npz" and path.is_file()
    if source not in data.NAMES and not is_file and not path.is_dir():
        missing = "" if path.exists() else ", and there is no such file or folder"
        raise click.UsageError(
            f"{_option_of(source)} must be one of {', '.join(data.NAMES)}, a .npz file or a folder "
            f"of images. Received: {source}{missing}"
        )
    if not path.is_dir() and click.get_current_context().params.get("image_size"):
        raise click.UsageError(
            "--image-size resizes the images of a folder: leave it out, or give a folder. "
            f"Received: {source}"
        )
    found = data.load(source, image_size, validation, channels)
    for sentence in found.changes:
        click.echo(f"{file_name(source)}: {sentence}", err=True)
    return found


def load_for(network, source: str, image_size, validation: str | None = None):
    """Loads data with pictures as a network takes them, where it fixes their size and colours."""
    shapes = [tuple(one.shape[1:]) for one in network.inputs]
    return load_as(shapes, source, image_size, validation)


def load_as(shapes: list[tuple], source: str, image_size, validation: str | None = None):
    """Loads data with pictures of the shape of one input, where it is fixed."""
    channels = 3
    if len(shapes) == 1 and len(shapes[0]) == 3:
        height, width, colours = shapes[0]
        channels = colours if colours in (1, 3) else 3
        image_size = image_size or (None if None in (height, width) else (height, width))
    return load(source, image_size, validation, channels)


def _option_of(value: str) -> str:
    """The option that has this value."""
    context = click.get_current_context()
    given = (one for one in context.command.params if context.params.get(one.name) == value)
    return next((one.opts[0] for one in given), "data")


def load_classes(source: str, image_size):
    dataset = load(source, image_size)
    if dataset.train.y.ndim != 1 or not dataset.labels:
        raise click.UsageError(
            f"{_option_of(source)} must have one class for each image. Received: {source}"
        )
    return dataset


def load_checked(network, source: str, image_size, scale: str | None):
    """Loads data for a trained network, with pixels in the range with which it answers best.

    Says what was found. A range that is given is not questioned, so that it also serves networks
    that are not trained. Labels that are not those of the network tell nothing.
    """
    from fr_bench.preflight import FOR_UNTRAINED, check_trained, preflight, unconfirmed
    from fr_bench.tasks import UnfitLabels

    data = load_for(network, source, image_size)
    try:
        found = preflight(network, data, scale=scale, most=_SCORED)
    except UnfitLabels as error:
        data, words = unconfirmed(data, scale)
        click.echo(f"{file_name(source)}: {words}. {error}", err=True)
        return data
    if scale is None:
        check_trained(found, FOR_UNTRAINED)
    click.echo(f"{file_name(source)}: {found}", err=True)
    return found.data


def calibration_rows(split, most: int = CALIBRATION_ROWS):
    """Evenly spaced inputs of a split, fewer where a row is large."""
    return split.sample(_calibration_count(split, most))


def _calibration_count(split, most: int) -> int:
    return max(1, min(most, _CALIBRATION_NUMBERS // split.row_numbers))


def class_names(network, dataset) -> tuple[str, ...] | None:
    """The class names of the data set, if the model has one output with as many classes."""
    if len(network.outputs) == 1 and network.outputs[0].shape[-1] == len(dataset.labels):
        return dataset.labels
    outputs = [tuple(one.shape[1:]) for one in network.outputs]
    warnings.warn(
        f"The file gets no class names: '{dataset.name}' has {len(dataset.labels)} classes, but "
        f"the outputs of the model have the shapes {outputs}.",
        stacklevel=2,
    )
    return None


def check_classes(dataset, most: int = CALIBRATION_ROWS) -> None:
    """Warns of classes of which the rows for calibration have none."""
    from fr_bench.data import spaced
    from fr_bench.missing import warn_of_missing

    if dataset.task is not None:
        rows = spaced(len(dataset.train), _calibration_count(dataset.train, most))
        warn_of_missing(dataset, rows, "calibration rows")


def load_model(path: Path):
    """Loads a model that Keras saved, with the classes of fr_keras registered."""
    import keras

    import fr_keras  # noqa: F401

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many types on a damaged file
        unknown = _UNKNOWN.search(str(error))
        if unknown is not None:
            raise ValueError(_unknown(path, unknown[1])) from error
        kinds = ", ".join(MODELS)
        raise ValueError(f"{path} cannot be loaded as a Keras model ({kinds}): {error}") from error


def _unknown(path: Path, name: str) -> str:
    """What to do about a layer or function of the user's own."""
    command = click.get_current_context().info_name
    return (
        f"{path} needs '{name}', which Keras does not know here. Put "
        "`@keras.saving.register_keras_serializable()` on it, and start the command like this, "
        'with the name of its module for MINE: python -c "import MINE, fr_keras_cli; '
        f'fr_keras_cli.main()" {command} ...'
    )
