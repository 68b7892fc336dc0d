"""One-shot low rank of trained networks at two budgets, from the weights alone and from data.

    python benchmarks/low_rank.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

The VGG, ResNet-20 and the U-Net of `trained.py` become chains of smaller kernels with at most a
half and a fifth of their kernel weights (`fr_keras.methods.tucker`). `plain` takes the ranks and
factors from the weights, `data` from the outputs of the layers on training rows. The score on the
validation rows is measured before any training, again after the batch normalizations have been
calibrated on the same training rows, and after each epoch of further training. At the end come the
files, and the only look at the test rows.

For the VGG there also is the table of the source: ranks, weights and multiply-adds of each layer,
by EVBMF and by both budgets. A row that is in the JSON is not trained again; the networks are kept
in the folder. `--steps` makes epochs shorter, for a try.
"""

import json
from pathlib import Path

import keras
import trained
from environment import environment

from fr_keras import methods, summary, tflite
from fr_keras.interop import calibrate_batch_norm

NETWORKS = ("vgg", "resnet20", "unet")
KEEPS, WAYS = (0.5, 0.2), ("plain", "data")
#: The rows that the factors are fitted to, and that calibrate files: so many, in even steps.
SEEN = {"vgg": 1_000, "resnet20": 1_000, "unet": 64}
EPOCHS, RATE_SHARE = 4, 0.5  # of the rate that the network was trained with
MODES = ("float32", "int8")


def seen(task: trained.Task):
    return task.some(SEEN[task.name])


def score(task: trained.Task, model: keras.Model, split: str) -> float:
    batch = 8 if task.name == "unet" else 250
    found = task.score(lambda x: model.predict(x, batch_size=batch, verbose=0), split)
    return round(float(found), 4)


def file_of(work: Path, network: str, seed: int, keep: float, way: str) -> Path:
    return work / f"{network}_{seed}_tucker_{keep}_{way}.keras"


def run(task: trained.Task, seed: int, keep: float, way: str, work: Path, steps) -> dict:
    base, rows = trained.base(task, seed, work), seen(task)
    small = methods.tucker(base, keep, rows if way == "data" else None)
    row = {"network": task.name, "seed": seed, "keep": keep, "way": way}
    row["before"] = score(task, small, "validation")
    calibrate_batch_norm(small, rows)
    row["calibrated"] = score(task, small, "validation")
    row["by_epoch"] = []
    scoring = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: row["by_epoch"].append(score(task, small, "validation"))
    )
    keras.utils.set_random_seed(seed)
    rate = RATE_SHARE * trained.LEARNING_RATE[task.name]
    row["loss"] = task.fit(small, EPOCHS, rate, [scoring], steps)
    small.compile()  # the file needs no optimizer
    small.save(file_of(work, task.name, seed, keep, way))
    row["test"] = score(task, small, "test")
    for key in ("kernel_weights", "multiply_adds"):
        row[key] = round(summary(small).total(key) / summary(base).total(key), 4)
    row["files"] = {mode: in_file(task, small, mode, rows) for mode in MODES}
    return row


def in_file(task: trained.Task, model: keras.Model, mode: str, rows) -> dict:
    calibration = {"calibration": rows} if mode == "int8" else {}
    content = tflite.convert(model, quantize=mode, **calibration).content
    found = task.score(tflite.Runner(content, threads=2).run, "validation")
    return {"bytes": len(content), "validation": round(float(found), 4)}


def bases(given, task: trained.Task) -> list[dict]:
    """The whole networks."""
    found = []
    for seed in trained.SEEDS:
        model = trained.base(task, seed, given.work)
        scores = {split: score(task, model, split) for split in ("validation", "test")}
        files = {mode: in_file(task, model, mode, seen(task)) for mode in MODES}
        sums = {key: summary(model).total(key) for key in ("kernel_weights", "multiply_adds")}
        found.append({"seed": seed, **scores, **sums, "files": files})
    return found


def table(given, task: trained.Task) -> dict[str, list[dict]]:
    """The layers of the first network with their ranks, by how these were found."""
    model, rows = trained.base(task, trained.SEEDS[0], given.work), seen(task)
    adds = {one.name: one.multiply_adds for one in summary(model).rows}
    found = {}
    for ranks, data in (("evbmf", None), *((keep, rows) for keep in KEEPS)):
        small = methods.tucker(model, ranks, data)
        found[str(ranks)] = [
            {
                "layer": name,
                "ranks": one.ranks,
                "weights": [one.weights, one.chain_weights],
                "multiply_adds": [adds[name], adds_of(small.get_layer(name), adds[name])],
            }
            for name, one in methods.tucker_ranks(model, ranks, data).items()
        ]
    return found


def adds_of(layer: keras.layers.Layer, whole: int) -> int:
    """The multiply-adds of a chain; a layer that stayed has those of the whole."""
    return summary(layer).total("multiply_adds") if isinstance(layer, keras.Model) else whole


def write(result: dict, path: Path) -> None:
    about = {
        "benchmark": "low_rank",
        "environment": environment(),
        "epochs": EPOCHS,
        "base_epochs": trained.EPOCHS,
        "learning_rate": {n: RATE_SHARE * rate for n, rate in trained.LEARNING_RATE.items()},
        "seen_rows": SEEN,
    }
    path.write_text(json.dumps({**about, **result}, indent=1) + "\n")


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=trained.SEEDS)
    parser.add_argument("--steps", type=int, help="training steps of an epoch, for a try")
    given = parser.parse_args()
    path = given.out / "low_rank.json"
    result = {"bases": {}, "layers": {}, "rows": []}
    if path.exists():
        result |= {k: v for k, v in json.loads(path.read_text()).items() if k in result}
    done = {tuple(one[key] for key in ("network", "seed", "keep", "way")) for one in result["rows"]}
    for network in given.networks:
        task = trained.Task(network, given.data, given.membranes)
        for seed in given.seeds:
            for keep in KEEPS:
                for way in WAYS:
                    if (network, seed, keep, way) not in done:
                        keras.utils.clear_session()
                        row = run(task, seed, keep, way, given.work, given.steps)
                        result["rows"].append(row)
                        print(row, flush=True)
                        write(result, path)
        if network not in result["bases"]:
            result["bases"][network] = bases(given, task)
        if network == "vgg" and not result["layers"]:
            result["layers"] = table(given, task)
        write(result, path)


if __name__ == "__main__":
    main()
