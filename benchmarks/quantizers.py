"""ResNet-20 with kernels of few levels: accuracy and bytes of each quantizer beside the network.

    python benchmarks/quantizers.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

Each row starts from the ResNet-20 of `trained.py`, takes a quantizer of `fr_keras.methods` for all
kernels but the first and the last, and trains on. `control` is the network itself, trained on as
long. The rate is a tenth of that of the first training; nothing is chosen, so the validation rows
only show the way, and the test rows are looked at once, at the end. A row that is in the JSON is
not trained again. `--steps` makes epochs shorter, for a try.

    python benchmarks/quantizers.py ... --table

prints the JSON as the table of docs/results.md.
"""

import gzip
import json
import tempfile
from pathlib import Path

import keras
import trained
from environment import environment

from fr_keras import bake, load_archive, methods, save_archive, tflite

EPOCHS, RATE_SHARE = 6, 0.1
QUANTIZERS = {
    "control": None,
    "ternary, two scales": methods.Ternary(),
    "1 bit": methods.KBit(1),
    "2 bits, greedy": methods.KBit(2),
    "2 bits, optimal": methods.KBit(2, method="optimal"),
    "soft ternary": methods.SoftLevels((-1, 0, 1)),
    "float of 4 bits": methods.AdaptiveFloat(4, 2),
}
CALIBRATION = 1_000  # training rows, for the int8 file of the control


def score(task: trained.Task, model: keras.Model, split: str) -> float:
    found = task.score(lambda x: model.predict(x, batch_size=250, verbose=0), split)
    return round(float(found), 4)


def run(task: trained.Task, seed: int, name: str, work: Path, steps: int | None) -> dict:
    base, quantizer = trained.base(task, seed, work), QUANTIZERS[name]
    model = base if quantizer is None else methods.quantize_kernels(base, quantizer)
    row = {"quantizer": name, "seed": seed, "before": score(task, base, "validation")}
    row["untrained"], row["by_epoch"] = score(task, model, "validation"), []
    callbacks = [
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: row["by_epoch"].append(score(task, model, "validation"))
        )
    ]
    if isinstance(quantizer, methods.SoftLevels):
        callbacks.append(methods.RisingTemperature())
    keras.utils.set_random_seed(seed)
    rate = RATE_SHARE * trained.LEARNING_RATE[task.name]
    row["loss"] = task.fit(model, EPOCHS, rate, callbacks, steps)
    plain = bake(model) if quantizer is not None else model
    plain.compile()  # the file needs no optimizer
    plain.save(work / f"quantized_{seed}_{name.replace(' ', '_')}.keras")
    row["test"] = score(task, plain, "test")
    return {**row, "archive": in_archive(task, plain), "int8": in_int8(task, plain)}


def in_archive(task: trained.Task, model: keras.Model) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.fr"
        packing = save_archive(model, path)
        found = score(task, load_archive(path), "test")
    return {"bytes": packing.bytes, "test": found}


def in_int8(task: trained.Task, model: keras.Model) -> dict:
    content = tflite.convert(model, quantize="int8", calibration=task.some(CALIBRATION)).content
    found = task.score(tflite.Runner(content, threads=1).run, "test")
    return {"gzipped": len(gzip.compress(content)), "test": round(float(found), 4)}


def table(path: Path) -> str:
    lines = ["| quantizer | seed | test | archive, bytes | its test | int8, gzipped | its test |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for row in json.loads(path.read_text())["rows"]:
        packed, int8 = row["archive"], row["int8"]
        lines.append(
            f"| {row['quantizer']} | {row['seed']} | {row['test']:.4f} | {packed['bytes']:,} | "
            f"{packed['test']:.4f} | {int8['gzipped']:,} | {int8['test']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=trained.SEEDS)
    parser.add_argument("--quantizers", nargs="+", choices=QUANTIZERS, default=list(QUANTIZERS))
    parser.add_argument("--steps", type=int, help="training steps of an epoch, for a try")
    parser.add_argument("--table", action="store_true", help="print the table of the JSON")
    given = parser.parse_args()
    path = given.out / "quantizers.json"
    if given.table:
        print(table(path))
        return
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    task = trained.Task("resnet20", given.data, given.membranes)
    for seed in given.seeds:
        for name in given.quantizers:
            if (seed, name) in {(row["seed"], row["quantizer"]) for row in rows}:
                continue
            rows.append(run(task, seed, name, given.work, given.steps))
            print(rows[-1], flush=True)
            about = {"benchmark": "quantizers", "environment": environment(), "epochs": EPOCHS}
            rate = RATE_SHARE * trained.LEARNING_RATE["resnet20"]
            about |= {"learning_rate": rate, "base_epochs": trained.EPOCHS["resnet20"]}
            path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
