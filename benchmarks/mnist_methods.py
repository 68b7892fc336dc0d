"""Compares methods on LeNet-5 and MNIST: bytes at the accuracy that FR has with 776 kept.

    python benchmarks/mnist_methods.py --data mnist.npz --work trained --files mnist_files

FR is trained as in `lenet5_mnist.py`. Pruning and narrow networks get the same epochs and batches
at several budgets; validation data choose the learning rate of each, at the middle budget. The
budget that matches FR is the smallest one whose validation accuracy is not below FR's. The test
split plays no part in either choice. A run that was stopped takes the trained networks of its
`--work` folder and goes on.
"""

import argparse
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import lenet5_mnist
from environment import environment
from rich.progress import Progress

from fr_bench import data
from fr_bench.candidates import USUAL, Trained
from fr_bench.compare import MODES
from fr_bench.forms import Form, Output, write_forms
from fr_bench.preflight import preflight
from fr_bench.training import Regime, network
from fr_keras import summary

SEED = 0
METHODS = ("pruning", "narrow")
BUDGETS = (0.01, 0.005, 0.0025)
RATES = (2e-3, lenet5_mnist.LEARNING_RATE)


def validation(trained: Trained) -> float:
    return trained.history["val_accuracy"][-1]


def once(work: Path, title: str, train: Callable[[], Trained]) -> Trained:
    """What a training gives, from the folder if it is there."""
    print(title, flush=True)
    path = work / f"{title.replace(' ', '_')}.keras"
    about = path.with_suffix(".json")
    if not about.exists():
        found = train()
        found.model.save(path)
        numbers = {"kept": found.kept, "history": found.history}
        numbers |= {"seconds": found.seconds, "rows": found.rows}
        part = about.with_suffix(".part")
        part.write_text(json.dumps(numbers, default=float))
        part.rename(about)
    return Trained(keras.models.load_model(path), **json.loads(about.read_text()))


def frequency(mnist: data.Dataset, epochs: int) -> Trained:
    """FR, as in `lenet5_mnist.py`."""
    start = time.perf_counter()
    model, history = lenet5_mnist.train(mnist, SEED, epochs)
    took = time.perf_counter() - start, len(mnist.train) * epochs
    return Trained(model, summary(model).kept, history, *took)


def others(
    mnist: data.Dataset, regime: Regime, work: Path, progress: Progress
) -> tuple[dict, dict]:
    """Each method at each budget and the plain network; and each method at each learning rate."""

    def fit(name: str, keep: float, rate: float) -> Trained:
        one = dataclasses.replace(regime, keep=keep, learning_rate=rate)
        title = f"{name} {keep} at {rate}"
        model = network(mnist, SEED)
        return once(work, title, lambda: USUAL[name].train(model, mnist, one, progress, title))

    found, tried, middle = {}, {}, sorted(BUDGETS)[len(BUDGETS) // 2]
    for name in METHODS:
        tried[name] = {rate: fit(name, middle, rate) for rate in RATES}
        rate = best(tried[name])
        for keep in BUDGETS:
            one = tried[name][rate] if keep == middle else fit(name, keep, rate)
            found[f"{name} {keep}"] = one
    return {**found, "plain": fit("plain", 1.0, best(tried["pruning"]))}, tried


def best(tried: dict[float, Trained]) -> float:
    """The learning rate that validation data choose."""
    return max(tried, key=lambda rate: validation(tried[rate]))


def forms_of(kept: int) -> list[Form]:
    """The files of each method."""
    forms = [Form("FR", mode, kept) for mode in MODES]
    forms += [Form("plain", mode) for mode in MODES]
    return forms + [
        Form(name, mode, keep) for name in METHODS for keep in BUDGETS for mode in MODES
    ]


def match(trained: dict[str, Trained], fr: Trained, name: str) -> float | None:
    """The smallest budget of a method that is as accurate as FR on validation data."""
    enough = validation(fr)
    reached = [keep for keep in BUDGETS if validation(trained[f"{name} {keep}"]) >= enough]
    return min(reached, default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--work", type=Path, required=True, help="folder for trained networks")
    parser.add_argument("--files", type=Path, required=True, help="folder for the .tflite files")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    mnist = data.load(arguments.data)
    mnist = preflight(network(mnist, SEED), mnist, scale="0..1").data
    regime = Regime(
        epochs=arguments.epochs,
        truncation_epochs=round(0.3 * arguments.epochs),
        batch_size=lenet5_mnist.BATCH_SIZE,
        seed=SEED,
    )
    arguments.work.mkdir(parents=True, exist_ok=True)
    fr = once(arguments.work, "FR", lambda: frequency(mnist, arguments.epochs))
    with Progress() as progress:
        trained, tried = others(mnist, regime, arguments.work, progress)
        trained = {f"FR {fr.kept}": fr, **trained}
        command = shlex.join(["python", *(Path(one).name for one in sys.argv)])
        output = Output(arguments.files, command, overwrite=True)
        output.prepare()
        rows, _ = write_forms(trained, forms_of(fr.kept), mnist, output, progress)
    result = {
        "benchmark": "mnist_methods",
        "environment": environment(),
        "regime": dataclasses.asdict(regime),
        "learning_rates": {
            name: {str(rate): validation(one) for rate, one in by_rate.items()}
            for name, by_rate in tried.items()
        },
        "learning_rate": {name: best(by_rate) for name, by_rate in tried.items()},
        "validation_accuracy": {title: validation(one) for title, one in trained.items()},
        "match": {name: match(trained, fr, name) for name in METHODS},
        "data": mnist.name,
        # Bytes and accuracy are the subject: other work may go on beside so long a training.
        "forms": [{k: v for k, v in row.items() if k != "latency_us"} for row in rows],
    }
    text = json.dumps(result, indent=1) + "\n"
    (arguments.out / "mnist_methods.json").write_text(text)
    output.write("results.json", text)


if __name__ == "__main__":
    main()
