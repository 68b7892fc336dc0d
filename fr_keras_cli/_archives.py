"""The sub-command that makes archives: pack."""

import json
from pathlib import Path

import click

from fr_keras_cli._loading import (
    CALIBRATION_ROWS,
    calibration_rows,
    check_classes,
    class_names,
    load_checked,
    load_model,
)
from fr_keras_cli._options import (
    failure,
    force_option,
    image_size_option,
    json_option,
    positive,
    scale_option,
)

_above_zero = click.FloatRange(0, min_open=True)
# As in `train`.
_FINE_TUNING_RATE, _FINE_TUNING_BATCH = 5e-3, 32
# Every archive of a search is calibrated anew, and measured in batches of at most so many numbers.
_SEARCH_ROWS, _SEARCH_NUMBERS = 512, 1 << 20
_MINUTES = 10
_ROUNDING = ("step", "error", "kernel_error")


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--step",
    type=_above_zero,
    help="Rounding step of the coefficients, relative to the norm of their kernel. The default, "
    "0.0003, keeps the function; 0.005 makes a smaller file.",
)
@click.option(
    "--error",
    type=_above_zero,
    help="Rounding error of biases and statistics, relative to their scale. The default is "
    "0.0005; 0.01 makes a smaller file.",
)
@click.option(
    "--kernel-error",
    type=_above_zero,
    help="Rounding error of the kernels of layers that are not FR, relative to their root mean "
    "square. The default, 0.01, is about that of int8; 0.1 makes a file of about half the size.",
)
@click.option(
    "--calibration",
    metavar="NAME|FILE.npz|FOLDER",
    help="Data that fit the batch normalization statistics to the rounded kernels and show "
    "how much the outputs change; a data set as for `train --data`.",
)
@click.option(
    "--data",
    metavar="NAME|FILE.npz|FOLDER",
    help="Data set for a search, which measures accuracy on its validation rows. Its training rows "
    "are used for calibration unless --calibration is given.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 1, max_open=True),
    help="Search for the smallest archive whose accuracy drops by at most this fraction, such as "
    "0.002.",
)
@click.option(
    "--max-bytes",
    type=positive,
    help="Search for the most accurate archive of at most this many bytes.",
)
@click.option(
    "--search-kept", is_flag=True, help="Let a search also cut coefficients of FR layers."
)
@click.option(
    "--fine-tune",
    type=positive,
    metavar="EPOCHS",
    help="Let a search train the FR layers for this many epochs with rounded coefficients, on the "
    "training rows of --data.",
)
@click.option(
    "--minutes",
    type=_above_zero,
    help="Let a search try no further archive after this time; it then takes the best one so far. "
    f"[default: {_MINUTES}]",
)
@image_size_option
@scale_option
@click.option(
    "--skeleton",
    is_flag=True,
    help="Store a skeleton too, from which `unpack` makes the int8 .tflite file without "
    "TensorFlow; needs --calibration.",
)
@click.option(
    "--float-io",
    is_flag=True,
    help="Let the .tflite file of --skeleton take and give float32 values, as browsers need it.",
)
@force_option
@json_option
def pack(model, output, calibration, data, skeleton, float_io, force, as_json, **options) -> None:
    """Pack a model into a small .fr archive.

    MODEL is a .keras file, with DCT coefficients as `train` saves it or without, and OUTPUT is the
    archive. With --max-drop or --max-bytes, a search chooses the rounding of each layer.
    """
    if output.suffix != ".fr":
        raise click.BadParameter("must end in .fr", param_hint="OUTPUT")
    searches = _searches(data, options)
    _check_rows(skeleton, calibration or data, options)
    if float_io and not skeleton:
        raise click.UsageError("--float-io is about the file of --skeleton: give both")
    with failure():
        from rich.console import Console

        from fr_archive.files import check_target
        from fr_keras import save_archive
        from fr_keras_cli._progress import telling

        check_target(output, overwrite=force)
        source = calibration or data
        network = load_model(model)
        how = [options[name] for name in ("image_size", "scale")]
        rows = source and load_checked(network, source, *how)
        most = _SEARCH_ROWS if searches else CALIBRATION_ROWS
        calibration = rows and calibration_rows(rows.train, most)
        chosen, report = {"calibration": calibration}, {}
        chosen |= {name: options[name] for name in _ROUNDING if options[name]}
        if searches:
            dataset = rows if source == data else load_checked(network, data, *how)
            network, chosen, report = _search(network, dataset, calibration, options)
        if skeleton:
            chosen["skeleton"] = {
                "labels": class_names(network, rows),
                "normalization": rows.pixels,
                "calibration": calibration,
                "float_io": float_io,
            }
        with telling("pack") as say:
            packing = save_archive(network, output, **chosen, overwrite=force, progress=say)
        if rows:
            check_classes(rows, most)
        if as_json:
            click.echo(json.dumps({"file": str(output), **packing.to_dict(), **report}))
            return
        Console().print(packing)
        if report:
            text = "validation accuracy {reference_accuracy:.2%} before, {accuracy:.2%} after"
            click.echo(text.format(**report["search"]))


