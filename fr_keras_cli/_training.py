"""What the sub-commands that train share: options, the training regime, and the network."""

from pathlib import Path

import click

from fr_keras_cli._options import MODELS, Source, load_model, positive

model_option = click.option(
    "--model",
    type=Source(),
    default="lenet5",
    show_default=True,
    metavar="lenet5|resnet20|FILE.keras|FILE.h5",
    help="Network to train, by name or from a file. Training a file starts from its weights.",
)
epochs_option = click.option(
    "--epochs", type=positive, default=40, show_default=True, help="Total number of epochs."
)
batch_size_option = click.option(
    "--batch-size", type=positive, default=32, show_default=True, help="Training rows per step."
)
learning_rate_option = click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=5e-3,
    show_default=True,
    help="Adam's learning rate at the beginning, which falls to 0 along a cosine.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed for the initial weights, shuffling and dropout.",
)


def regime_of(epochs: int, truncation_epochs: int | None = None, **fields: object):
    """Returns the `Regime` of these options; by default the truncation takes 0.3 of the epochs."""
    from fr_bench.training import Regime

    truncation = truncation_epochs or max(1, round(epochs * 0.3))
    return Regime(epochs=epochs, truncation_epochs=truncation, **fields)


def trained_network(source: str, dataset, seed: int):
    from fr_bench.training import NETWORKS, network

    if source in NETWORKS:
        return network(dataset, seed, source)
    path = Path(source)
    if path.suffix not in MODELS or not path.is_file():
        raise click.UsageError(
            f"--model must be one of {', '.join(NETWORKS)} or a {' or '.join(MODELS)} file that "
            f"exists. Received: {source}"
        )
    model = load_model(path)
    _check_fit(model, dataset, source)
    return model


def _check_fit(model, dataset, source: str) -> None:
    """Checks that a model takes the images of the data and has an output for each class."""
    taken = [tuple(one.shape[1:]) for one in model.inputs]
    image = dataset.train.x.shape[1:]
    fits = len(taken) == 1 and len(taken[0]) == len(image)
    if not fits or any(n not in (None, m) for n, m in zip(taken[0], image, strict=True)):
        raise click.UsageError(
            f"--data must have images that --model takes. Received: images {image} of "
            f"'{dataset.name}' for inputs {taken} of '{source}'"
        )
    given = [tuple(one.shape[1:]) for one in model.outputs]
    single = len(given) == 1 and len(given[0]) == 1
    if not single or given[0][0] < len(dataset.labels):
        raise click.UsageError(
            "--model must have one output with a number for each class of --data. Received: "
            f"outputs {given} of '{source}' for {len(dataset.labels)} classes of '{dataset.name}'"
        )


def check_regime(network, regime) -> None:
    """Reports wrong arguments as wrong usage, before the training."""
    from fr_keras import regularize
    from fr_keras.models import budget
    from fr_keras.models.walk import named_kernels

    twins = named_kernels(regularize(network))
    try:
        budget.targets(twins, regime.keep, regime.floors, regime.sharing)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if regime.truncation_epochs > regime.epochs:
        raise click.UsageError(
            f"--truncation-epochs must be at most --epochs, {regime.epochs}. "
            f"Received: {regime.truncation_epochs}"
        )
