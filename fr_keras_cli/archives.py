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
@click.option(
    "--skeleton",
    is_flag=True,
    help="Let the archive make an int8 .tflite file by itself; needs --calibration.",
)
@force_option
@json_option
def pack(model, output, step, error, calibration, image_size, skeleton, force, as_json) -> None:
    """Pack a .keras MODEL in the DCT domain into an archive, OUTPUT (.fr)."""
    if output.suffix != ".fr":
        raise click.BadParameter("must end in .fr", param_hint="OUTPUT")
    if skeleton and calibration is None:
        raise click.UsageError("--skeleton needs --calibration")
    with failure():
        from rich.console import Console

        from fr_archive.files import check_target
        from fr_keras import save_archive

        check_target(output, overwrite=force)
        data = None if calibration is None else load(calibration, image_size)
        conversion = None
        if skeleton:
            conversion = {"labels": data.labels, "normalization": data.normalization}
        chosen = {"step": step, "error": error}
        packing = save_archive(
            load_model(model),
            output,
            **{name: value for name, value in chosen.items() if value is not None},
            calibration=None if data is None else data.train.x,
            skeleton=conversion,
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
    """Unpack an archive, FILE (.fr), into a .keras model in the DCT domain, or a .tflite file.

    A .tflite file is there for archives that were packed with --skeleton, at full capacity.
    """
    if output.suffix not in (".keras", ".tflite"):
        raise click.BadParameter("must end in .keras or .tflite", param_hint="OUTPUT")
    if output.suffix == ".tflite":
        if capacity is not None:
            raise click.UsageError("--capacity needs an OUTPUT that ends in .keras")
        with failure():
            _unpack_tflite(file, output, force, as_json)
        return
    with failure():
        from fr_archive.files import check_target, replacing
        from fr_keras import load_archive, summary

        check_target(output, overwrite=force)
        model = load_archive(file, capacity)
        with replacing(output, overwrite=force) as path:
            model.save(path)
        kept, size = summary(model).kept, output.stat().st_size
        if as_json:
            click.echo(json.dumps({"file": str(output), "bytes": size, "kept": kept}))
        else:
            click.echo(f"{output}: {size:,} bytes, {kept:,} coefficients kept")


def _unpack_tflite(file: Path, output: Path, force: bool, as_json: bool) -> None:
    """Without TensorFlow and Keras, which take seconds to import."""
    from ai_edge_litert.interpreter import Interpreter

    import fr_archive
    from fr_archive.container import load as load_file
    from fr_archive.files import check_target, write_bytes

    check_target(output, overwrite=force)
    content = fr_archive.expand(fr_archive.decode(load_file(file)))
    try:
        Interpreter(model_content=content)
    except ValueError as error:
        message = f"'{file}' has a skeleton that makes no valid TFLite flatbuffer: {error}"
        raise fr_archive.ArchiveError(message) from None
    write_bytes(output, content, overwrite=force)
    if as_json:
        click.echo(json.dumps({"file": str(output), "bytes": len(content)}))
    else:
        click.echo(f"{output}: {len(content):,} bytes")
