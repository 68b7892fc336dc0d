"""Options, data sets and errors that the sub-commands share."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

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
            self.fail(f"must be 'frereg' or a whole number of at least 1: {value}", param, ctx)
        return int(value)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
force_option = click.option("--force", is_flag=True, help="Replace files that exist.")
data_option = click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="NAME|FILE.npz|FOLDER",
    help="digits, mnist, fashion_mnist, cifar10, cifar100, a file with the array names of "
    "keras.datasets, or a folder with one folder of images a class.",
)
image_size_option = click.option(
    "--image-size",
    type=click.IntRange(min=16),
    nargs=2,
    metavar="HEIGHT WIDTH",
    help="Resize the images of a folder.",
)
positive = click.IntRange(min=1)


def out_option(default: str, what: str):
    """The option of the folder that a command fills."""
    return click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=default,
        show_default=True,
        help=f"Folder for {what}.",
    )


def command() -> str:
    """The command as it was typed, for the metadata of files."""
    return shlex.join(["fr-keras", *sys.argv[1:]])


def load(source: str, image_size):
    from fr_keras import data

    if source not in data.NAMES and not source.endswith(".npz") and not Path(source).is_dir():
        raise click.UsageError(
            f"data must be one of {', '.join(data.NAMES)}, a .npz file or a folder of images. "
            f"Received: {source}"
        )
    return data.load(source, image_size)


def load_classes(source: str, image_size):
    dataset = load(source, image_size)
    if dataset.train.y.ndim != 1:
        raise click.UsageError(f"data must have one class an image. Received: {source}")
    return dataset


def load_model(path: Path):
    """Loads a .keras file with fr_keras' classes registered."""
    import keras

    import fr_keras  # noqa: F401

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many types on a damaged file
        raise ValueError(f"{path} is no .keras model that loads: {error}") from error


def progress_bars():
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True))


@contextlib.contextmanager
def failure() -> Iterator[None]:
    """Turns the library's errors into one line on stderr and an exit code."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, IsADirectoryError) as error:
        raise click.UsageError(str(error)) from error
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
