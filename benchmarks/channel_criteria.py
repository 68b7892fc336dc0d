"""Every criterion for channels at half the multiply-adds, beside random channels and narrow ones.

    python benchmarks/channel_criteria.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

A network that was trained on CIFAR-10 (`trained.py`) loses channels by each criterion until half of
its multiply-adds are left, and is trained a little further. `narrow` has as many multiply-adds and
fewer channels from the start, at the same share of each layer, and trains as long as the network
and its further training together. All criteria run with one seed; the best two on the validation
rows, random channels and the narrow network with three, and only of these are the test rows looked
at, at the end. A row that is in the JSON is not trained again; the networks are kept in the folder.

    python benchmarks/channel_criteria.py ... --latency

measures the int8 files of the networks in the folder, in turn, with nothing else running; and those
of VGGs that are wider, with random weights, because only speed is the subject there.
"""

import functools
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import timing
import trained
from environment import environment

from fr_keras import methods, summary, tflite

NETWORKS = ("vgg", "resnet20")
#: Criterion and scope: the order of channels of the whole network, or the same share of each layer.
WAYS = (
    *((criterion, "global") for criterion in methods.CRITERIA),
    ("random", "layer"),
    ("l2", "layer"),
    ("information", "layer"),
    ("narrow", "layer"),
)
CONTROLS = (("random", "layer"), ("narrow", "layer"))
KEEP, EPOCHS, RANKED = 0.5, 4, 1_000
ROUNDS = 200
#: The VGGs whose latency is measured, by how many times as wide they are.
WIDER = (1, 2, 4)


def cut(task: trained.Task, base: keras.Model, criterion: str, scope: str, seed: int):
    """The smaller network before its training."""
    if criterion == "narrow":
        keras.utils.set_random_seed(seed)
        return methods.narrow(base, KEEP)
    x, y = task.rows("train")
    scores = methods.rank(base, (x[:RANKED], y[:RANKED]), criterion, seed=seed)
    return methods.prune(base, scores, KEEP, scope=scope)


def run(task: trained.Task, seed: int, criterion: str, scope: str, work: Path) -> dict:
    base = trained.base(task, seed, work)
    begin = time.perf_counter()
    model = cut(task, base, criterion, scope, seed)
    ranking = time.perf_counter() - begin
    predict = lambda x: model.predict(x, batch_size=250, verbose=0)  # noqa: E731
    before = task.score(predict, "validation")
    narrow = criterion == "narrow"
    epochs = EPOCHS + (trained.EPOCHS[task.name] if narrow else 0)
    rate = trained.LEARNING_RATE[task.name] * (1 if narrow else 0.5)
    keras.utils.set_random_seed(seed)
    loss = task.fit(model, epochs, rate)
    model.compile()
    model.save(work / f"{name_of(task.name, seed, criterion, scope)}.keras")
    adds = [summary(one).total("multiply_adds") for one in (base, model)]
    return {
        "network": task.name,
        "seed": seed,
        "criterion": criterion,
        "scope": scope,
        "multiply_adds": round(adds[1] / adds[0], 4),
        "weights": round(model.count_params() / base.count_params(), 4),
        "ranking_seconds": round(ranking, 2),
        "validation_before": round(before, 4),
        "validation": round(task.score(predict, "validation"), 4),
        "loss": loss,
    }


def name_of(network: str, seed: int, criterion: str, scope: str) -> str:
    return f"{network}_{seed}_{criterion}_{scope}"


def best(rows: list[dict], network: str) -> list[tuple[str, str]]:
    """The two criteria that are best on the validation rows of the first seed."""
    first = [row for row in rows if row["network"] == network and row["seed"] == trained.SEEDS[0]]
    ranked = sorted(first, key=lambda row: -row["validation"])
    ways = [(row["criterion"], row["scope"]) for row in ranked]
    return [one for one in ways if one[0] not in ("random", "narrow")][:2]


def write(result: dict, path: Path) -> None:
    about = {
        "benchmark": "channel_criteria",
        "environment": environment(),
        "keep": KEEP,
        "epochs": EPOCHS,
        "base_epochs": trained.EPOCHS,
        "learning_rate": trained.LEARNING_RATE,
        "ranked_rows": RANKED,
    }
    path.write_text(json.dumps({**about, **result}, indent=1) + "\n")


