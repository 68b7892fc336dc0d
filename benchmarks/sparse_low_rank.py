"""Sparse and low-rank kernels, and FreqNet's training, beside narrow networks.

    python benchmarks/sparse_low_rank.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

The VGG of CIFAR-10 that `trained.py` trained gets a quarter and a tenth of its kernel weights.
`low_rank` has chains of two alone, `sparse` has sparse kernels beside them, within the same count:
2 for each of their entries. `criterion` and `pursuit` have no budget. `freqnet` cuts the last
channels of the trained network while it trains on, `freqnet_new` those of a new one. All train
alike; `freqnet_new` and `narrow`, a new network of as few weights, train as long as the network and
its further training together. Everything has three seeds, and nothing was chosen on their scores.
The bytes are those of float32 and int8 files, also gzipped, for only then do zeros save any. A row
that is in the JSON is not trained again.

`--seeds`, `--epochs` and `--steps` make a run small, to try the script.
"""

import gzip
import json
import time
import warnings

import keras
import numpy as np
import trained
from environment import environment

from fr_keras import methods, summary, tflite

WAYS = ("low_rank", "sparse", "freqnet", "freqnet_new", "narrow")
WITHOUT_BUDGET = ("criterion", "pursuit")
BUDGETS = (0.25, 0.1)
NEW = ("freqnet_new", "narrow")
EPOCHS, CALIBRATED = 4, 256


def start_of(base: keras.Model, way: str, keep: float | None, seed: int) -> keras.Model:
    """The network before its training, and what the method says of layers that stay whole."""
    if way in WITHOUT_BUDGET:
        return methods.sparse_low_rank(base, way)
    if way in ("low_rank", "sparse"):
        return methods.sparse_low_rank(base, keep, sparse=way == "sparse")
    keras.utils.set_random_seed(seed)
    if way == "narrow":
        return methods.narrow(base, keep, "weights")
    return trained.untrained("vgg", seed) if way in NEW else base


def callbacks_of(model: keras.Model, way: str, keep: float | None, epochs: int) -> list:
    if way.startswith("freqnet"):
        # The last third of the epochs trains at the target.
        return [methods.FreqNet(keep, max(1, epochs * 2 // 3), measure="weights")]
    if way in ("sparse", *WITHOUT_BUDGET):
        try:
            return [methods.keep_zeros(model)]
        except ValueError:  # no layer has a sparse kernel
            return []
    return []


def run(task: trained.Task, given, seed: int, way: str, keep: float | None) -> dict:
    base = trained.base(task, seed, given.work)
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = start_of(base, way, keep, seed)
    seconds = time.perf_counter() - begin
    before = score(task, model, "validation")
    epochs = given.epochs + (trained.EPOCHS["vgg"] if way in NEW else 0)
    rate = trained.LEARNING_RATE["vgg"] * (1 if way in NEW else 0.5)
    keras.utils.set_random_seed(seed)
    loss = task.fit(model, epochs, rate, callbacks_of(model, way, keep, epochs), given.steps)
    if way.startswith("freqnet"):
        model = methods.FreqNet.cut(model)
    whole, sums = summary(base).to_dict(), summary(model).to_dict()
    kernels = [one for one in model.weights if one.name == "kernel"]
    return {
        "seed": seed,
        "way": way,
        "keep": keep,
        "kernel_weights": sum(int(np.count_nonzero(one)) for one in kernels),
        "multiply_adds": round(sums["multiply_adds"] / whole["multiply_adds"], 4),
        "whole": [str(one.message) for one in said],
        "split_seconds": round(seconds, 1),
        "validation_before": round(before, 4),
        "validation": round(score(task, model, "validation"), 4),
        "test": round(score(task, model, "test"), 4),
        "loss": loss,
        "bytes": sizes(task, model),
    }


def score(task: trained.Task, model: keras.Model, split: str) -> float:
    return task.score(lambda x: model.predict(x, batch_size=250, verbose=0), split)


def sizes(task: trained.Task, model: keras.Model) -> dict[str, int]:
    """The bytes of the files of a network."""
    sample, found = task.rows("train")[0][:CALIBRATED], {}
    for mode, data in (("float32", None), ("int8", sample)):
        content = tflite.convert(model, quantize=mode, calibration=data).content
        found |= {mode: len(content), f"{mode}_gzip": len(gzip.compress(content, mtime=0))}
    return found


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=len(trained.SEEDS))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, help="steps of an epoch; by default all")
    given = parser.parse_args()
    path, rows = given.out / "sparse_low_rank.json", []
    if path.exists():
        rows = json.loads(path.read_text())["rows"]
    about = {
        "benchmark": "sparse_low_rank",
        "environment": environment(),
        "epochs": given.epochs,
        "steps": given.steps,
        "base_epochs": trained.EPOCHS["vgg"],
        "learning_rate": trained.LEARNING_RATE["vgg"],
    }
    task = trained.Task("vgg", given.data, given.membranes)
    ways = [(way, keep) for keep in BUDGETS for way in WAYS]
    for seed in trained.SEEDS[: given.seeds]:
        for way, keep in [*ways, *((way, None) for way in WITHOUT_BUDGET)]:
            if any((one["seed"], one["way"], one["keep"]) == (seed, way, keep) for one in rows):
                continue
            keras.utils.clear_session()
            rows.append(run(task, given, seed, way, keep))
            print(rows[-1], flush=True)
            path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
