"""Options, data sets and models that the sub-commands share."""

import contextlib
import math
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath

import click
from click.core import ParameterSource

from fr_keras_cli._errors import failure

__all__ = ["failure"]  # the sub-commands import it from here

#: Suffixes of the files from which Keras loads a model.
MODELS = (".keras", ".h5", ".hdf5")
#: The most rows of a data set that are used for calibration, and the most numbers in them: they
#: stay in memory, as 64 MiB.
CALIBRATION_ROWS = 2048
_CALIBRATION_NUMBERS = 1 << 24
# Keras says only in words that it does not know a class or function: in files of both formats, and
# as `package>name` if it was registered.
_UNKNOWN = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown \w+:) '(?:[^'>]*>)?([^'>]+)'"
)
_KEEP_RULE = "must be a whole number of at least 1, or a fraction above 0 and at most 1.0"


class Keep(click.ParamType):
    """A count such as 776, or a fraction such as 0.01."""

    name = "count|fraction"

    def convert(self, value, param, ctx):
        try:
            number = int(value) if str(value).isdigit() else float(value)
        except ValueError:
            self.fail(f"{_KEEP_RULE}. Received: {value}", param, ctx)
        if not number > 0 or (isinstance(number, float) and number > 1):
            self.fail(f"{_KEEP_RULE}. Received: {value}", param, ctx)
        return number


class Floors(click.ParamType):
    """A count, or `frereg`."""

    name = "count|frereg"

    def convert(self, value, param, ctx):
        if value == "frereg" or isinstance(value, int):
            return value
        if not value.isdigit() or int(value) < 1:
            rule = "must be 'frereg' or a whole number of at least 1"
            self.fail(f"{rule}. Received: {value}", param, ctx)
        return int(value)


class Source(click.ParamType):
    """A name that the library knows, or the path of a file or a folder."""

    name = "name|path"


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
force_option = click.option("--force", is_flag=True, help="Replace existing files.")
data_option = click.option(
    "--data",
    type=Source(),
    default="digits",
    show_default=True,
    metavar="NAME|FILE.npz|FOLDER",
    help="Data set: digits, mnist, fashion_mnist, cifar10, cifar100; an .npz file with x_train, "
    "y_train, x_test and y_test, and perhaps x_val and y_val; a folder that holds one folder of "
    "images for each class, or images and masks; or train, test and perhaps val with such folders.",
)
image_size_option = click.option(
    "--image-size",
    type=click.IntRange(min=16),
    nargs=2,
    metavar="HEIGHT WIDTH",
    help="Resize the images of an image folder, in pixels. [default: the size that the network "
    "takes, if it is fixed, or as they are]",
)
validation_option = click.option(
    "--validation",
    type=Source(),
    metavar="FILE.npz|FOLDER",
    help="Rows for validation, if --data has none: a folder without splits, or a .npz file with x "
    "and y. Without it they are drawn from the training rows.",
)
positive = click.IntRange(min=1)


def out_option(default: str, what: str):
    """The option for the folder that a command fills."""
    return click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=default,
        show_default=True,
        help=f"Folder for {what}.",
    )


def command() -> str:
    """The command as it was typed, for the metadata of files; paths are cut to their last part."""
    context = click.get_current_context()
    words = ["fr-keras", context.info_name]
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        given = context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
        if given and value is not None:
            words += _words(parameter, value)
    return shlex.join(words)


def _words(parameter: click.Parameter, value) -> list[str]:
    """A parameter as words of the command line."""
    option = parameter.opts[:1] if isinstance(parameter, click.Option) else []
    if getattr(parameter, "is_flag", False):
        return option
    is_path = isinstance(parameter.type, (click.Path, Source))
    times = value if parameter.multiple else [value]
    groups = [one if parameter.nargs != 1 else [one] for one in times]
    shown = file_name if is_path else str
    return [word for group in groups for word in (*option, *map(shown, group))]


def file_name(path: str | Path) -> str:
    """The last part of a path, also on Windows: folders tell who made a file, and where."""
    text = str(path)
    if Path(text).expanduser().resolve() == Path.home():
        return "~"  # the last part would be the user's name
    return PureWindowsPath(text).name or text


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


def calibration_rows(split, most: int = CALIBRATION_ROWS):
    """Evenly spaced inputs of a split, fewer where a row is large."""
    return split.sample(_calibration_count(split, most))


def _calibration_count(split, most: int) -> int:
    return max(1, min(most, _CALIBRATION_NUMBERS // row_numbers(split)))


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


def check_classes(network, dataset, most: int = CALIBRATION_ROWS) -> None:
    """Warns of classes of which the rows for calibration have none."""
    from fr_bench.data import spaced
    from fr_bench.missing import check_calibration

    rows = spaced(len(dataset.train), _calibration_count(dataset.train, most))
    check_calibration(network, dataset, rows)


def row_numbers(split) -> int:
    """How many numbers the inputs of a row have."""
    import keras

    return max(1, sum(math.prod(part.shape[1:]) for part in keras.tree.flatten(split.x)))


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
        f"{path} needs '{name}', which Keras does not know here. Register it with "
        "`@keras.saving.register_keras_serializable()`, and import its module, MINE in this line, "
        f'before the command runs: python -c "import MINE, fr_keras_cli; fr_keras_cli.main()" '
        f"{command} ..."
    )


def progress_bars():
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True))


@contextlib.contextmanager
def telling(name: str) -> Iterator[Callable[..., None]]:
    """Shows on stderr what a command does: one bar on a terminal, and plain lines elsewhere.

    Yields:
        A function that takes what is being done, and optionally which share of it is done.
    """
    from rich.markup import escape

    bars, said = progress_bars(), []
    if not bars.console.is_terminal:

        def say(text: str, share: float | None = None) -> None:
            if said[-1:] != [text]:
                said.append(text)
                click.echo(f"{name}: {text}", err=True)

        yield say
        return
    with bars:
        bar = bars.add_task(name, total=None)

        def show(text: str, share: float | None = None) -> None:
            total = None if share is None else 1.0
            bars.update(bar, description=escape(text), completed=share or 0, total=total)

        yield show
