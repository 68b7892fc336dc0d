"""The sub-command that expands archives: unpack."""

import json
from pathlib import Path

import click

from fr_keras_cli._options import failure, force_option, json_option


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--capacity",
    type=click.FloatRange(0, 1, min_open=True),
    help="Fraction of each kernel's coefficients to load into a .keras OUTPUT; a smaller one gives "
    "a smaller, less accurate network. In an archive of several networks: the largest whose share, "
    "the column `capacity` of `inspect`, is at most this. [default: all]",
)
@force_option
@json_option
def unpack(file, output, capacity, force, as_json) -> None:
    """Unpack a .fr archive into a .keras model or a .tflite file.

    FILE is the archive. An OUTPUT that ends in .keras becomes a Keras model, and one that ends in
    .tflite becomes the int8 file for the phone. Only an archive that was packed with --skeleton
    can make a .tflite file, and always of a whole network.
    """
    if output.suffix not in (".keras", ".tflite"):
        raise click.BadParameter("must end in .keras or .tflite", param_hint="OUTPUT")
    if output.suffix == ".tflite":
        with failure():
            _unpack_tflite(file, output, capacity, force, as_json)
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


def _unpack_tflite(
    file: Path, output: Path, capacity: float | None, force: bool, as_json: bool
) -> None:
    """Unpacks without TensorFlow and Keras, which take seconds to import."""
    import fr_archive

    options = {"overwrite": force, "capacity": capacity}
    size = fr_archive.unpack(file, output, check=_check_flatbuffer, **options)
    if as_json:
        click.echo(json.dumps({"file": str(output), "bytes": size}))
    else:
        click.echo(f"{output}: {size:,} bytes")


def _check_flatbuffer(content: bytes) -> None:
    from ai_edge_litert.interpreter import Interpreter

    import fr_archive

    try:
        Interpreter(model_content=content)
    except ValueError as error:
        message = f"The skeleton of this archive does not make a valid TFLite file: {error}"
        raise fr_archive.ArchiveError(message) from None