def _check_rows(skeleton: bool, source: str | None, options: dict) -> None:
    if skeleton and source is None:
        raise click.UsageError("--skeleton needs --calibration")
    if options["scale"] and source is None:
        raise click.UsageError("--scale says how --calibration or --data are scaled: give one")
    if skeleton and options["max_bytes"]:
        raise click.UsageError(
            "--max-bytes does not count the skeleton: with --skeleton use --max-drop"
        )


def _searches(data: str | None, options: dict) -> bool:
    """Whether the user asks for a search; options that exclude each other are wrong usage."""
    goals = [name for name in ("max_drop", "max_bytes") if options[name] is not None]
    if len(goals) > 1:
        raise click.UsageError("--max-drop and --max-bytes exclude each other: give only one")
    if goals and data is None:
        raise click.UsageError("--max-drop and --max-bytes need --data to measure accuracy on")
    if goals and any(options[name] for name in _ROUNDING):
        raise click.UsageError(
            "a search chooses --step, --error and --kernel-error itself: leave them out"
        )
    only = ("search_kept", "fine_tune", "minutes")
    if not goals and (data is not None or any(options[name] for name in only)):
        raise click.UsageError(
            "--data, --search-kept, --fine-tune and --minutes need --max-drop or --max-bytes"
        )
    return bool(goals)


def _search(model, dataset, calibration, options: dict) -> tuple:
    """Returns the model that the search found, the arguments of `save_archive`, and a report."""
    from fr_keras import archive
    from fr_keras_cli._progress import telling

    minutes, rows = options["minutes"] or _MINUTES, dataset.validation
    with telling("search") as say:

        def show(trial: archive.Trial) -> None:
            accuracy = "too large" if trial.accuracy is None else f"{trial.accuracy:.2%}"
            say(f"archive {trial.number + 1}: {trial.bytes:,} bytes, {accuracy}")

        say(f"archives are tried for at most {minutes:g} minutes")
        found = archive.search(
            model,
            _Inputs(rows),
            rows.y,
            max_drop=options["max_drop"],
            max_bytes=options["max_bytes"],
            calibration=calibration,
            search_kept=options["search_kept"],
            fine_tune=options["fine_tune"] and _fine_tuning(dataset, options["fine_tune"]),
            batch_size=max(1, min(128, _SEARCH_NUMBERS // rows.row_numbers)),
            progress=show,
            minutes=minutes,
        )
    if not found.complete:
        click.echo(
            f"The search ended after {minutes:g} minutes and {found.trials} archives, before it "
            "had tried every change that may help. Give more time with --minutes.",
            err=True,
        )
    names = ("accuracy", "reference_accuracy", "trials", "complete")
    report = {name: getattr(found, name) for name in names}
    rounding = {name: getattr(found, name) for name in _ROUNDING}
    return found.model, rounding, {"search": report}


class _Inputs:
    """The inputs of a split, of which only the rows that are asked for are in memory."""

    def __init__(self, split):
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, rows: slice):
        return self._split.inputs(rows)


def _fine_tuning(dataset, epochs: int):
    """Returns the function that `archive.search` takes as `fine_tune`."""
    import keras

    from fr_keras import ArchiveRounding

    def fine_tune(model: keras.Model, steps: dict[str, float]) -> None:
        rate = keras.optimizers.Adam(_FINE_TUNING_RATE)
        model.compile(rate, dataset.task.losses)
        keras.utils.set_random_seed(0)
        callbacks = [ArchiveRounding(steps)]
        rows = dataset.train.batches(_FINE_TUNING_BATCH, seed=0)
        model.fit(rows, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)

    return fine_tune
