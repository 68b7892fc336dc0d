"""Options that the sub-commands share, and how they show what they do."""

import re
import shlex
from pathlib import Path, PureWindowsPath

import click
from click.core import ParameterSource

from fr_keras_cli._errors import failure

__all__ = ["failure"]  # the sub-commands import it from here

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


class Memory(click.ParamType):
    """A number of bytes such as 90000000 or 90MB, or `auto`."""

    name = "bytes|auto"

    def convert(self, value, param, ctx):
        if value == "auto" or isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMG]?)B?", value)
        count = found and int(float(found[1]) * 1000 ** " kMG".index(found[2] or " "))
        if not count:
            rule = "must be 'auto' or a number of bytes above 0, such as 90000000 or 90MB"
            self.fail(f"{rule}. Received: {value}", param, ctx)
        return count


class Source(click.ParamType):
    """A name that the library knows, or the path of a file or a folder."""

    name = "name|path"


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
force_option = click.option("--force", is_flag=True, help="Replace existing files.")
DATA_HELP = (
    "Data set: digits, shapes, mnist, fashion_mnist, cifar10, cifar100; an .npz file with x_train, "
    "y_train, x_test and y_test, and perhaps x_val and y_val; a folder that holds one folder of "
    "images for each class, or images and masks; or train, test and perhaps val with such folders."
)
data_option = click.option(
    "--data",
    type=Source(),
    default="digits",
    show_default=True,
    metavar="NAME|FILE.npz|FOLDER",
    help=DATA_HELP,
)
network_argument = click.argument(
    "model", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
its_data_option = click.option(
    "--data",
    type=Source(),
    required=True,
    metavar="NAME|FILE.npz|FOLDER",
    help="Data of the kind that the network was trained on; a data set as for `train --data`.",
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
scale_option = click.option(
    "--scale",
    type=click.Choice(["0..1", "0..255", "-1..1"]),
    help="Range of pixels that the network takes. [default: the one with which it answers best; "
    "0..1 for an untrained one]",
)
metric_option = click.option(
    "--metric",
    type=click.Choice(["accuracy", "dice", "f1", "r2"]),
    help="How networks and files are scored. [default: accuracy for classes, F1 for several "
    "labels, Dice for masks, R2 for numbers]",
)
loss_option = click.option(
    "--loss",
    metavar="NAME",
    help="A loss of Keras, by name. [default: the one that fits the labels and outputs]",
)
positive = click.IntRange(min=1)
targets_option = click.option(
    "--on",
    "targets",
    type=click.Choice(["host", "arm64", "gpu", "android"]),
    multiple=True,
    default=["host"],
    show_default=True,
    help="Where to run the files: on this machine's CPU (host), on ARM64 kernels under emulation "
    "(arm64), on the GPU (gpu), or on a phone through adb (android). May be given more than once.",
)
tool_option = click.option(
    "--tool",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE|FOLDER",
    help="For android: Android's `benchmark_model`, or a folder that holds several. "
    "`fr-keras doctor` says where to get it.",
)
adb_option = click.option(
    "--adb", default="adb", show_default=True, help="For android: name or path of the adb program."
)
serial_option = click.option(
    "--serial", help="For android: serial number of the device, needed if there are several."
)


def modes_option(default: str):
    """The option `--quantize`, which may be given more than once, with its default in words."""
    return click.option(
        "--quantize",
        "modes",
        type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8"]),
        multiple=True,
        help="Quantization of the files, as for `convert`; a method skips what makes no sense for "
        f"it. May be given more than once. [default: {default}]",
    )


def engine_option(what: str):
    """The option `--engine`: where the work of `what` goes on, such as "trials run"."""
    return click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help=f"Where the {what}: local, one after the other in this process, or ray, several at "
        "once on a Ray cluster: that of RAY_ADDRESS, else one on this machine. All machines must "
        "see the folder of --out.",
    )


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
