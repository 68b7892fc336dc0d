"""Compares two ways to divide a total among layers, "bandwidth" and "proportional".

    python benchmarks/sharing.py --mnist mnist.npz --cifar cifar10_jpeg.npz

The numbers are validation accuracies after short trainings on part of the data, with the target
kept from the first step; three totals, three fixed seeds. The test splits are not used.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import cifar
import keras
import numpy as np
from environment import environment

from fr_bench import data
from fr_keras import TailTruncation, regularize, zoo

SEEDS = (0, 1, 2)
SHARINGS = ("proportional", "bandwidth")


@dataclasses.dataclass(frozen=True)
class Case:
    network: str
    totals: tuple[int, ...]
    rows: int
    epochs: int
    learning_rate: float
    batch_size: int = 100

    def model(self) -> keras.Model:
        if self.network == "lenet5":
            return zoo.lenet5(batch_norm=True)
        return getattr(zoo, self.network)()


CASES = {
    "mnist": Case("lenet5", (776, 1500, 4305), rows=20_000, epochs=5, learning_rate=6e-3),
    "cifar10": Case("resnet20", (2709, 8127, 27090), rows=8_000, epochs=5, learning_rate=6e-3),
}


def accuracy(case: Case, split: data.Dataset, sharing: str, total: int, seed: int) -> float:
    keras.utils.set_random_seed(seed)
    model = regularize(case.model())
    x, y = split.train.inputs(slice(case.rows)), split.train.y[: case.rows]
    steps = -(-len(x) // case.batch_size) * case.epochs
    rate = keras.optimizers.schedules.CosineDecay(case.learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    cut = TailTruncation(total, epochs=1, schedule="constant", sharing=sharing)
    model.fit(x, y, batch_size=case.batch_size, epochs=case.epochs, verbose=0, callbacks=[cut])
    rows = split.validation.batches(500)
    return model.evaluate(rows, verbose=0, return_dict=True)["accuracy"]


def compare(name: str, split: data.Dataset) -> list[dict]:
    case, rows = CASES[name], []
    for total in case.totals:
        row = {"data": name, "network": case.network, "kept": total}
        for sharing in SHARINGS:
            row[sharing] = [accuracy(case, split, sharing, total, seed) for seed in SEEDS]
        row["gain"] = float(np.mean(row["bandwidth"]) - np.mean(row["proportional"]))
        print(row, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--cifar", required=True, help="CIFAR-10 as a .npz of JPEG files")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    rows = compare("mnist", data.load(arguments.mnist))
    rows += compare("cifar10", cifar.load(arguments.cifar, CASES["cifar10"].rows))
    result = {
        "benchmark": "sharing",
        "environment": environment(),
        "cases": {name: dataclasses.asdict(case) for name, case in CASES.items()},
        "rows": rows,
    }
    (arguments.out / "sharing.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
