"""The sub-commands that train: demo, train, compare."""

import dataclasses
import json
from pathlib import Path

import click

from fr_keras_cli._options import (
    Floors,
    Keep,
    command,
    data_option,
    failure,
    force_option,
    image_size_option,
    json_option,
    load_classes,
    out_option,
    positive,
    progress_bars,
)
from fr_keras_cli._training import (
    batch_size_option,
    check_regime,
    epochs_option,
    learning_rate_option,
    model_option,
    regime_of,
    seed_option,
    trained_network,
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

    Trains a plain network, a pruned one and one with frequency regularization, converts them to
    .tflite files, and compares the files on the test split. Needs the extra `demo`.
    """
    with failure():
        from rich.console import Console

        from fr_bench import demo as demo_module
        from fr_bench.forms import Output, table
        from fr_bench.training import network

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
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@model_option
@data_option
@image_size_option
@click.option("--keep", type=Keep(), default="0.01", show_default=True, help=_KEEP)
@epochs_option
@click.option(
    "--truncation-epochs",
    type=positive,
    help="Epochs until only --keep is left; the other epochs train with that. "
    "[default: 0.3 of --epochs]",
)
@click.option(
    "--schedule",
    type=click.Choice(["geometric", "linear", "cosine", "cubic", "step", "constant"]),
    default="geometric",
    show_default=True,
    help="How the number of coefficients falls to --keep during the truncation epochs.",
)
@click.option(
    "--floors",
    type=Floors(),
    default=1,
    show_default=True,
    help="The fewest coefficients that a layer keeps; `frereg` takes the numbers of that package: "
    "128 for convolutions, 256 for dense and 32 for transposed convolutions.",
)
@click.option(
    "--sharing",
    type=click.Choice(["bandwidth", "proportional", "erdos_renyi"]),
    default="bandwidth",
    show_default=True,
    help="How --keep is divided among the layers: up to one common frequency limit (bandwidth), "
    "by size (proportional), or by the sum of the axis lengths (erdos_renyi).",
)
@batch_size_option
@learning_rate_option
@seed_option
@force_option
@json_option
def train(
    output,
    model,
    data,
    image_size,
    keep,
    epochs,
    truncation_epochs,
    schedule,
    floors,
    sharing,
    batch_size,
    learning_rate,
    seed,
    force,
    as_json,
) -> None:
    """Train a network with frequency regularization.

    The network becomes an FR model, which stores its kernels as DCT coefficients, and training
    cuts all but --keep of them. The model is saved as OUTPUT, a .keras file for `convert` and
    `pack`.
    """
    if output.suffix != ".keras":
        raise click.BadParameter("must end in .keras", param_hint="OUTPUT")
    with failure():
        from rich.console import Console

        from fr_archive.files import check_target, replacing
        from fr_bench import training
        from fr_keras import regularize, summary

        regime = regime_of(
            epochs,
            truncation_epochs,
            keep=keep,
            schedule=schedule,
            floors=floors,
            sharing=sharing,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
        )
        check_target(output, overwrite=force)
        dataset = load_classes(data, image_size)
        plain = trained_network(model, dataset, regime.seed)
        check_regime(plain, regime)
        twin = regularize(plain)
        with progress_bars() as progress:
            bar = training.EpochProgress(progress, "FR", regime.epochs)
            callbacks = (training.truncation(regime), bar)
            history = training.fit(twin, dataset, regime, callbacks).history
        with replacing(output, overwrite=force) as path:
            twin.save(path)
        accuracy = twin.evaluate(dataset.test.batches(batch_size), verbose=0, return_dict=True)
        result = {
            "model": str(output),
            "test_accuracy": accuracy["accuracy"],
            "summary": summary(twin).to_dict(),
            "history": history,
        }
        if as_json:
            click.echo(json.dumps(result))
        else:
            Console().print(summary(twin))
            click.echo(f"Test accuracy {result['test_accuracy']:.2%}. Saved {output}")


@click.command()
@model_option
@data_option
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
@click.option(
    "--quantize",
    "modes",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8"]),
    multiple=True,
    help="Quantization of the files, as for `convert`; a method skips what makes no sense for it. "
    "May be given more than once. [default: float32, dynamic, int8]",
)
@epochs_option
@batch_size_option
@learning_rate_option
@seed_option
@out_option("compare_output", "files, results.json and compare.html")
@click.option("--list", "lists", is_flag=True, help="List the methods and exit.")
@force_option
@json_option
def compare(
    model,
    data,
    image_size,
    methods,
    keeps,
    modes,
    epochs,
    batch_size,
    learning_rate,
    seed,
    out,
    lists,
    force,
    as_json,
) -> None:
    """Train one network by several methods and compare the files.

    All methods start from the same weights, and those that train get the same number of epochs.
    The table and the report show the bytes and the test accuracy of each .tflite file.
    """
    with failure():
        from rich.console import Console

        from fr_bench.candidates import USUAL, all_candidates
        from fr_bench.compare import MODES
        from fr_bench.compare import compare as run
        from fr_bench.forms import Output, costs, table

        known = all_candidates()
        if lists:
            _list_candidates(known, as_json)
            return
        unknown = [name for name in methods if name not in known]
        if unknown:
            raise click.UsageError(
                f"--method must be one of {', '.join(known)}. Received: {unknown[0]}"
            )
        dataset = load_classes(data, image_size)
        regime = regime_of(epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
        network = trained_network(model, dataset, regime.seed)
        for keep in keeps:
            check_regime(network, dataclasses.replace(regime, keep=keep))
        output = Output(out, command(), force)
        with progress_bars() as progress:
            chosen = (methods or tuple(USUAL), keeps, modes or MODES)
            results = run(network, dataset, output, progress, *chosen, regime)
        if as_json:
            click.echo(json.dumps(results))
        else:
            Console().print(table(f"{network.name} on {dataset.name}", results["forms"]))
            Console().print(costs(results["trainings"]))
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
