"""The command `fr-keras`: one thin function a sub-command.

This module imports fr_keras, and with it TensorFlow, only inside the sub-commands: `--help`
answers at once.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import contextlib
import faulthandler
import json
import os
import shlex
import sys
import warnings
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


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
_force_option = click.option("--force", is_flag=True, help="Replace files that exist.")
_data_option = click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="NAME|FILE.npz|FOLDER",
    help="digits, mnist, fashion_mnist, cifar10, cifar100, a file with the array names of "
    "keras.datasets, or a folder with one folder of images a class.",
)
_image_size_option = click.option(
    "--image-size",
    type=click.IntRange(min=16),
    nargs=2,
    metavar="HEIGHT WIDTH",
    help="Resize the images of a folder.",
)
_epochs = click.IntRange(min=1)


def run() -> None:
    """The entry point: `main` without the log lines of native libraries on stderr."""
    shown = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = shown
    # A crash in native code still says where it was.
    faulthandler.enable(shown)
    main()


@click.group()
@click.version_option(package_name="fr-keras", prog_name="fr-keras")
def main() -> None:
    """Frequency regularization for Keras: train small, ship small TFLite files."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.showwarning = _show_warning


@main.command()
@_data_option
@_image_size_option
@click.option("--keep", type=Keep(), default="0.01", show_default=True, help="What is kept.")
@click.option("--floors", type=Floors(), default="frereg", show_default=True, help="Least a layer.")
@click.option("--epochs", type=_epochs, default=40, show_default=True, help="Epochs in all.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo_output",
    show_default=True,
    help="Folder for models, files, results.json and report.html.",
)
@_force_option
@_json_option
def demo(data, image_size, out, force, as_json, **options) -> None:
    """Train LeNet-5 plain and in the DCT domain, convert both, compare."""
    with _failure():
        from rich.console import Console

        from fr_keras import demo as demo_module
        from fr_keras.training import Recipe

        recipe = Recipe(**options, truncation_epochs=_truncation_epochs(options["epochs"]))
        dataset = _load_classes(data, image_size)
        _check_recipe(dataset, recipe)
        with _progress() as progress:
            results = demo_module.run(dataset, recipe, out, progress, _command(), force)
        if as_json:
            click.echo(json.dumps(results))
        else:
            Console().print(demo_module.table(results))
            click.echo(f"Report: {out / 'report.html'}")


@main.command()
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@_data_option
@_image_size_option
@click.option("--keep", type=Keep(), default="0.01", show_default=True, help="What is kept.")
@click.option("--epochs", type=_epochs, default=40, show_default=True, help="Epochs in all.")
@click.option(
    "--truncation-epochs",
    type=_epochs,
    help="Epochs in which the target is reached. [default: 0.3 of the epochs]",
)
@click.option(
    "--schedule",
    type=click.Choice(["geometric", "linear", "cosine", "step", "constant"]),
    default="geometric",
    show_default=True,
)
@click.option("--floors", type=Floors(), default=1, show_default=True, help="Least a layer keeps.")
@click.option(
    "--sharing",
    type=click.Choice(["proportional", "bandwidth"]),
    default="proportional",
    show_default=True,
    help="How a total is shared: by size, or the same highest frequency in every layer.",
)
@click.option("--batch-size", type=_epochs, default=32, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=5e-3)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_force_option
@_json_option
def train(output, data, image_size, truncation_epochs, force, as_json, **options) -> None:
    """Train LeNet-5 in the DCT domain and save it as OUTPUT (.keras)."""
    if output.suffix != ".keras":
        raise click.BadParameter("must end in .keras", param_hint="OUTPUT")
    with _failure():
        from rich.console import Console

        from fr_keras import regularize, summary, training
        from fr_keras.files import check_target, replacing

        epochs = options["epochs"]
        options["truncation_epochs"] = truncation_epochs or _truncation_epochs(epochs)
        recipe = training.Recipe(**options)
        check_target(output, overwrite=force)
        dataset = _load_classes(data, image_size)
        _check_recipe(dataset, recipe)
        model = regularize(training.network(dataset, recipe.seed))
        with _progress() as progress:
            bar = training.EpochProgress(progress, "FR", epochs)
            history = training.fit(model, dataset, recipe, (training.truncation(recipe), bar))
        with replacing(output, overwrite=force) as path:
            model.save(path)
        accuracy = model.evaluate(dataset.test.x, dataset.test.y, verbose=0, return_dict=True)
        result = {
            "model": str(output),
            "test_accuracy": accuracy["accuracy"],
            "summary": summary(model).to_dict(),
            "history": history,
        }
        if as_json:
            click.echo(json.dumps(result))
        else:
            Console().print(summary(model))
            click.echo(f"Test accuracy {result['test_accuracy']:.2%}. Saved {output}")


