"""The classifiers of the FR paper on CIFAR-10: plain, and FR with the paper's kept counts.

    python benchmarks/papers.py --data cifar10_jpeg.npz

The paper gives these counts and no scores for them, so each network has a plain twin that trains
alike: images flipped and shifted by up to 4 pixels, Adam along a cosine, mixed precision on a GPU.
FR trains on the corner of its count from the start. Validation chooses between two learning rates;
the test split is looked at once for each network and count. Rows and models are kept, so an
interrupted run goes on. `--parallel` trains several networks at once, `--minutes` starts no other
training after that time.

    python benchmarks/papers.py --table

prints the JSON as a table.
"""

import argparse
import itertools
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cifar
import keras
import numpy as np
import paper_networks
from environment import environment

from fr_bench.data import Dataset
from fr_keras import regularize, summary

#: Kept counts of the appendix; the third one is 128 for each convolution, 256 for a dense layer.
COUNTS = {
    "vgg": (None, 200_578, 20_302, 2_048),
    "resnet18": (None, 111_901, 12_058, 2_688),
    "vit": (None, 928_478, 157_874),
    "alexnet": (None, 570_365, 57_364, 1_408),
}
RATES = {
    "vgg": (1e-3, 3e-3),
    "resnet18": (1e-3, 3e-3),
    "vit": (3e-4, 1e-3),
    "alexnet": (1e-4, 1e-3),
}
SEED, BATCH_SIZE, EPOCHS = 0, 256, 30
WARMUP = 0.1  # of the steps


class Augmented(keras.utils.PyDataset):
    """The images in a new order each epoch, flipped and shifted by up to 4 pixels at random."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        super().__init__(workers=2, max_queue_size=8)
        self._padded = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
        self._y = y
        self.epoch = 0
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self._y) // BATCH_SIZE)

    def __getitem__(self, index):
        rows = self._order[index * BATCH_SIZE :][:BATCH_SIZE]
        random = np.random.default_rng((SEED, self.epoch, index))
        images = []
        # A shift for each 16 rows: they are cut out at once.
        for some in np.array_split(self._padded[rows], max(1, len(rows) // 16)):
            down, right = random.integers(0, 9, 2)
            some = some[:, down : down + 32, right : right + 32]
            images.append(some[:, :, ::-1] if random.random() < 0.5 else some)
        return np.concatenate(images).astype(np.float32) / 255, self._y[rows]

    def on_epoch_end(self):
        self.epoch += 1
        self._order = np.random.default_rng((SEED, self.epoch)).permutation(len(self._y))


def built(network: str, keep: int | None) -> keras.Model:
    keras.utils.set_random_seed(SEED)
    model = paper_networks.NETWORKS[network]()
    if keep is None:
        return model
    return regularize(model, exclude=paper_networks.EXCLUDED[network], start=keep)


def train(network: str, keep: int | None, rate: float, cifar10: Dataset, epochs: int) -> tuple:
    """The trained model, and its row."""
    begin = time.perf_counter()
    model = built(network, keep)
    rows = Augmented(cifar10.train.x, cifar10.train.y)
    steps = len(rows) * epochs
    cosine = keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * (1 - WARMUP)), warmup_target=rate, warmup_steps=int(steps * WARMUP)
    )
    model.compile(
        keras.optimizers.Adam(cosine), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    clock = Clock()
    history = model.fit(
        rows, epochs=epochs, verbose=2, callbacks=[clock],
        validation_data=(cifar10.validation.inputs(), cifar10.validation.y),
        validation_batch_size=BATCH_SIZE,
    ).history  # fmt: skip
    row = {
        "network": network,
        "keep": keep,
        "kept": None if keep is None else summary(model).kept,
        "rate": rate,
        "epochs": epochs,
        "seconds": round(time.perf_counter() - begin, 1),
        "seconds_an_epoch": round(float(np.median(clock.seconds)), 2),
        "curve": [round(float(one), 4) for one in history["val_accuracy"]],
    }
    return model, row


class Clock(keras.callbacks.Callback):
    """Times the epochs."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._begin)


