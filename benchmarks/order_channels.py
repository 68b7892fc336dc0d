"""FR on networks that were trained without it, from random, trained and ordered weights.

    python benchmarks/order_channels.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

Each network is trained plainly (`trained.py`), and then as an FR twin that keeps a half to a
twentieth of the coefficients, with the same short training from each start; from random weights
only at a tenth. `energy` is the share
of the energy of the kernels in the coefficients that are kept before that training, the mean of the
kernels. Scores are those of the validation rows, on which nothing was chosen. A row that is in the
JSON is not trained again.
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
        "network": task.name,
        "seed": seed,
        "start": start,
        "keep": keep,
        "energy": round(energy(regularize(plain), keep), 4),
        "score": round(task.score(predict, "validation"), 4),
        "loss": loss,
        "seconds": round(time.perf_counter() - begin),
    }


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(trained.EPOCHS))
    given = parser.parse_args()
    path = given.out / "order_channels.json"
    result = json.loads(path.read_text()) if path.exists() else {"bases": [], "rows": []}
    for name in given.networks:
        task = trained.Task(name, given.data, given.membranes)
        for seed in trained.SEEDS:
            base = trained.base(task, seed, given.work)
            if [name, seed] not in [[one["network"], one["seed"]] for one in result["bases"]]:
                predict = lambda x, base=base: base.predict(x, batch_size=64, verbose=0)  # noqa: E731
                score = round(task.score(predict, "validation"), 4)
                result["bases"].append({"network": name, "seed": seed, "score": score})
            for keep in KEEPS:
                for start in STARTS if keep == 0.1 else STARTS[1:]:
                    add(result, path, task, base, seed, start, keep)


def add(result: dict, path: Path, task, base, seed: int, start: str, keep: float) -> None:
    """Trains one row and writes it, unless it is there."""
    key = [task.name, seed, start, keep]
    if key in [
        [row[one] for one in ("network", "seed", "start", "keep")] for row in result["rows"]
    ]:
        return
    keras.utils.clear_session()
    result["rows"].append(run(task, base, seed, start, keep))
    print(result["rows"][-1], flush=True)
    about = {
        "benchmark": "order_channels",
        "environment": environment(),
        "epochs": EPOCHS,
        "truncation_epochs": TRUNCATION,
        "steps": STEPS,
        "base_epochs": trained.EPOCHS,
        "learning_rate": trained.LEARNING_RATE,
    }
    path.write_text(json.dumps({**about, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
