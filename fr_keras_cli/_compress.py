"""The sub-command for a network that is trained already: compress."""

import json

import click

from fr_keras_cli._loading import load_for, load_model
from fr_keras_cli._options import (
    Keep,
    command,
    engine_option,
    failure,
    force_option,
    image_size_option,
    its_data_option,
    json_option,
    loss_option,
    metric_option,
    network_argument,
    out_option,
    positive,
    scale_option,
    validation_option,
)
from fr_keras_cli._training import seed_option


@click.command()
@network_argument
@its_data_option
@validation_option
@image_size_option
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="How much the score may drop: 0.01 is a point of accuracy.",
)
@click.option(
    "--budget",
    type=positive,
    metavar="BYTES",
    help="Instead of --max-drop: the best file whose download has at most this many bytes.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="Method to try, as `compare --list` names it. May be given more than once. "
    "[default: FR-ordered, channels, tucker, narrow]",
)
@click.option(
    "--keep",
    "keeps",
    type=Keep(),
    multiple=True,
    help="Budget of each method: a count or fraction of the kernel weights. May be given more than "
    "once. [default: 0.5, 0.2, 0.1, 0.05]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=30,
    show_default=True,
    help="About how long to work.",
)
@scale_option
@metric_option
@loss_option
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Adam's learning rate at the beginning of each training, which falls to 0.",
)
@seed_option
@engine_option("trials run")
@out_option("compressed", "the chosen files, report.html, MODEL_CARD.md and all trials")
@force_option
@json_option
def compress(
    model, data, validation, image_size, methods, keeps, out, force, as_json, **options
) -> None:
    """Find the smallest file of a trained network.

    MODEL is a Keras file. The network is tried as an int8 file, with frequency regularization, with
    fewer channels, with kernels in chains of smaller ones, and as a narrow network that is trained
    from the start. The smallest file whose score drops by at most --max-drop is chosen on
    validation rows, or with --budget the best of so many bytes. Its score on the test rows is shown
    at the end. A run that was stopped goes on when it is started again.
    """
    with failure():
        from rich.console import Console

        from fr_bench.compression import KEEPS, METHODS
        from fr_bench.compression import compress as run

        if model.resolve() == (out / "model.keras").resolve():
            raise click.UsageError(
                "--out must be another folder than that of MODEL, which would be replaced. "
                f"Received: {out}"
            )
        network = load_model(model)
        found = run(
            network,
            load_for(network, data, image_size, validation),
            out,
            methods=methods or METHODS,
            keeps=keeps or KEEPS,
            command=command(),
            overwrite=force,
            verbose=not as_json,
            **options,
        )
        if as_json:
            click.echo(json.dumps(found.results))
            return
        Console().print(found)
        for sentence in found.verdict:
            click.echo(sentence)
        click.echo(f"Files: {out}. Report: {out / 'report.html'}")
