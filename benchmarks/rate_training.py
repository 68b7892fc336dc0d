"""Trains LeNet-5 on MNIST with a price for its bytes, in the DCT domain and in space.

    python benchmarks/rate_training.py --data mnist.npz

A row for each domain, rate and seed has the bytes of the whole archive and the validation accuracy
of the model that is loaded from it. Validation chooses: of the rates at which the mean accuracy of
the seeds is high enough, the one with the fewest bytes; if there is none, the most accurate. Only
its archives are tested, once. Starts and archives are kept in `--work` and rows in the results, so
an interrupted run continues where it stopped.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import lenet5_archive as archive
import numpy as np
from environment import environment

from fr_bench import data
from fr_keras import load_archive, save_archive, zoo
from fr_keras.methods import RateTraining, price_kernels

SEEDS = (0, 1, 2)
RATES = {"dct": (1e-5, 2e-5, 3e-5, 4e-5), "space": (3e-6, 1e-5, 2e-5, 3e-5)}
# The start: in the DCT domain the largest network of lenet5_archive.py, in space the whole one.
START = archive.POINTS["longer"]
START_EPOCHS = {"dct": START["epochs"], "space": 12}
EPOCHS = 20
# The first step of each kernel, in units of its root mean square.
STEP = {"dct": 0.5, "space": 0.25}
LEARNING_RATE = 0.003
# What the mean validation accuracy has to be: that of `longer` in lenet5_archive.json.
ENOUGH = 0.9875
ACCURACY = "validation_accuracy"


def started(mnist: data.Dataset, domain: str, seed: int, work: Path) -> keras.Model:
    """The network before it pays for bytes, which is the same for all rates."""
    path = work / f"start_{domain}_{seed}.keras"
    if not path.exists():
        if domain == "dct":
            settings = {**archive.SETTINGS, "epochs": START["epochs"], "step": START["step"]}
            model = archive.train(mnist, seed, START["keep"], settings)
        else:
            keras.utils.set_random_seed(seed)
            model = zoo.lenet5(batch_norm=True)
            fit(model, mnist, seed, START_EPOCHS["space"], [])
        model.save(path)
    return keras.models.load_model(path, compile=False)


def fit(model: keras.Model, mnist: data.Dataset, seed: int, epochs: int, callbacks: list) -> None:
    images = archive.Shifted(mnist.train.inputs(), mnist.train.y, archive.SETTINGS["shift"], seed)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, len(images) * epochs)
    model.compile(
        keras.optimizers.Adam(rate, beta_2=0.99),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(images, epochs=epochs, callbacks=callbacks, verbose=2)


def one_row(
    mnist: data.Dataset, domain: str, rate: float, seed: int, epochs: int, work: Path
) -> dict:
    start = started(mnist, domain, seed, work)
    begin = time.perf_counter()
    keras.utils.set_random_seed(seed)
    model = price_kernels(start, STEP[domain])
    fit(model, mnist, seed, epochs, [RateTraining(rate=rate)])
    seconds = time.perf_counter() - begin
    path = archive_path(work, domain, rate, seed)
    packing = save_archive(
        model,
        path,
        error=archive.SETTINGS["error"],
        calibration=mnist.train.inputs(),
        overwrite=True,
    )
    return {
        "domain": domain,
        "rate": rate,
        "seed": seed,
        "epochs": epochs,
        "bytes": packing.bytes,
        "sections": packing.sections,
        "layers": {one.name: layer(model, one) for one in packing.layers},
        ACCURACY: archive.accuracy(load_archive(path), mnist.validation),
        "seconds": round(seconds, 1),
    }


def layer(model: keras.Model, row) -> dict:
    """The bytes of a layer, its steps, and how many numbers of its kernel are not 0."""
    found = {"bytes": round(row.bytes, 1), "steps": row.steps}
    priced = model.get_layer(row.name)
    for name in getattr(priced, "kernel_names", ()):
        found["nonzero"] = int(np.count_nonzero(priced.quantized(name)))
    return found


def archive_path(work: Path, domain: str, rate: float, seed: int) -> Path:
    return work / f"{domain}_{rate:g}_{seed}.fr"


def chosen_rate(rows: list[dict], domain: str) -> float | None:
    """The rate that validation chooses; `None` before all seeds of all rates are there."""
    means = {}
    for rate in RATES[domain]:
        found = [row for row in rows if (row["domain"], row["rate"]) == (domain, rate)]
        if len(found) < len(SEEDS):
            return None
        means[rate] = [np.mean([row[key] for row in found]) for key in ("bytes", ACCURACY)]
    enough = [rate for rate in means if means[rate][1] >= ENOUGH]
    if enough:
        return min(enough, key=lambda rate: means[rate][0])
    return max(means, key=lambda rate: means[rate][1])


def test(mnist: data.Dataset, rows: list[dict], domain: str, work: Path) -> None:
    rate = chosen_rate(rows, domain)
    for row in rows:
        if (row["domain"], row["rate"]) == (domain, rate) and "test_accuracy" not in row:
            model = load_archive(archive_path(work, domain, rate, row["seed"]))
            row["test_accuracy"] = archive.accuracy(model, mnist.test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--work", type=Path, default=Path("build/rate_training"))
    parser.add_argument("--domain", choices=RATES, nargs="+", default=list(RATES))
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="fewer, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    mnist, path = data.load(arguments.data), arguments.out / "rate_training.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for domain in arguments.domain:
        for seed in SEEDS:
            for rate in RATES[domain]:
                done = ((row["domain"], row["rate"], row["seed"]) for row in rows)
                if (domain, rate, seed) in done:
                    continue
                rows.append(one_row(mnist, domain, rate, seed, arguments.epochs, arguments.work))
                write(path, rows)
        test(mnist, rows, domain, arguments.work)
        write(path, rows)
    print(json.dumps([(row["bytes"], row[ACCURACY], row.get("test_accuracy")) for row in rows]))


def write(path: Path, rows: list[dict]) -> None:
    result = {
        "benchmark": "rate_training",
        "environment": environment(),
        "start": {"dct": START, "space": {"epochs": START_EPOCHS["space"]}},
        "first_step": STEP,
        "learning_rate": LEARNING_RATE,
        "enough": ENOUGH,
        "chosen": {domain: chosen_rate(rows, domain) for domain in RATES},
        "rows": rows,
    }
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
