"""The sub-commands on files: convert, inspect."""

import json
from pathlib import Path

import click

from fr_keras_cli.options import (
    command,
    failure,
    force_option,
    image_size_option,
    json_option,
    load,
    load_model,
)


@click.command()
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
@image_size_option
@click.option(
    "--form",
    type=click.Choice(["auto", "factored", "dense"]),
    default="auto",
    show_default=True,
    help="How kernels of an FR model are written: whole, or as chains of small ones.",
)
@click.option("--float-io", is_flag=True, help="Float input and output on an integer file.")
@force_option
@json_option
def convert(
    model, output, quantize, calibration, image_size, form, float_io, force, as_json
) -> None:
    """Convert a .keras MODEL to a .tflite file and check it against the model."""
    if quantize in ("int8", "int16x8") and calibration is None:
        raise click.UsageError(f"--quantize {quantize} needs --calibration")
    with failure():
        from fr_keras import tflite
        from fr_keras.files import check_target

        check_target(output, overwrite=force)
        dataset = None if calibration is None else load(calibration, image_size)
        conversion = tflite.convert(
            load_model(model),
            output,
            quantize=quantize,
            calibration=None if dataset is None else dataset.train.x,
            float_io=float_io,
            form=form,
            labels=None if dataset is None else dataset.labels,
            normalization=None if dataset is None else dataset.normalization,
            command=command(),
            overwrite=force,
        )
        if as_json:
            click.echo(json.dumps({"file": str(output), **conversion.to_dict()}))
        else:
            click.echo(f"{output}: {conversion}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def inspect(file, as_json) -> None:
    """Show what a .tflite or .keras FILE holds."""
    with failure():
        from rich.console import Console

        from fr_keras import summary, tflite

        shown = summary(load_model(file)) if file.suffix == ".keras" else tflite.inspect(file)
        if as_json:
            click.echo(json.dumps(shown.to_dict()))
        else:
            Console().print(shown)
