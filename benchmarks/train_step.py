"""Compares one training step of FR with plain Keras, under each backend that is installed.

    python benchmarks/train_step.py

Each measurement of time and memory is a process of its own, and they take turns. `fr` rebuilds
whole kernels, and `corner` begins with `regularize(model, start=...)`. A step is the mean of an
epoch of `fit`, after a first epoch that compiles. Memory is the peak resident set of the process,
the backend included. The VGG and ResNet-18 are those of `paper_networks.py`.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from unet_forms import peak_megabytes

# network -> (input shape, batch, steps of an epoch, coefficients that `corner` starts with)
NETWORKS = {
    "lenet5": ((28, 28, 1), 128, 30, 4305),
    "resnet20": ((32, 32, 3), 128, 10, 8127),
    "unet": ((128, 128, 3), 4, 4, 2000),
    "resnet18": ((32, 32, 3), 64, 4, 111_901),
    "vgg": ((32, 32, 3), 64, 4, 200_578),
}
BACKENDS = ("tensorflow", "jax", "torch")
KINDS = ("plain", "fr", "corner")
EPOCHS = 3  # after the first


def network(name: str):
    import paper_networks

    from fr_keras import zoo

    shape = NETWORKS[name][0]
    if name in paper_networks.NETWORKS:
        return paper_networks.NETWORKS[name]()
    return zoo.lenet5(shape, batch_norm=True) if name == "lenet5" else getattr(zoo, name)(shape)


def worker(name: str, kind: str) -> dict:
    """Measures in this process: seconds of a step in each epoch, peak megabytes."""
    from fr_keras import regularize

    shape, batch, steps, start = NETWORKS[name]
    model = network(name)
    if kind != "plain":
        model = regularize(model, start=start if kind == "corner" else None)
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    rows = batch * steps
    x = rng.random((rows, *shape), np.float32)
    y = rng.integers(0, model.output_shape[-1], (rows, *model.output_shape[1:-1]))
    times = []
    for _ in range(1 + EPOCHS):
        begin = time.perf_counter()
        model.fit(x, y, batch, verbose=0)
        times.append((time.perf_counter() - begin) / steps)
    return {"seconds": times[1:], "peak_megabytes": peak_megabytes()}


def measure(name: str, backend: str, rounds: int) -> dict:
    found = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, rows in found.items():
            command = [sys.executable, __file__, "--worker", name, kind]
            given = {**os.environ, "KERAS_BACKEND": backend}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=given)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    keys = ("input", "batch", "steps", "start")
    row = {"network": name, "backend": backend, **dict(zip(keys, NETWORKS[name], strict=True))}
    for kind, rows in found.items():
        row[f"{kind}_seconds"] = float(np.median([s for one in rows for s in one["seconds"]]))
        row[f"{kind}_peak_megabytes"] = float(np.median([one["peak_megabytes"] for one in rows]))
    for kind in KINDS[1:]:
        for what in ("seconds", "peak_megabytes"):
            row[f"{kind}_{what}_ratio"] = round(row[f"{kind}_{what}"] / row[f"plain_{what}"], 3)
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", nargs=2, metavar=("NETWORK", "KIND"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(worker(*arguments.worker)))
        return
    from environment import environment, versions

    installed = [one for one in BACKENDS if importlib.util.find_spec(one)]
    result = {
        "benchmark": "train_step",
        "environment": {**environment(), **versions(*installed)},
        "rows": [],
    }
    for name in arguments.networks:
        for backend in installed:
            result["rows"].append(measure(name, backend, arguments.rounds))
            (arguments.out / "train_step.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
