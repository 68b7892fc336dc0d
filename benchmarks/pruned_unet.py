"""A trained U-Net with a third of its channels, beside an FR twin that keeps as many numbers.

    python benchmarks/pruned_unet.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

The U-Net with 16 filters, trained on cell membranes (`trained.py`), keeps a third of the channels
of each of its 22 groups, so about a ninth of its weights and multiply-adds. `active` keeps those
that are positive most often, for norms mean nothing before a batch normalization without a scale,
and `random` any. `fr` puts the channels in order and keeps as many coefficients as the others have
kernel weights; `fr_quarter` keeps a quarter of these, for its factored file is about as large as
those of the others. All are then trained alike, and `whole` is the network itself with this further
training. `narrow` has the same numbers of channels as `active` and `random`, starts from new
weights and trains as long as the network and its further training together. Everything has three
seeds, and nothing was chosen on their scores. At the end come the files, and the only look at the
test rows. A row that is in the JSON is not trained again; the networks are kept in the folder.

    python benchmarks/pruned_unet.py ... --latency

measures the int8 files of the first seed, in turn, with nothing else running.

    python benchmarks/pruned_unet.py ... --table

prints the JSON as the tables of docs/results.md.
"""

import argparse
import functools
import gzip
import json
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import timing
import trained
from environment import environment

from fr_keras import (
    TailTruncation,
    load_archive,
    methods,
    order_channels,
    regularize,
    save_archive,
    summary,
    tflite,
)
from fr_keras.models import channels
from fr_keras.models.walk import frequency_layers

WAYS = ("whole", "active", "random", "narrow", "fr", "fr_quarter")
#: The coefficients of FR by the kernel weights of the others.
SHARES = {"fr": 1.0, "fr_quarter": 0.25}
KEEP = 1 / 3
EPOCHS, TRUNCATION = 8, 5
#: Every such tile of the training slices ranks channels, and calibrates files.
RANKED, CALIBRATED = 4, 8
ROUNDS, THREADS = 100, 2


def channel_count(model: keras.Model) -> int:
    """The measure of the budget: how many channels there are that could be removed."""
    return sum(one.size for one in channels.groups(model).values() if one.removable)


def start_of(task: trained.Task, base: keras.Model, way: str, seed: int) -> keras.Model:
    """The network before its training."""
    if way == "whole":
        return base
    if way in SHARES:
        return regularize(order_channels(base))
    if way == "narrow":
        keras.utils.set_random_seed(seed)
        return methods.narrow(base, KEEP, channel_count)
    x = task.rows("train")[0][::RANKED]
    scores = methods.rank(base, x, way, seed=seed)
    return methods.prune(base, scores, KEEP, channel_count, scope="layer")


def run(task: trained.Task, seed: int, way: str, work: Path) -> dict:
    base = trained.base(task, seed, work)
    model = start_of(task, base, way, seed)
    before = dice(task, model, "validation")
    epochs = EPOCHS + (trained.EPOCHS[task.name] if way == "narrow" else 0)
    callbacks = []
    if way in SHARES:
        weights = summary(methods.narrow(base, KEEP, channel_count)).total("kernel_weights")
        callbacks = [TailTruncation(round(SHARES[way] * weights), TRUNCATION)]
    keras.utils.set_random_seed(seed)
    begin = time.perf_counter()
    loss = task.fit(model, epochs, trained.LEARNING_RATE[task.name], callbacks)
    seconds = round(time.perf_counter() - begin)
    model.compile()  # the file needs no optimizer
    model.save(file_of(work, seed, way))
    whole, sums = summary(base).to_dict(), summary(model).to_dict()
    share = {
        key: round(sums[key] / whole[key], 4) for key in ("multiply_adds", "form_multiply_adds")
    }
    numbers = sums["kept"] or sums["kernel_weights"]
    return {
        "seed": seed,
        "way": way,
        "numbers": numbers,
        "other_numbers": sums["stored"] - numbers,
        **share,
        "validation_before": round(before, 4),
        "validation": round(dice(task, model, "validation"), 4),
        "loss": loss,
        "seconds": seconds,
    }


def dice(task: trained.Task, model: keras.Model, split: str) -> float:
    return task.score(lambda x: model.predict(x, batch_size=8, verbose=0), split)


def file_of(work: Path, seed: int, way: str) -> Path:
    return work / f"unet_{seed}_third_{way}.keras"


def forms_of(model: keras.Model) -> tuple[str, ...]:
    return ("dense", "auto") if frequency_layers(model) else ("dense",)


def int8_file(task: trained.Task, model: keras.Model, form: str) -> bytes:
    sample = task.rows("train")[0][::CALIBRATED]
    # Only FR networks have another form than the dense one.
    arguments = {"form": form} if frequency_layers(model) else {}
    return tflite.convert(model, quantize="int8", calibration=sample, **arguments).content


def files(task: trained.Task, model: keras.Model) -> dict:
    """Bytes and Dice of everything that a network can be shipped as."""
    found = {}
    for form in forms_of(model):
        content = int8_file(task, model, form)
        run_file = tflite.Runner(content, threads=THREADS).run
        found[f"int8, {form}"] = {
            "bytes": len(content),
            "gzip_bytes": len(gzip.compress(content, mtime=0)),
            **{one: round(task.score(run_file, one), 4) for one in ("validation", "test")},
        }
    if frequency_layers(model):
        sample = task.rows("train")[0][::CALIBRATED]
        found["archive"] = archive(task, model, sample, None)
        found["archive with skeleton"] = archive(task, model, sample, {"calibration": sample})
    return found


