"""Five capacities in one network, by `fr_keras.methods.nest`, beside networks trained alone.

    python benchmarks/nest.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

The VGG and the U-Net of `trained.py` are pruned by channels to a share of their multiply-adds, with
an epoch after each step, and grow again in four steps of some epochs, old channels frozen. Beside
each capacity stands a network of the same shape, trained from new weights as long as the first one
was. Scores are those of the float32 networks on the validation rows, by which nothing is chosen,
and, at the end, on the test rows. All capacities then go into one archive with int8 skeletons: its
bytes stand beside those of five archives, and so does the time of a switch, from the bytes of the
archive to a loaded int8 file, the median of several. Run it on a quiet machine for that.

What is in the JSON or in the folder is not trained again. `--steps` makes epochs shorter, for a
try.

    python benchmarks/nest.py ... --table

prints the JSON as the tables of docs/results.md.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import keras
import trained
from environment import environment

import fr_archive
from fr_keras import methods, summary, tflite
from fr_keras.archive import save_nested

NETWORKS = ("vgg", "unet")
KEEP, STEPS, CAPACITIES = 0.15, 6, 5
EPOCHS, GROWING_EPOCHS = 1, 4
RATE_SHARE = 0.25  # of the rate that the network was trained with
#: NestDNN's criterion needs classes of rows; masks have none.
CRITERIA = {"vgg": "triplet", "unet": "l1"}
RANKED = 1_000  # training rows
CALIBRATION = {"vgg": 1_000, "unet": 64}
SWITCHES = 7


def score(task: trained.Task, model: keras.Model, split: str) -> float:
    batch = 8 if task.name == "unet" else 250
    found = task.score(lambda x: model.predict(x, batch_size=batch, verbose=0), split)
    return round(float(found), 4)


def scores(task: trained.Task, model: keras.Model) -> dict[str, float]:
    return {split: score(task, model, split) for split in ("validation", "test")}


def nested(task: trained.Task, seed: int, work: Path, steps: int | None) -> methods.Nested:
    """The networks of a seed, from the folder if they are there."""
    facts = work / f"nest_{task.name}_{seed}.json"
    paths = [facts.with_name(f"{facts.stem}_{n}.keras") for n in range(CAPACITIES)]
    if facts.exists():
        held = json.loads(facts.read_text())
        models = tuple(keras.models.load_model(path, compile=False) for path in paths)
        return methods.Nested(
            models, tuple(held["kept"]), tuple(held["shares"]), None, tuple(held["own"])
        )

    def tune(model: keras.Model, callbacks: list) -> None:
        epochs = GROWING_EPOCHS if callbacks else EPOCHS
        task.fit(model, epochs, RATE_SHARE * trained.LEARNING_RATE[task.name], callbacks, steps)

    base = trained.base(task, seed, work)
    x, y = task.rows("train")
    every = max(1, len(x) // RANKED)
    keras.utils.set_random_seed(seed)
    begin = time.process_time()
    found = methods.nest(
        base, (x[::every], y[::every]), tune, KEEP, STEPS, CAPACITIES, CRITERIA[task.name],
        scope="layer",
    )  # fmt: skip
    for model, path in zip(found.models, paths, strict=True):
        model.compile()  # the file needs no optimizer
        model.save(path)
    held = {"kept": found.kept, "shares": found.shares, "own": found.own}
    held["processor_seconds"] = round(time.process_time() - begin, 1)
    facts.write_text(json.dumps(held))
    return found


def alone(task: trained.Task, seed: int, like: keras.Model, steps: int | None) -> keras.Model:
    """A network of the same shape, trained from new weights as the first one was."""
    keras.utils.set_random_seed(seed)
    model = keras.models.clone_model(like)
    task.fit(model, trained.EPOCHS[task.name], trained.LEARNING_RATE[task.name], (), steps)
    return model


def run(task: trained.Task, seed: int, number: int, work: Path, steps: int | None) -> dict:
    found = nested(task, seed, work, steps)
    one, whole = found.models[number], summary(found.models[-1])
    row = {"network": task.name, "seed": seed, "capacity": number, "share": found.shares[number]}
    for key in ("kernel_weights", "multiply_adds"):
        row[key] = round(summary(one).total(key) / whole.total(key), 4)
    row["nested"] = scores(task, one)
    # The largest network alone is the one that all began with.
    is_last = number == CAPACITIES - 1
    other = trained.base(task, seed, work) if is_last else alone(task, seed, one, steps)
    return {**row, "alone": scores(task, other)}


def files(task: trained.Task, seed: int, work: Path) -> dict:
    """The bytes of all capacities in one archive and in five, and the time of a switch to each."""
    found = nested(task, seed, work, None)
    rows = task.some(CALIBRATION[task.name])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nested.fr"
        packing = save_nested(found, path, skeleton={"calibration": rows})
        content = path.read_bytes()
    capacities = []
    for one in packing.capacities:
        times = [switch(content, one.share) for _ in range(SWITCHES + 1)][1:]
        capacities.append({
            "share": one.share, "bytes": one.bytes, "download": one.download, "alone": one.alone,
            "switch_ms": round(statistics.median(times), 1),
        })  # fmt: skip
    return {"network": task.name, "seed": seed, "bytes": packing.bytes, "capacities": capacities}


def switch(content: bytes, capacity: float) -> float:
    """How long it takes to expand a capacity and to load its int8 file, in milliseconds."""
    begin = time.perf_counter()
    tflite.Runner(fr_archive.expand(fr_archive.decode(content, capacity)), threads=1)
    return 1e3 * (time.perf_counter() - begin)


def table(path: Path) -> str:
    held = json.loads(path.read_text())
    lines = ["| network | seed | multiply-adds | weights | nested: test | alone: test |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for row in held["rows"]:
        lines.append(
            f"| {row['network']} | {row['seed']} | {row['multiply_adds']:.3f} | "
            f"{row['kernel_weights']:.3f} | {row['nested']['test']:.4f} | "
            f"{row['alone']['test']:.4f} |"
        )
    lines += ["", "| network | seed | share | up to here | alone | a switch, ms |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for one in held["files"]:
        lines += [
            f"| {one['network']} | {one['seed']} | {each['share']:.3f} | {each['download']:,} | "
            f"{each['alone']:,} | {each['switch_ms']} |"
            for each in one["capacities"]
        ]
    return "\n".join(lines)


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=trained.SEEDS)
    parser.add_argument("--steps", type=int, help="training steps of an epoch, for a try")
    parser.add_argument("--table", action="store_true", help="print the tables of the JSON")
    given = parser.parse_args()
    path = given.out / "nest.json"
    if given.table:
        print(table(path))
        return
    held = json.loads(path.read_text()) if path.exists() else {"rows": [], "files": []}
    for network in given.networks:
        task = trained.Task(network, given.data, given.membranes)
        for seed in given.seeds:
            for number in range(CAPACITIES):
                done = {(row["network"], row["seed"], row["capacity"]) for row in held["rows"]}
                if (network, seed, number) not in done:
                    held["rows"].append(run(task, seed, number, given.work, given.steps))
                    print(held["rows"][-1], flush=True)
                    write(held, path)
            if (network, seed) not in {(one["network"], one["seed"]) for one in held["files"]}:
                held["files"].append(files(task, seed, given.work))
                write(held, path)


def write(held: dict, path: Path) -> None:
    about = {
        "benchmark": "nest", "environment": environment(), "keep": KEEP, "steps": STEPS,
        "epochs": EPOCHS, "growing_epochs": GROWING_EPOCHS, "rate_share": RATE_SHARE,
        "base_epochs": {name: trained.EPOCHS[name] for name in NETWORKS}, "criteria": CRITERIA,
    }  # fmt: skip
    results = {name: held[name] for name in ("rows", "files")}
    path.write_text(json.dumps({**about, **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
