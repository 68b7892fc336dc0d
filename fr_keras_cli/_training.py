"""What the sub-commands that train share: options, the training regime, and the network."""

from pathlib import Path

import click

from fr_keras_cli._loading import MODELS, load, load_for, load_model
from fr_keras_cli._options import positive

NAMES = "lenet5|resnet20|unet|FILE.keras|FILE.h5"
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


def network_and_data(
    argument: str,
    source: str,
    data: str,
    image_size,
    validation: str | None,
    seed: int,
    side: int | None = None,
):
    """The network of a name or file, data that it takes, and the range of pixels if it is new."""
    from fr_bench.preflight import usual_scale
    from fr_bench.training import NETWORKS, network

    if source in NETWORKS:
        dataset = load(data, image_size, validation)
        return network(dataset, seed, source, side), dataset, usual_scale(dataset)
    path = Path(source)
    if path.suffix not in MODELS or not path.is_file():
        raise click.UsageError(
            f"{argument} must be one of {', '.join(NETWORKS)} or a {' or '.join(MODELS)} file that "
            f"exists. Received: {source}"
        )
    model = load_model(path)
    return model, load_for(model, data, image_size, validation), None


def check_regime(network, regime) -> None:
    """Reports wrong arguments as wrong usage, before the training."""
    from fr_keras import regularize
    from fr_keras.models import budget
    from fr_keras.models.walk import frequency_layers, named_kernels

    if frequency_layers(network):
        return  # `compare` refuses it
    twins = named_kernels(regularize(network))
    try:
        budget.targets(twins, regime.keep, regime.floors, regime.sharing)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
