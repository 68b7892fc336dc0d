"""How the layers of trained networks best share a budget for `tucker`, without training on.

    python benchmarks/rank_budgets.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

The VGG, ResNet-20 and the U-Net of `trained.py` become chains of smaller kernels within budgets of
kernel weights and of multiply-adds (`fr_keras.methods.tucker` with `data`), for each way of
`sharing`. The score on the validation rows is that before any training: of the network as it is,
and after its batch normalizations have been calibrated on the same training rows. A row that is in
the JSON is not measured again. `--limit` takes fewer validation rows, for a try.
"""

import itertools
import json
from pathlib import Path

import keras
import low_rank
import trained
from environment import environment

from fr_keras import methods, summary
from fr_keras.interop import calibrate_batch_norm

KEEPS, SHARINGS = (0.5, 0.3, 0.2, 0.1), ("equal", "error", "sensitivity")
MEASURES = {"weights": "kernel_weights", "multiply_adds": "multiply_adds"}
KEYS = ("network", "seed", "measure", "keep", "sharing")


def row(task: trained.Task, key: tuple, work: Path) -> dict:
    _, seed, measure, keep, sharing = key
    base, rows = trained.base(task, seed, work), low_rank.seen(task)
    found = dict(zip(KEYS, key, strict=True))
    try:
        small = methods.tucker(base, keep, rows, sharing, measure)
    except ValueError as error:  # a budget below what is left when all ranks are 1
        return {**found, "refused": str(error)}
    found["before"] = low_rank.score(task, small, "validation")
    calibrate_batch_norm(small, rows)
    found["calibrated"] = low_rank.score(task, small, "validation")
    for name in MEASURES.values():
        found[name] = round(summary(small).total(name) / summary(base).total(name), 4)
    return found


def limited(task: trained.Task, limit: int | None) -> trained.Task:
    """The task with the first validation rows only."""
    whole = task.rows

    def rows(split: str):
        x, y = whole(split)
        return (x[:limit], y[:limit]) if split == "validation" else (x, y)

    task.rows = rows
    return task


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    networks = low_rank.NETWORKS
    parser.add_argument("--networks", nargs="+", choices=networks, default=networks)
    parser.add_argument("--seeds", nargs="+", type=int, default=trained.SEEDS)
    parser.add_argument("--keeps", nargs="+", type=float, default=KEEPS)
    parser.add_argument("--limit", type=int, help="validation rows, for a try")
    given = parser.parse_args()
    path = given.out / "rank_budgets.json"
    result = {"bases": [], "rows": []}
    if path.exists():
        result |= {k: v for k, v in json.loads(path.read_text()).items() if k in result}
    done = {tuple(one[key] for key in KEYS) for one in result["rows"]}
    scored = {(one["network"], one["seed"]) for one in result["bases"]}
    for network, seed in itertools.product(given.networks, given.seeds):
        task = limited(trained.Task(network, given.data, given.membranes), given.limit)
        if (network, seed) not in scored:
            score = low_rank.score(task, trained.base(task, seed, given.work), "validation")
            result["bases"].append({"network": network, "seed": seed, "validation": score})
        for key in itertools.product([network], [seed], MEASURES, given.keeps, SHARINGS):
            if key in done:
                continue
            keras.utils.clear_session()
            result["rows"].append(row(task, key, given.work))
            print(result["rows"][-1], flush=True)
            about = {
                "benchmark": "rank_budgets",
                "environment": environment(),
                "seen_rows": low_rank.SEEN,
                "validation_rows": given.limit,
            }
            path.write_text(json.dumps({**about, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
