"""The sub-commands on files: convert, sensitivity, inspect."""

import json
from pathlib import Path

import click

from fr_keras_cli._loading import (
    MODELS,
    calibration_rows,
    check_classes,
    class_names,
    load_checked,
    load_model,
)
from fr_keras_cli._options import (
    Memory,
    Source,
    command,
    failure,
    force_option,
    image_size_option,
    json_option,
    scale_option,
)

model_argument = click.argument(
    "model", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
form_option = click.option(
    "--form",
    type=click.Choice(["auto", "factored", "dense"]),
    default="auto",
    show_default=True,
    help="How the kernels of an FR model are written: whole (dense), as chains of small kernels "
    "(factored), or whichever is cheaper for each layer (auto).",
)


@click.command()
@model_argument
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--quantize",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8"]),
    default="float32",
    show_default=True,
    help="Numbers of the file: float32; weights in float16 or int8 (dynamic); or weights and "
    "activations in integers (int8, int16x8), which needs --calibration.",
)
@click.option(
    "--calibration",
    type=Source(),
    metavar="NAME|FILE.npz|FOLDER",
    help="Representative data, needed for int8 and int16x8; a data set as for `train --data`.",
)
@image_size_option
@scale_option
@form_option
@click.option(
    "--float-io", is_flag=True, help="Let an int8 or int16x8 file take and give float32 values."
)
@click.option(
    "--float-layer",
    "float_layers",
    multiple=True,
    metavar="NAME",
    help="A layer that an int8 file keeps in float32. May be given more than once.",
)
@click.option(
    "--memory",
    type=Memory(),
    metavar="BYTES|auto",
    help="Memory that the file may need while it runs, such as 90MB; auto lowers it where that "
    "costs few bytes. `inspect` shows what is expected.",
)
@force_option
@json_option
def convert(model, output, calibration, image_size, scale, force, as_json, **options) -> None:
    """Convert a Keras MODEL to a .tflite file and check it.

    MODEL is a .keras or .h5 file, and OUTPUT is the .tflite file. LiteRT runs the file, and the
    command prints how far its outputs are from those of the model.
    """
    if output.suffix in MODELS:
        raise click.BadParameter(
            f"must be the .tflite file, and no model. Received: {output}", param_hint="OUTPUT"
        )
    if options["quantize"] in ("int8", "int16x8") and calibration is None:
        raise click.UsageError(f"--quantize {options['quantize']} needs --calibration")
    if scale is not None and calibration is None:
        raise click.UsageError("--scale says how --calibration is scaled: give both")
    with failure():
        from fr_archive.files import check_target
        from fr_keras import tflite

        check_target(output, overwrite=force)
        network = load_model(model)
        if calibration is not None:
            dataset = load_checked(network, calibration, image_size, scale)
            check_classes(dataset)
            options["calibration"] = calibration_rows(dataset.train)
            options["labels"] = class_names(network, dataset)
            options["normalization"] = dataset.pixels
        conversion = tflite.convert(network, output, **options, command=command(), overwrite=force)
        if as_json:
            click.echo(json.dumps({"file": str(output), **conversion.to_dict()}))
        else:
            click.echo(f"{output}: {conversion}")


@click.command()
@model_argument
@click.option(
    "--calibration",
    type=Source(),
    required=True,
    metavar="NAME|FILE.npz|FOLDER",
    help="Representative data; a data set as for `train --data`.",
)
@image_size_option
@scale_option
@form_option
@json_option
def sensitivity(model, calibration, image_size, scale, form, as_json) -> None:
    """Show which layers of a Keras MODEL lose most in int8.

    Each layer is measured in a file in which only this layer is int8. The worst layer comes first;
    `convert --float-layer` can keep it in float32.
    """
    with failure():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        from fr_keras import tflite

        network = load_model(model)
        dataset = load_checked(network, calibration, image_size, scale)
        check_classes(dataset)
        rows = calibration_rows(dataset.train)
        found = tflite.sensitivity(network, rows, form=form, verbose=0 if as_json else 1)
        if as_json:
            click.echo(json.dumps({name: one.to_dict() for name, one in found.items()}))
            return
        table = Table("only layer in int8", "mean difference / range", "equal arg-max")
        for name, one in found.items():
            argmax = "" if one.argmax is None else f"{one.argmax:.1%}"
            table.add_row(escape(name), f"{one.relative:.2e}", argmax)
        Console().print(table)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def inspect(file, as_json) -> None:
    """Show what a .tflite, .fr, .keras or .h5 FILE contains."""
    kinds = (".tflite", ".fr", *MODELS)
    kind = file.suffix.lower()
    if kind not in kinds:
        raise click.UsageError(f"FILE must end in one of {', '.join(kinds)}. Received: {file}")
    with failure():
        from rich.console import Console

        from fr_keras import archive, summary, tflite

        if kind in MODELS:
            shown = summary(load_model(file))
        else:
            shown = (archive if kind == ".fr" else tflite).inspect(file)
        if as_json:
            click.echo(json.dumps(shown.to_dict()))
        else:
            Console().print(shown)