def one_row(job: tuple, data: str, epochs: int, work: Path, end: float) -> dict | None:
    """Trains one network, in a process of a pool; returns `None` if it is too late to begin."""
    if time.time() > end:
        return None
    network, keep, rate = job
    keras.mixed_precision.set_global_policy(policy())
    model, row = train(network, keep, rate, cifar.load(data), epochs)
    model.save_weights(work / f"{network}_{keep}_{rate:g}.weights.h5")
    return row


def policy() -> str:
    return "float32" if environment()["device"] == "CPU" else "mixed_bfloat16"


def chosen(rows: list[dict], network: str, keep: int | None) -> dict | None:
    """The row that validation chooses; `None` before all rates are there."""
    found = [row for row in rows if (row["network"], row["keep"]) == (network, keep)]
    if {row["rate"] for row in found} != set(RATES[network]):
        return None
    return max(found, key=lambda row: row["curve"][-1])


def test(rows: list[dict], data: str, work: Path) -> None:
    """Looks at the test split, once for each network and count."""
    keras.mixed_precision.set_global_policy(policy())
    split = None
    for network, counts in COUNTS.items():
        for keep in counts:
            row = chosen(rows, network, keep)
            if row is None or "test_accuracy" in row:
                continue
            split = split or cifar.load(data).test
            model = built(network, keep)
            model.load_weights(work / f"{network}_{keep}_{row['rate']:g}.weights.h5")
            found = model.predict(split.inputs(), batch_size=1000, verbose=0).argmax(-1)
            row["test_accuracy"] = round(float(np.mean(found == split.y)), 4)


def write(path: Path, rows: list[dict], parallel: int) -> None:
    result = {
        "benchmark": "papers",
        "environment": environment(),
        "policy": policy(),
        "at_once": parallel,
        "seed": SEED,
        "batch_size": BATCH_SIZE,
        "rates": RATES,
        "counts": COUNTS,
        "rows": rows,
    }
    path.write_text(json.dumps(result, indent=1) + "\n")


def run(arguments, path: Path) -> None:
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [row for row in rows if row["epochs"] == arguments.epochs]
    done = {(row["network"], row["keep"], row["rate"]) for row in rows}
    jobs = [
        (network, keep, rate)
        # The first count of each network, then the second.
        for keeps in itertools.zip_longest(
            *(COUNTS[one] for one in arguments.networks), fillvalue=0
        )
        for network, keep in zip(arguments.networks, keeps, strict=True)
        for rate in RATES[network]
        if keep != 0 and (network, keep, rate) not in done
    ]
    arguments.work.mkdir(parents=True, exist_ok=True)
    given = {
        "data": arguments.data,
        "epochs": arguments.epochs,
        "work": arguments.work,
        "end": time.time() + 60 * arguments.minutes,
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.parallel, context) as pool:
        for future in as_completed([pool.submit(one_row, job, **given) for job in jobs]):
            if future.result() is not None:
                print(future.result(), flush=True)
                rows.append(future.result())
                write(path, rows, arguments.parallel)
    test(rows, arguments.data, arguments.work)
    write(path, rows, arguments.parallel)


def table(path: Path) -> None:
    rows = json.loads(path.read_text())["rows"]
    print("| network | kept | of | validation | test | seconds an epoch |")
    print("|---|--:|--:|--:|--:|--:|")
    for network, counts in COUNTS.items():
        found = summary(built(network, counts[1]))
        size = sum(row.kernel_weights for row in found.rows if row.converted)
        for keep in counts:
            row = chosen(rows, network, keep)
            if row is None:
                continue
            kept = "all" if keep is None else f"{row['kept']:,}"
            print(
                f"| {network} | {kept} | {size:,} | {row['curve'][-1]:.1%} "
                f"| {row['test_accuracy']:.1%} | {row['seconds_an_epoch']:.1f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="CIFAR-10 as a .npz of JPEG files")
    parser.add_argument("--networks", nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--parallel", type=int, default=1, help="so many trainings at once")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--work", type=Path, default=Path("build/papers"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--table", action="store_true", help="print the JSON as a table")
    arguments = parser.parse_args()
    path = arguments.out / "papers.json"
    if arguments.table:
        table(path)
    else:
        run(arguments, path)


if __name__ == "__main__":
    main()
