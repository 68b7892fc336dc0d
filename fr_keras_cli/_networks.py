"""The sub-commands that train: demo, train, compare."""

import dataclasses
import json
from pathlib import Path

import click

from fr_keras_cli._options import (
    MODELS,
    Floors,
    Keep,
    Source,
    command,
    data_option,
    failure,
    force_option,
    image_size_option,
    json_option,
    load_classes,
    load_model,
    out_option,
    positive,
    progress_bars,
)

_model_option = click.option(
    "--model",
    type=Source(),
    default="lenet5",
    show_default=True,
    metavar="lenet5|resnet20|FILE.keras|FILE.h5",
    help="The network; a file is trained on from its weights.",
)
_epochs_option = click.option(
    "--epochs", type=positive, default=40, show_default=True, help="Epochs in all."
)
_batch_size_option = click.option("--batch-size", type=positive, default=32, show_default=True)
_learning_rate_option = click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=5e-3,
    show_default=True,
    help="Peak of Adam's rate, which falls along a cosine.",
)
_seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


@click.command()
@data_option
@image_size_option
@click.option("--keep", type=Keep(), default="0.01", show_default=True, help="What is kept.")
@_epochs_option
@_seed_option
@out_option("demo_output", "models, files, results.json and report.html")
@force_option
@json_option
def demo(data, image_size, out, force, as_json, **options) -> None:
    """Train LeNet-5 plain, pruned and in the DCT domain, convert all, compare."""
    with failure():
        from rich.console import Console

        from fr_bench import demo as demo_module
        from fr_bench.forms import Output, table
        from fr_bench.training import network

        dataset = load_classes(data, image_size)
        recipe = _recipe(options)
        _check_recipe(network(dataset, recipe.seed), recipe)
        with progress_bars() as progress:
            results = demo_module.run(dataset, recipe, Output(out, command(), force), progress)
        if as_json:
            click.echo(json.dumps(results))
        else:
            Console().print(table(demo_module.title(results), results["forms"]))
            click.echo(f"Report: {out / 'report.html'}")


@click.command()
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@_model_option
@data_option
@image_size_option
@click.option("--keep", type=Keep(), default="0.01", show_default=True, help="What is kept.")
@_epochs_option
@click.option(
    "--truncation-epochs",
    type=positive,
    help="Epochs in which the target is reached. [default: 0.3 of the epochs]",
)
@click.option(
    "--schedule",
    type=click.Choice(["geometric", "linear", "cosine", "step", "constant"]),
    default="geometric",
    show_default=True,
)
@click.option("--floors", type=Floors(), default=1, show_default=True, help="Least a layer keeps.")
@click.option(
    "--sharing",
    type=click.Choice(["bandwidth", "proportional", "erdos_renyi"]),
    default="bandwidth",
    show_default=True,
    help="How a total is divided: up to one common frequency in every layer, by size, or by the "
    "lengths of the axes.",
)
@_batch_size_option
@_learning_rate_option
@_seed_option
@force_option
@json_option
def train(output, model, data, image_size, force, as_json, **options) -> None:
    """Train a network in the DCT domain and save it as OUTPUT (.keras)."""
    if output.suffix != ".keras":
        raise click.BadParameter("must end in .keras", param_hint="OUTPUT")
    with failure():
        from rich.console import Console

        from fr_archive.files import check_target, replacing
        from fr_bench import training
        from fr_keras import regularize, summary

        recipe = _recipe(options)
        check_target(output, overwrite=force)
        dataset = load_classes(data, image_size)
        plain = _network(model, dataset, recipe.seed)
        _check_recipe(plain, recipe)
        twin = regularize(plain)
        with progress_bars() as progress:
            bar = training.EpochProgress(progress, "FR", recipe.epochs)
            callbacks = (training.truncation(recipe), bar)
            history = training.fit(twin, dataset, recipe, callbacks).history
        with replacing(output, overwrite=force) as path:
            twin.save(path)
        accuracy = twin.evaluate(dataset.test.x, dataset.test.y, verbose=0, return_dict=True)
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
@_model_option
@data_option
@image_size_option
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="A name from --list; may be repeated. [default: plain, FR, pruning]",
)
@click.option(
    "--keep",
    "keeps",
    type=Keep(),
    multiple=True,
    default=["0.01"],
    show_default=True,
    help="Kernel weights or coefficients kept; may be repeated.",
)
@click.option(
    "--quantize",
    "modes",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8"]),
    multiple=True,
    help="Modes of the files, for each method those that make sense for it; may be repeated. "
    "[default: float32, dynamic, int8]",
)
@_epochs_option
@_batch_size_option
@_learning_rate_option
@_seed_option
@out_option("compare_output", "files, results.json and compare.html")
@click.option("--list", "lists", is_flag=True, help="List the methods, and do nothing else.")
@force_option
@json_option
def compare(
    model, data, image_size, methods, keeps, modes, out, lists, force, as_json, **options
) -> None:
    """Train one network by several methods; accuracy against bytes."""
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
            raise click.UsageError(f"--method must be one of {', '.join(known)}: {unknown[0]}")
        dataset = load_classes(data, image_size)
        recipe = _recipe(options)
        network = _network(model, dataset, recipe.seed)
        for keep in keeps:
            _check_recipe(network, dataclasses.replace(recipe, keep=keep))
        output = Output(out, command(), force)
        with progress_bars() as progress:
            chosen = (methods or tuple(USUAL), keeps, modes or MODES)
            results = run(network, dataset, output, progress, *chosen, recipe)
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


def _recipe(options: dict):
    """The recipe of the options; what it leaves open is 0.3 of the epochs for the truncation."""
    from fr_bench.training import Recipe

    epochs = options["epochs"]
    given = options.pop("truncation_epochs", None)
    return Recipe(**options, truncation_epochs=given or max(1, round(epochs * 0.3)))


def _network(source: str, dataset, seed: int):
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
    """Whether a model takes the data's images and has an output for each class."""
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


def _check_recipe(network, recipe) -> None:
    """What is wrong with the arguments is said before the training, as wrong usage."""
    from fr_keras import regularize
    from fr_keras.models import budget
    from fr_keras.models.walk import named_kernels

    twins = named_kernels(regularize(network))
    try:
        budget.targets(twins, recipe.keep, recipe.floors, recipe.sharing)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if recipe.truncation_epochs > recipe.epochs:
        raise click.UsageError(
            f"--truncation-epochs must not be above --epochs {recipe.epochs}. "
            f"Received: {recipe.truncation_epochs}"
        )
