"""The sub-commands that train several networks: demo, compare."""

import dataclasses
import json

import click

from fr_keras_cli._loading import load_classes
from fr_keras_cli._options import (
    Keep,
    Source,
    command,
    data_option,
    failure,
    force_option,
    image_size_option,
    json_option,
    loss_option,
    metric_option,
    modes_option,
    out_option,
    scale_option,
    validation_option,
)
from fr_keras_cli._training import (
    NAMES,
    batch_size_option,
    check_regime,
    epochs_option,
    learning_rate_option,
    network_and_data,
    regime_of,
    seed_option,
)

_KEEP = "Coefficients or kernel weights to keep: a count such as 776, or a fraction such as 0.01."


@click.command()
@data_option
@image_size_option
@click.option("--keep", type=Keep(), default="0.01", show_default=True, help=_KEEP)
@epochs_option
@seed_option
@out_option("demo_output", "models, files, results.json and report.html")
@force_option
@json_option
def demo(data, image_size, keep, epochs, seed, out, force, as_json) -> None:
    """Show the whole way on LeNet-5: train, convert, compare.

    Trains a plain network, a pruned one and one with frequency regularization, makes .tflite files
    and archives of them, and compares these on the test split. Needs the extra `demo`.
    """
    with failure():
        from rich.console import Console

        from fr_bench import demo as demo_module
        from fr_bench.forms import Output, table
        from fr_bench.training import network
        from fr_keras_cli._progress import progress_bars

        dataset = load_classes(data, image_size)
        regime = regime_of(epochs, keep=keep, seed=seed)
        check_regime(network(dataset, regime.seed), regime)
        with progress_bars() as progress:
            results = demo_module.run(dataset, regime, Output(out, command(), force), progress)
        if as_json:
            click.echo(json.dumps(results))
        else:
            Console().print(table(demo_module.title(results), results["forms"]))
            click.echo(f"Report: {out / 'report.html'}")


@click.command()
@click.option(
    "--model",
    type=Source(),
    default="lenet5",
    show_default=True,
    metavar=NAMES,
    help="Network to train, by name or from a file, whose training starts from its weights.",
)
@data_option
@validation_option
@image_size_option
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="Method to compare, as --list names it. May be given more than once. "
    "[default: plain, FR, pruning, narrow]",
)
@click.option(
    "--keep",
    "keeps",
    type=Keep(),
    multiple=True,
    default=["0.01"],
    show_default=True,
    help=f"{_KEEP} May be given more than once.",
)
@modes_option("float32, dynamic, int8")
@epochs_option
@batch_size_option
@learning_rate_option
@scale_option
@metric_option
@loss_option
@seed_option
@out_option("compare_output", "files, networks, results.json and compare.html")
@click.option("--list", "lists", is_flag=True, help="List the methods and exit.")
@force_option
@json_option
def compare(
    model,
    data,
    validation,
    image_size,
    methods,
    keeps,
    modes,
    epochs,
    batch_size,
    learning_rate,
    scale,
    metric,
    loss,
    seed,
    out,
    lists,
    force,
    as_json,
) -> None:
    """Train one network by several methods and compare the files.

    All methods start from the same weights, and those that train get the same number of epochs.
    The table and the report show the bytes and the test score of each .tflite file and of the
    archives of FR networks, and end with a conclusion.
    """
    with failure():
        from rich.console import Console

        from fr_bench.candidates import USUAL, all_candidates
        from fr_bench.compare import MODES
        from fr_bench.compare import compare as run
        from fr_bench.forms import Output, costs, table
        from fr_keras_cli._progress import progress_bars

        known = all_candidates()
        if lists:
            _list_candidates(known, as_json)
            return
        unknown = [name for name in methods if name not in known]
        if unknown:
            raise click.UsageError(
                f"--method must be one of {', '.join(known)}. Received: {unknown[0]}"
            )
        regime = regime_of(epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
        found = network_and_data("--model", model, data, image_size, validation, seed)
        network, dataset, usual = found
        for keep in keeps:
            check_regime(network, dataclasses.replace(regime, keep=keep))
        output = Output(out, command(), force)
        with progress_bars() as progress:
            chosen = (methods or tuple(USUAL), keeps, modes or MODES)
            results = run(
                *(network, dataset, output, progress, *chosen, regime),
                scale=scale or usual,
                loss=loss,
                metric=metric,
            )
        if as_json:
            click.echo(json.dumps(results))
            return
        rows = results["forms"][0]["score"]["n"]
        title = f"{network.name} on {dataset.name}: {results['metric']} on {rows:,} test rows"
        Console().print(table(title, results["forms"]))
        Console().print(costs(results["trainings"]))
        for line in (*results["left_out"], *results["conclusion"]):
            click.echo(line)
        click.echo(f"Report: {out / 'compare.html'}")


def _list_candidates(known: dict, as_json: bool) -> None:
    found = [
        {
            "method": name,
            "description": one.description,
            "needs": [str(need) for need in one.needs],
            "has_budget": one.has_budget,
            "modes": list(one.modes),
        }
        for name, one in known.items()
    ]
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        keep = "takes --keep" if one["has_budget"] else "takes no --keep"
        click.echo(f"{one['method']}: {one['description']}")
        click.echo(f"    needs {', '.join(one['needs']) or 'nothing'}; {keep}")
        click.echo(f"    files in {', '.join(one['modes'])}")