def train(given, result: dict, path: Path) -> None:
    """Trains every row that is missing, the cheap network first."""
    for network in NETWORKS:
        task = trained.Task(network, given.data, given.membranes)
        for seed in trained.SEEDS:
            first = seed == trained.SEEDS[0]
            for way in WAYS if first else (*best(result["rows"], network), *CONTROLS):
                add(given, result, path, task, seed, way)
        scored = (*best(result["rows"], network), *CONTROLS)
        for row in result["rows"]:
            if row["network"] == network and (row["criterion"], row["scope"]) in scored:
                row.setdefault("test", on_test_rows(given, task, row))
        if network not in result["bases"]:
            result["bases"][network] = bases(given, task)
        write(result, path)


def add(given, result: dict, path: Path, task, seed: int, way: tuple[str, str]) -> None:
    key = {"network": task.name, "seed": seed, "criterion": way[0], "scope": way[1]}
    if any(all(row[name] == value for name, value in key.items()) for row in result["rows"]):
        return
    keras.utils.clear_session()
    result["rows"].append(run(task, seed, *way, given.work))
    print(result["rows"][-1], flush=True)
    write(result, path)


def on_test_rows(given, task, row: dict) -> float:
    name = name_of(*(row[key] for key in ("network", "seed", "criterion", "scope")))
    model = keras.models.load_model(given.work / f"{name}.keras", compile=False)
    return round(task.score(lambda x: model.predict(x, batch_size=250, verbose=0), "test"), 4)


def bases(given, task) -> list[dict]:
    """The scores of the whole networks."""
    found = []
    for seed in trained.SEEDS:
        model = trained.base(task, seed, given.work)
        predict = lambda x, model=model: model.predict(x, batch_size=250, verbose=0)  # noqa: E731
        scores = {one: round(task.score(predict, one), 4) for one in ("validation", "test")}
        found.append({"seed": seed, **scores})
    return found


def latency(given, result: dict, path: Path) -> None:
    """Bytes, score and latency of the int8 files of the first seed, in turn with the whole one."""
    for network in NETWORKS:
        task = trained.Task(network, given.data, given.membranes)
        sample = task.rows("train")[0][:256]
        seed, runners, files = trained.SEEDS[0], {}, {}
        names = {"whole": f"{network}_{seed}"}
        names |= {"/".join(way): name_of(network, seed, *way) for way in WAYS}
        for name, file in names.items():
            model = keras.models.load_model(given.work / f"{file}.keras", compile=False)
            files[name] = tflite.convert(model, quantize="int8", calibration=sample).content
            runners[name] = tflite.Runner(files[name], threads=2)
        seconds = timing.median_seconds(
            {n: functools.partial(one.run, sample[:1]) for n, one in runners.items()}, ROUNDS
        )
        for name, runner in runners.items():
            result["files"][f"{network}/{name}"] = {
                "bytes": len(files[name]),
                "validation": round(task.score(runner.run, "validation"), 4),
                "microseconds": round(seconds[name] * 1e6, 1),
                "ratio": round(seconds[name] / seconds["whole"], 3),
            }
            print(network, name, result["files"][f"{network}/{name}"], flush=True)
        write(result, path)


def wider(result: dict, path: Path) -> None:
    """The latency of narrow VGGs beside whole ones, by width and threads, in turn."""
    x = np.random.default_rng(0).random((64, 32, 32, 3), np.float32)
    runs: dict[tuple, Callable] = {}
    for times in WIDER:
        whole = trained.vgg(tuple(times * width for width in trained.WIDTHS))
        for name, model in (("whole", whole), ("narrow", methods.narrow(whole, KEEP))):
            content = tflite.convert(model, quantize="int8", calibration=x).content
            for threads in (1, 2):
                runner = tflite.Runner(content, threads=threads)
                runs[times, threads, name] = functools.partial(runner.run, x[:1])
    seconds = timing.median_seconds(runs, ROUNDS)
    result["wider"] = [
        {
            "times": times,
            "threads": threads,
            "microseconds": round(seconds[times, threads, "whole"] * 1e6, 1),
            "ratio": round(seconds[times, threads, "narrow"] / seconds[times, threads, "whole"], 3),
        }
        for times, threads in itertools.product(WIDER, (1, 2))
    ]
    print(*result["wider"], sep="\n", flush=True)
    write(result, path)


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--latency", action="store_true", help="measure the networks of the folder")
    given = parser.parse_args()
    path = given.out / "channel_criteria.json"
    result = {"bases": {}, "rows": [], "files": {}, "wider": []}
    if path.exists():
        result |= {k: v for k, v in json.loads(path.read_text()).items() if k in result}
    if given.latency:
        latency(given, result, path)
        wider(result, path)
    else:
        train(given, result, path)


if __name__ == "__main__":
    main()