@main.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--quantize",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8"]),
    default="float32",
    show_default=True,
)
@click.option(
    "--calibration",
    metavar="NAME|FILE.npz|FOLDER",
    help="Representative data, needed for int8 and int16x8: a data set as for `train`.",
)
@_image_size_option
@click.option("--float-io", is_flag=True, help="Float input and output on an integer file.")
@_force_option
@_json_option
def convert(model, output, quantize, calibration, image_size, float_io, force, as_json) -> None:
    """Convert a .keras MODEL to a .tflite file and check it against the model."""
    if quantize in ("int8", "int16x8") and calibration is None:
        raise click.UsageError(f"--quantize {quantize} needs --calibration")
    with _failure():
        from fr_keras import tflite
        from fr_keras.files import check_target

        check_target(output, overwrite=force)
        dataset = None if calibration is None else _load(calibration, image_size)
        conversion = tflite.convert(
            _load_model(model),
            output,
            quantize=quantize,
            calibration=None if dataset is None else dataset.train.x,
            float_io=float_io,
            labels=None if dataset is None else dataset.labels,
            normalization=None if dataset is None else dataset.normalization,
            command=_command(),
            overwrite=force,
        )
        if as_json:
            click.echo(json.dumps({"file": str(output), **conversion.to_dict()}))
        else:
            click.echo(f"{output}: {conversion}")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_json_option
def inspect(file, as_json) -> None:
    """Show what a .tflite or .keras FILE holds."""
    with _failure():
        from rich.console import Console

        from fr_keras import summary, tflite

        shown = summary(_load_model(file)) if file.suffix == ".keras" else tflite.inspect(file)
        if as_json:
            click.echo(json.dumps(shown.to_dict()))
        else:
            Console().print(shown)


def _command() -> str:
    """The command as it was typed, for the metadata of files."""
    return shlex.join(["fr-keras", *sys.argv[1:]])


def _truncation_epochs(epochs: int) -> int:
    return max(1, round(epochs * 0.3))


def _load(source: str, image_size):
    from fr_keras import data

    if source not in data.NAMES and not source.endswith(".npz") and not Path(source).is_dir():
        raise click.UsageError(
            f"data must be one of {', '.join(data.NAMES)}, a .npz file or a folder of images. "
            f"Received: {source}"
        )
    return data.load(source, image_size)


def _load_classes(source: str, image_size):
    dataset = _load(source, image_size)
    if dataset.train.y.ndim != 1:
        raise click.UsageError(
            f"data must have one class an image, for LeNet-5 gives one. Received: {source}"
        )
    return dataset


def _load_model(path: Path):
    """Loads a .keras file with fr_keras' classes registered."""
    import keras

    import fr_keras  # noqa: F401

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many types on a damaged file
        raise ValueError(f"{path} is no .keras model that loads: {error}") from error


def _check_recipe(dataset, recipe) -> None:
    """What is wrong with the arguments is said before the training, as wrong usage."""
    from fr_keras import regularize, sharing, training
    from fr_keras.rebuild import frequency_layers

    twin = regularize(training.network(dataset, recipe.seed))
    try:
        sharing.targets(frequency_layers(twin), recipe.keep, recipe.floors, recipe.sharing)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if recipe.truncation_epochs > recipe.epochs:
        raise click.UsageError(
            f"--truncation-epochs must not be above --epochs {recipe.epochs}. "
            f"Received: {recipe.truncation_epochs}"
        )


def _progress():
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True))


@contextlib.contextmanager
def _failure() -> Iterator[None]:
    """Turns the library's errors into one line on stderr and an exit code."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, IsADirectoryError) as error:
        raise click.UsageError(str(error)) from error
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    click.secho(f"Warning: {message}", fg="yellow", bold=True, err=True)


if __name__ == "__main__":
    run()
