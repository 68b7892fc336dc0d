"""FR on networks that were trained without it, from random, trained and ordered weights.

    python benchmarks/order_channels.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

Each network is trained plainly (`trained.py`). First the energy is measured: the share that a half
to a twentieth of the coefficients holds, before and after the channels are ordered, the mean of the
kernels. Then an FR twin is trained that keeps as many, shortly and alike from each start; from
random weights only at a tenth. Scores are those of the validation rows, on which nothing was
chosen. A row that is in the JSON is not trained again.
"""

import json
import time
from pathlib import Path

import keras
import numpy as np
import trained
from environment import environment

from fr_keras import TailTruncation, order_channels, regularize
from fr_keras.models.walk import named_kernels

NETWORKS = ("vgg", "resnet20", "unet")
KEEPS = (0.5, 0.2, 0.1, 0.05)
STARTS = ("random", "trained", "ordered")
EPOCHS, TRUNCATION, STEPS = 3, 2, 100


def start_of(name: str, base: keras.Model, task: trained.Task, seed: int) -> keras.Model:
    if name == "random":
        return trained.untrained(task.name, seed + 100)
    return order_channels(base) if name == "ordered" else base


def energy(twin: keras.Model, keep: float) -> float:
    """The share of the energy in the kept coefficients, the mean of the kernels."""
    shares = []
    for layer in named_kernels(twin).values():
        whole = np.square(layer.kept_coefficients()).sum()
        layer.truncate(max(1, round(keep * layer.kept)))
        shares.append(np.square(layer.kept_coefficients()).sum() / whole)
    return float(np.mean(shares))


def run(task: trained.Task, base: keras.Model, seed: int, start: str, keep: float) -> dict:
    plain = start_of(start, base, task, seed)
    keras.utils.set_random_seed(seed)
    begin = time.perf_counter()
    twin = regularize(plain)
    loss = task.fit(
        twin, EPOCHS, trained.LEARNING_RATE[task.name], [TailTruncation(keep, TRUNCATION)], STEPS
    )
    predict = lambda x: twin.predict(x, batch_size=64, verbose=0)  # noqa: E731
    return {
        "score": round(task.score(predict, "validation"), 4),
        "loss": loss,
        "seconds": round(time.perf_counter() - begin),
    }


def base_row(task: trained.Task, base: keras.Model, seed: int) -> dict:
    """The score of a plainly trained network, and its energy by what is kept."""
    ordered = order_channels(base)
    shares = {
        str(keep): [round(energy(regularize(one), keep), 4) for one in (base, ordered)]
        for keep in KEEPS
    }
    score = task.score(lambda x: base.predict(x, batch_size=64, verbose=0), "validation")
    return {"network": task.name, "seed": seed, "score": round(score, 4), "energy": shares}


def main() -> None:
    given = trained.arguments(__doc__.splitlines()[0]).parse_args()
    path = given.out / "order_channels.json"
    result = json.loads(path.read_text()) if path.exists() else {"bases": [], "rows": []}
    tasks = [trained.Task(name, given.data, given.membranes) for name in NETWORKS]
    for task in tasks:
        for seed in trained.SEEDS:
            if not _has(result["bases"], network=task.name, seed=seed):
                base = trained.base(task, seed, given.work)
                result["bases"].append(base_row(task, base, seed))
                write(result, path)
    for task in tasks:
        for seed in trained.SEEDS:
            base = trained.base(task, seed, given.work)
            for keep in KEEPS:
                for start in STARTS if keep == 0.1 else STARTS[1:]:
                    row = {"network": task.name, "seed": seed, "start": start, "keep": keep}
                    if not _has(result["rows"], **row):
                        result["rows"].append({**row, **run(task, base, seed, start, keep)})
                        write(result, path)


def _has(rows: list[dict], **key) -> bool:
    return any(key.items() <= {name: row[name] for name in key}.items() for row in rows)


def write(result: dict, path: Path) -> None:
    about = {
        "benchmark": "order_channels",
        "environment": environment(),
        "epochs": EPOCHS,
        "truncation_epochs": TRUNCATION,
        "steps": STEPS,
        "base_epochs": trained.EPOCHS,
        "learning_rate": trained.LEARNING_RATE,
    }
    print((result["rows"] or result["bases"])[-1], flush=True)
    path.write_text(json.dumps({**about, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