def archive(task: trained.Task, model: keras.Model, sample: np.ndarray, skeleton) -> dict:
    """The archive, and the Dice of the network that it loads to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unet.fr"
        packing = save_archive(model, path, calibration=sample, skeleton=skeleton)
        loaded = load_archive(path)
    scores = {one: round(dice(task, loaded, one), 4) for one in ("validation", "test")}
    return {"bytes": packing.bytes, "sections": packing.sections, **scores}


def train(given: argparse.Namespace, task: trained.Task, result: dict, path: Path) -> None:
    """Trains every row that is missing; then makes the files that are missing."""
    done = {(row["seed"], row["way"]) for row in result["rows"]}
    for seed in trained.SEEDS:
        for way in WAYS:
            if (seed, way) not in done:
                keras.utils.clear_session()
                result["rows"].append(run(task, seed, way, given.work))
                print(result["rows"][-1], flush=True)
                write(result, path)
    for row in result["rows"]:
        if "files" not in row:
            keras.utils.clear_session()
            model = network(given.work, row["seed"], row["way"])
            row["test"] = round(dice(task, model, "test"), 4)
            if row["way"] == "whole":
                base = trained.base(task, row["seed"], given.work)
                row["test_before"] = round(dice(task, base, "test"), 4)
            row["files"] = files(task, model)
            print(row["seed"], row["way"], row["test"], row["files"], flush=True)
            write(result, path)


def network(work: Path, seed: int, way: str) -> keras.Model:
    return keras.models.load_model(file_of(work, seed, way), compile=False)


def latency(given: argparse.Namespace, task: trained.Task, result: dict, path: Path) -> None:
    """Latency of the int8 files of the first seed, in turn, for one tile."""
    runners = {}
    for way in WAYS:
        model = network(given.work, trained.SEEDS[0], way)
        for form in forms_of(model):
            name = f"{way}, {form}" if len(forms_of(model)) > 1 else way
            runners[name] = tflite.Runner(int8_file(task, model, form), threads=THREADS)
    tile = task.rows("validation")[0][:1]
    runs = {name: functools.partial(one.run, tile) for name, one in runners.items()}
    seconds = timing.median_seconds(runs, ROUNDS)
    result["latency"] = {
        name: {
            "milliseconds": round(one * 1e3, 3),
            "ratio": round(one / seconds["whole"], 3),
        }
        for name, one in seconds.items()
    }
    print(result["latency"], flush=True)
    write(result, path)


def write(result: dict, path: Path) -> None:
    about = {
        "benchmark": "pruned_unet",
        "environment": environment(),
        "keep_channels": round(KEEP, 4),
        "epochs": EPOCHS,
        "truncation_epochs": TRUNCATION,
        "steps": trained.UNET_STEPS,
        "base_epochs": trained.EPOCHS["unet"],
        "learning_rate": trained.LEARNING_RATE["unet"],
        "threads": THREADS,
    }
    path.write_text(json.dumps({**about, **result}, indent=1) + "\n")


def table(result: dict) -> str:
    """The rows and their files in Markdown; the numbers in a cell are those of the seeds."""
    lines = [
        "| network | numbers | multiply-adds | validation Dice | test Dice |",
        "|---|--:|--:|--:|--:|",
    ]
    by_way = {way: [row for row in result["rows"] if row["way"] == way] for way in WAYS}
    for way, rows in by_way.items():
        adds = f"{rows[0]['multiply_adds']:.1%}"
        factored = f"{adds}, {rows[0]['form_multiply_adds']:.1%} factored"
        cells = (
            way,
            f"{rows[0]['numbers']:,}",
            factored if way in SHARES else adds,
            *(all_of(rows, key) for key in ("validation", "test")),
        )
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| file | bytes | gzipped | test Dice | latency |", "|---|--:|--:|--:|--:|"]
    for way, rows in by_way.items():
        for name, one in rows[0]["files"].items():
            form = name.removeprefix("int8, ")
            time_of = result["latency"].get(way) or result["latency"].get(f"{way}, {form}")
            cells = (
                f"{way}, {name}",
                f"{one['bytes']:,}",
                f"{one['gzip_bytes']:,}" if "gzip_bytes" in one else "-",
                all_of([row["files"][name] for row in rows], "test"),
                f"{time_of['milliseconds']:.1f} ms, {time_of['ratio']:.2f}" if time_of else "-",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def all_of(rows: list[dict], key: str) -> str:
    return ", ".join(f"{row[key]:.3f}" for row in rows)


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--latency", action="store_true", help="measure the networks of the folder")
    parser.add_argument("--table", action="store_true", help="print the tables of the JSON")
    given = parser.parse_args()
    path = given.out / "pruned_unet.json"
    empty = {"rows": [], "latency": {}}
    result = {k: json.loads(path.read_text())[k] for k in empty} if path.exists() else empty
    if given.table:
        print(table(result))
        return
    task = trained.Task("unet", given.data, given.membranes)
    (latency if given.latency else train)(given, task, result, path)


if __name__ == "__main__":
    main()
