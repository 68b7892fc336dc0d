"""The sub-commands on archives: pack, unpack."""

import json
from pathlib import Path

import click

from fr_keras_cli.options import (
    failure,
    force_option,
    image_size_option,
    json_option,
    load,
    load_model,
)

_above_zero = click.FloatRange(0, min_open=True)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--step", type=_above_zero, help="Steps of a kernel, relative to its norm.")
@click.option("--error", type=_above_zero, help="Error of other weights, relative to their scale.")
@click.option(
    "--calibration",
    metavar="NAME|FILE.npz|FOLDER",
    help="Data to set the statistics of batch normalizations anew: a data set as for `train`.",
)
@image_size_option
@force_option
@json_option
def pack(model, output, step, error, calibration, image_size, force, as_json) -> None:
    """Pack a .keras MODEL in the DCT domain into an archive, OUTPUT (.fr)."""
    if output.suffix != ".fr":
        raise click.BadParameter("must end in .fr", param_hint="OUTPUT")
    with failure():
        from rich.console import Console

        from fr_keras import save_archive
        from fr_keras.files import check_target

        check_target(output, overwrite=force)
        data = None if calibration is None else load(calibration, image_size).train.x
        chosen = {"step": step, "error": error}
        packing = save_archive(
            load_model(model),
            output,
            **{name: value for name, value in chosen.items() if value is not None},
            calibration=data,
            overwrite=force,
        )
        if as_json:
            click.echo(json.dumps({"file": str(output), **packing.to_dict()}))
        else:
            Console().print(packing)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--capacity",
    type=click.FloatRange(0, 1, min_open=True),
    help="The fraction of each kernel's coefficients that is used. [default: all]",
)
@force_option
@json_option
def unpack(file, output, capacity, force, as_json) -> None:
    """Unpack an archive, FILE (.fr), into a .keras model in the DCT domain."""
    if output.suffix != ".keras":
        raise click.BadParameter("must end in .keras", param_hint="OUTPUT")
    with failure():
        from fr_keras import load_archive, summary
        from fr_keras.files import check_target, replacing

        check_target(output, overwrite=force)
        model = load_archive(file, capacity)
        with replacing(output, overwrite=force) as path:
            model.save(path)
        kept, size = summary(model).kept, output.stat().st_size
        if as_json:
            click.echo(json.dumps({"file": str(output), "bytes": size, "kept": kept}))
        else:
            click.echo(f"{output}: {size:,} bytes, {kept:,} coefficients kept")
