"""The sub-command that trains one network: train."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click

from fr_keras_cli._options import (
    DATA_HELP,
    Floors,
    Keep,
    Source,
    failure,
    force_option,
    image_size_option,
    json_option,
    loss_option,
    metric_option,
    positive,
    scale_option,
    validation_option,
)
from fr_keras_cli._training import NAMES, network_and_data


@click.command()
@click.argument("model", type=Source(), required=False, metavar=f"[{NAMES}]")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE.keras",
    help="The file to write. Beside it comes FILE.recipe.toml, with all options of this run.",
)
@click.option(
    "--data",
    type=Source(),
    metavar="NAME|FILE.npz|FOLDER",
    help=f"{DATA_HELP} [default: digits]",
)
@validation_option
@image_size_option
@click.option(
    "--keep",
    type=Keep(),
    help="Coefficients to keep: a count such as 776, or a fraction such as 0.01. [default: 0.01, "
    "or what an FR model has]",
)
@click.option("--epochs", type=positive, help="Total number of epochs. [default: 40]")
@click.option(
    "--truncation-epochs",
    type=positive,
    help="Epochs until only --keep is left; the other epochs train with that. "
    "[default: 0.3 of --epochs]",
)
@click.option(
    "--schedule",
    type=click.Choice(["geometric", "linear", "cosine", "cubic", "step", "constant"]),
    help="How the number of coefficients falls to --keep during the truncation epochs. "
    "[default: geometric]",
)
@click.option(
    "--floors",
    type=Floors(),
    help="The fewest coefficients that a layer keeps; `frereg` takes the numbers of that package: "
    "128 for convolutions, 256 for dense and 32 for transposed convolutions. [default: 1]",
)
@click.option(
    "--sharing",
    type=click.Choice(["bandwidth", "proportional", "erdos_renyi"]),
    help="How --keep is divided among the layers: up to one common frequency limit (bandwidth), "
    "by size (proportional), or by the sum of the axis lengths (erdos_renyi). "
    "[default: bandwidth]",
)
@click.option("--batch-size", type=positive, help="Training rows per step. [default: 32]")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Adam's learning rate at its highest, which falls to 0 along a cosine. [default: 0.005]",
)
@scale_option
@metric_option
@loss_option
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Seed for the initial weights, shuffling and dropout. [default: 0]",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    help="A recipe: all options in one file. Options of the command line come before it.",
)
@click.option("--recipe", metavar="NAME", help="A recipe by name: lenet5-776, membrane-unet.")
@click.option("--resume", is_flag=True, help="Go on with a training that was stopped.")
@click.option(
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for logs of TensorBoard.",
)
@force_option
@json_option
def train(model, out, config, recipe, resume, tensorboard, force, as_json, **options) -> None:
    """Train a network with frequency regularization.

    MODEL is the network: a name, or a Keras file, whose training starts from its weights. A plain
    network becomes an FR model, which stores its kernels as DCT coefficients, and training cuts all
    but --keep of them; an FR model trains on. --out is a .keras file for `convert` and `pack`. A
    network of another architecture is never replaced, not even with --force. After each epoch the
    state is kept beside --out, and --resume goes on from there.
    """
    with failure():
        from rich.console import Console

        from fr_bench import train as module
        from fr_keras import summary
        from fr_keras_cli._progress import progress_bars

        chosen = _recipe(config, recipe, {"model": model, **options})
        with _usage():
            module.check_output(out, force)
        network, dataset, scale = network_and_data(
            *("MODEL", chosen.model, chosen.data, chosen.image_size, chosen.validation),
            *(chosen.seed, chosen.crop),
        )
        chosen = dataclasses.replace(chosen, scale=chosen.scale or scale)
        with _usage():
            module.prepared(network, chosen)
        console = Console(stderr=True, quiet=as_json, highlight=False, soft_wrap=True)
        with progress_bars() as progress:
            done = module.train(
                network, dataset, out, chosen,
                resume=resume, tensorboard=tensorboard, overwrite=force, progress=progress,
                say=console.print,
            )  # fmt: skip
        if as_json:
            click.echo(json.dumps(done.to_dict()))
            return
        Console().print(summary(done.model))
        click.echo(f"{done.before.task.metric_name} on the test rows: {done.test}")
        click.echo(f"Saved {done.out}; the recipe is {done.recipe}")


def _recipe(config: Path | None, name: str | None, options: dict):
    """The recipe of a file or a name, with the options that were given."""
    from fr_bench import recipes

    if config is not None and name is not None:
        raise click.UsageError("give only one of --config and --recipe")
    with _usage():
        base = recipes.Recipe()
        if config is not None:
            base = recipes.read(config)
        elif name is not None:
            base = recipes.named(name)
        given = {key: value for key, value in options.items() if value is not None}
        chosen = dataclasses.replace(base, **given)
    if chosen.model is None:
        raise click.UsageError(f"give MODEL, {NAMES}, or a recipe that has a `model`")
    return chosen


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    """Reports wrong arguments as wrong usage, by the names of their options."""
    try:
        yield
    except ValueError as error:
        known = {one.name: one.opts[0] for one in click.get_current_context().command.params}
        text = re.sub(r"`(\w+)`", lambda m: known.get(m[1], m[0]), str(error))
        raise click.UsageError(text) from error
