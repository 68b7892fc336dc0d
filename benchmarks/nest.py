"""Five capacities in one network, by `fr_keras.methods.nest`, beside networks trained alone.

    python benchmarks/nest.py --data cifar10_jpeg.npz --membranes membrane.npz --work folder

The VGG and the U-Net of `trained.py` are pruned by channels to a share of their multiply-adds, with
an epoch after each step, and grow again in four steps of some epochs, old channels frozen. Beside
each capacity stands a network of the same shape, trained from new weights as long as the first one
was. Scores are those of the float32 networks on the validation rows, by which nothing is chosen,
and, at the end, on the test rows.

What is in the JSON or in the folder is not trained again. `--steps` makes epochs shorter, for a
try.

    python benchmarks/nest.py ... --table

prints the JSON as the tables of docs/results.md.
"""

import json
import time
from pathlib import Path

import keras
import trained
from environment import environment

from fr_keras import methods, summary

NETWORKS = ("vgg", "unet")
KEEP, STEPS, CAPACITIES = 0.15, 6, 5
EPOCHS, GROWING_EPOCHS = 1, 4
RATE_SHARE = 0.25  # of the rate that the network was trained with
#: NestDNN's criterion needs classes of rows; masks have none.
CRITERIA = {"vgg": "triplet", "unet": "l1"}
RANKED = 1_000  # training rows


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


def table(path: Path) -> str:
    lines = ["| network | seed | multiply-adds | weights | nested: test | alone: test |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for row in json.loads(path.read_text())["rows"]:
        lines.append(
            f"| {row['network']} | {row['seed']} | {row['multiply_adds']:.3f} | "
            f"{row['kernel_weights']:.3f} | {row['nested']['test']:.4f} | "
            f"{row['alone']['test']:.4f} |"
        )
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
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    about = {"benchmark": "nest", "environment": environment(), "keep": KEEP, "steps": STEPS}
    about |= {"epochs": EPOCHS, "growing_epochs": GROWING_EPOCHS, "criteria": CRITERIA}
    about |= {"base_epochs": trained.EPOCHS, "rate_share": RATE_SHARE}
    for network in given.networks:
        task = trained.Task(network, given.data, given.membranes)
        for seed in given.seeds:
            for number in range(CAPACITIES):
                done = {(row["network"], row["seed"], row["capacity"]) for row in rows}
                if (network, seed, number) in done:
                    continue
                rows.append(run(task, seed, number, given.work, given.steps))
                print(rows[-1], flush=True)
                path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
