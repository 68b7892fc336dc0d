"""The sub-command that measures a trained network in all combinations: grid."""

import json
from pathlib import Path

import click

from fr_keras_cli._loading import load_for, load_model
from fr_keras_cli._options import (
    adb_option,
    command,
    engine_option,
    failure,
    force_option,
    image_size_option,
    its_data_option,
    json_option,
    loss_option,
    metric_option,
    modes_option,
    network_argument,
    out_option,
    positive,
    scale_option,
    serial_option,
    targets_option,
    tool_option,
    validation_option,
)
from fr_keras_cli._training import seed_option


@click.command()
@network_argument
@its_data_option
@validation_option
@image_size_option
@click.option(
    "--rate",
    "rates",
    type=click.FloatRange(0, 1, max_open=True),
    multiple=True,
    help="Share of the kernel weights that is removed; 0 is the network without pruning. May "
    "be given more than once. [default: 0.9, 0.8, 0.7, 0]",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="Method to measure, as `compare --list` names it. May be given more than once. "
    "[default: pruning, channels, narrow]",
)
@modes_option("all")
@targets_option
@tool_option
@adb_option
@serial_option
@click.option(
    "--epochs",
    type=positive,
    default=10,
    show_default=True,
    help="Epochs of each training; a quarter of them is added for int8 in training.",
)
@scale_option
@metric_option
@loss_option
@seed_option
@engine_option("networks are trained")
@out_option("grid", "grid.json, grid.html, and all networks and files")
@force_option
@json_option
def grid(
    model,
    data,
    validation,
    image_size,
    rates,
    methods,
    modes,
    tool,
    adb,
    serial,
    out,
    force,
    as_json,
    **options,
) -> None:
    """Measure a trained network pruned and quantized in all ways.

    MODEL is a Keras file. Each method is trained at each rate. Each network becomes a file in each
    quantization, and one more int8 file that is quantized in training. The files are scored on the
    test rows and measured on the targets of --on: time, CPU use, power, memory. The page has a heat
    map, the files that no other beats, and answers to eight questions. A run that was stopped, or
    whose device was missing, goes on when it is started again.
    """
    with failure():
        from fr_bench.benchmark.run import Phone
        from fr_bench.grid import METHODS, RATES
        from fr_bench.grid import grid as run
        from fr_keras.tflite import MODES

        _check_usage(options["targets"], tool)
        network = load_model(model)
        results = run(
            network,
            load_for(network, data, image_size, validation),
            out,
            rates or RATES,
            methods or METHODS,
            modes or MODES,
            phone=Phone(tool, adb=adb, serial=serial),
            command=command(),
            overwrite=force,
            verbose=not as_json,
            **options,
        )
        if as_json:
            click.echo(json.dumps(results))
            return
        for one in results["answers"]:
            click.echo(f"{one['question']} {one['answer']}")
        for sentence in _states(results["cells"]):
            click.echo(sentence)
        click.echo(f"Results: {out / 'grid.json'}. Report: {out / 'grid.html'}")


def _check_usage(targets: tuple[str, ...], tool: Path | None) -> None:
    from fr_bench.benchmark import android

    if "android" in targets and tool is None:
        raise click.UsageError(f"--on android needs --tool. {android.INSTRUCTIONS}")


def _states(cells: list[dict]) -> list[str]:
    """How many cells are done, and what becomes of the others."""
    count = {state: sum(one["state"] == state for one in cells) for state in ("failed", "open")}
    words = [f"{len(cells) - sum(count.values())} of {len(cells)} cells are done."]
    if count["failed"]:
        words.append(f"{count['failed']} failed; the page says why.")
    if count["open"]:
        words.append(f"{count['open']} are open: start the same command again to go on.")
    return words
