"""`compare`: one network, several methods, each as files that a phone could run."""

import dataclasses
import gzip
import json
from pathlib import Path

import keras
import numpy as np
from rich import box
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

import fr_bench.report as report
from fr_archive.files import check_target, write_bytes
from fr_bench.candidates import METHODS, Trained
from fr_bench.data import Dataset
from fr_bench.training import Recipe
from fr_keras.tflite import Runner, convert

#: The quantization modes of every comparison.
MODES = ("float32", "dynamic", "int8")
_PROBED = 8


@dataclasses.dataclass(frozen=True)
class Output:
    """Where the files of a run go.

    Attributes:
        folder: Made where it is missing.
        command: What made the files, stored in them.
        overwrite: Whether files that are there are replaced.
    """

    folder: Path
    command: str
    overwrite: bool = False

    def prepare(self, *names: str) -> None:
        """Makes the folder, and refuses before the work what could not be written after it.

        Raises:
            FileExistsError: If a file is there and is not to be replaced.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            check_target(self.folder / name, self.overwrite)

    def write(self, name: str, content: str) -> None:
        """Writes a text file."""
        write_bytes(self.folder / name, content.encode(), self.overwrite)


@dataclasses.dataclass(frozen=True)
class Form:
    """One file of a comparison: how it was trained, with what budget, and how it is quantized."""

    method: str
    mode: str
    keep: int | float | None = None

    @property
    def trained(self) -> str:
        """Name of the training, which every quantization shares."""
        return self.method if self.keep is None else f"{self.method} {self.keep}"

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.trained} {self.mode}"

    @property
    def file(self) -> str:
        """Name of the .tflite file."""
        return self.name.lower().replace(" ", "_") + ".tflite"


def compare(
    model: keras.Model,
    data: Dataset,
    output: Output,
    progress: Progress,
    methods: tuple[str, ...] = tuple(METHODS),
    keeps: tuple[int | float, ...] = (0.01,),
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
) -> dict:
    """Trains a network by each method at each budget and scores the files.

    Every training starts from the present weights of `model`, with the same epochs, batches and
    learning rates. Accuracies are those of the files on LiteRT, on the test split.

    Args:
        model: A built plain classifier that ends in a softmax.
        data: What it is trained and scored on.
        output: Where the files, `results.json` and `compare.html` go.
        progress: Shows the epochs and files.
        methods: Names out of `fr_bench.candidates.METHODS`.
        keeps: Budgets: kernel weights or coefficients kept, as a count or a fraction.
        recipe: The training; its `keep` is replaced by each of `keeps`.

    Returns:
        What `results.json` holds.

    Raises:
        ValueError: If an argument is out of range, or the model does not fit the data.
        FileExistsError: If a file is there and is not to be replaced; nothing is trained.
        ImportError: If the extra of a method, or `report`, is not installed.

    Example:

    >>> import tempfile
    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> recipe = Recipe(epochs=1, truncation_epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder, Progress(disable=True) as progress:
    ...     output = Output(Path(folder), "an example")
    ...     network = training.network(digits, seed=0)
    ...     results = compare(network, digits, output, progress, ("plain", "FR"), (0.05,), recipe)
    >>> [form["form"] for form in results["forms"]][-1]
    'FR 0.05 int8'
    """
    _check(model, data, methods, keeps)
    budgets = [
        (name, keep)
        for name in methods
        for keep in (keeps if METHODS[name].has_budget else (None,))
    ]
    forms = [Form(name, mode, keep) for name, keep in budgets for mode in MODES]
    output.prepare(*(form.file for form in forms), "results.json", "compare.html")
    trained = {}
    for name, keep in budgets:
        title = Form(name, "", keep).trained
        one = recipe if keep is None else dataclasses.replace(recipe, keep=keep)
        trained[title] = METHODS[name].train(model, data, one, progress, title)
    rows, _ = write_forms(trained, forms, data, output, progress)
    results = {
        "model": model.name,
        "data": data.name,
        "recipe": {**dataclasses.asdict(recipe), "keep": list(keeps)},
        "trainings": [
            {"title": title, "kept": one.kept, "history": one.history}
            for title, one in trained.items()
        ],
        "forms": rows,
    }
    output.write("results.json", json.dumps(results, indent=1))
    output.write("compare.html", report.compare_page(results))
    return results


def write_forms(
    trained: dict[str, Trained],
    forms: list[Form],
    data: Dataset,
    output: Output,
    progress: Progress,
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Converts and scores; returns a row for each form, and the outputs on the test split."""
    task = progress.add_task("converting", total=len(forms))
    rows, outputs = [], {}
    for form in forms:
        progress.update(task, description=f"converting {form.name}")
        source = trained[form.trained]
        conversion = convert(
            source.model,
            output.folder / form.file,
            quantize=form.mode,
            calibration=data.train.x,
            labels=data.labels,
            normalization=data.normalization,
            command=output.command,
            overwrite=output.overwrite,
        )
        runner = Runner(conversion.content)
        found = outputs[form.name] = runner.run(data.test.x)
        rows.append(
            {
                "form": form.name,
                "method": form.method,
                "keep": form.keep,
                "mode": form.mode,
                "file": form.file,
                "kept": source.kept,
                "bytes": len(conversion.content),
                "gzip_bytes": len(gzip.compress(conversion.content, mtime=0)),
                "accuracy": float(np.mean(found.argmax(-1) == data.test.y)),
                "latency_us": runner.latency() * 1e6,
                "argmax_agreement": conversion.agreement.argmax,
                "largest_difference": conversion.agreement.largest,
            }
        )
        progress.advance(task)
    return rows, outputs


def table(title: str, forms: list[dict]) -> Table:
    """The table of the forms, one row a file."""
    # Narrow: seven columns fit the 80 characters of a plain terminal.
    drawn = Table(title=escape(title), box=box.SIMPLE, padding=0, pad_edge=False, show_edge=False)
    for name in ("form", "kept", "bytes", "gzipped", "accuracy", "latency", "agrees"):
        drawn.add_column(name, justify="left" if name == "form" else "right", no_wrap=True)
    for form in forms:
        drawn.add_row(
            form["form"],
            f"{form['kept']:,}",
            f"{form['bytes']:,}",
            f"{form['gzip_bytes']:,}",
            f"{form['accuracy']:.2%}",
            f"{form['latency_us']:,.0f} us",
            f"{form['argmax_agreement']:.1%}",
        )
    return drawn


def _check(model: keras.Model, data: Dataset, methods, keeps) -> None:
    report.check_installed()
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods or len(set(methods)) < len(methods):
        raise ValueError(
            f"`methods` must be different names out of {tuple(METHODS)}. Received: {methods}"
        )
    if not keeps or len(set(keeps)) < len(keeps):
        raise ValueError(f"`keeps` must be different budgets, one or more. Received: {keeps}")
    for name in methods:
        METHODS[name].check_installed()
    shapes = data.train.x.shape[1:], len(data.labels)
    if data.train.y.ndim != 1 or (model.input_shape[1:], *model.output_shape[1:]) != shapes:
        raise ValueError(
            f"`model` must take images of shape {shapes[0]} and give {shapes[1]} classes, as "
            f"'{data.name}' has. Received: {model.input_shape[1:]} to {model.output_shape[1:]}"
        )
    outputs = keras.ops.convert_to_numpy(model(data.train.x[:_PROBED], training=False))
    if outputs.min() < 0 or not np.allclose(outputs.sum(-1), 1, atol=1e-2):
        raise ValueError(
            "`model` must end in a softmax, for it is trained on probabilities. Received: "
            f"outputs from {outputs.min():.3g} to {outputs.max():.3g}"
        )
