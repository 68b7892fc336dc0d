"""Magnitude pruning by tensorflow-model-optimization, in a process of its own."""

import importlib.util
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from fr_bench.candidates import _tf_keras
from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.data import Dataset
from fr_bench.training import EpochProgress, Regime
from fr_keras.models.budget import targets
from fr_keras.models.twins import regularize
from fr_keras.models.walk import named_kernels

_PROGRAM = Path(__file__).with_name("_prune.py")
_RESULTS = ("kept", "history", "seconds", "rows")
_TOLERANCE = 1e-3


class MagnitudePruning(Candidate):
    """Sets the smallest weights to zero, once per epoch, until the budget is reached.

    During the regime's `truncation_epochs` the number of zeros grows along the polynomial schedule
    of tensorflow-model-optimization; after that the remaining weights train on. Pruning keeps as
    many kernel weights as FR keeps coefficients. They are divided among the layers by the rule
    `"erdos_renyi"`, because one sparsity for all layers would leave only a handful to a first
    convolution.

    Source: Zhu and Gupta, "To prune, or not to prune", 2017, arXiv 1710.01878; division among the
    layers: Evci et al., "Rigging the lottery", ICML 2020, arXiv 1911.11134.
    """

    description = (
        "The smallest weights are set to zero while the network trains, by "
        "tensorflow-model-optimization (Zhu and Gupta 2017, arXiv 1710.01878)."
    )

    def check_installed(self) -> None:
        missing = [
            name
            for name in ("tensorflow_model_optimization", "tf_keras")
            if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise ImportError(
                "the candidate 'pruning' needs the extra `tfmot`: pip install 'fr-keras[tfmot]' "
                f"(missing: {', '.join(missing)})"
            )

    def train(self, model, data, regime, progress, title) -> Trained:
        self.check_installed()
        bar = EpochProgress(progress, title, regime.epochs)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_task(folder, model, data, regime)
            _run(folder, bar)
            result = json.loads((folder / "result.json").read_text())
            copy = keras.models.clone_model(model)
            with np.load(folder / "pruned.npz") as file:
                _tf_keras.assign(copy, dict(file))
        _check_same(copy, data, np.array(result["probe"]))
        return Trained(copy, **{key: result[key] for key in _RESULTS})


def _write_task(folder: Path, model: keras.Model, data: Dataset, regime: Regime) -> None:
    twins = named_kernels(regularize(model))
    kept = targets(twins, regime.keep, sharing="erdos_renyi")
    task = {
        "architecture": _tf_keras.architecture(model),
        "sparsity": {n: 1 - k / math.prod(twins[n].spectrum_shape) for n, k in kept.items()},
        "steps_per_epoch": -(-len(data.train.x) // regime.batch_size),
        "epochs": regime.epochs,
        "truncation_epochs": regime.truncation_epochs,
        "batch_size": regime.batch_size,
        "learning_rate": regime.learning_rate,
        "seed": regime.seed,
    }
    (folder / "task.json").write_text(json.dumps(task))
    np.savez(folder / "weights.npz", **_tf_keras.weights(model))
    splits = {"train": data.train, "validation": data.validation}
    arrays = {f"x_{name}": split.x for name, split in splits.items()}
    np.savez(folder / "data.npz", **arrays, **{f"y_{n}": s.y for n, s in splits.items()})


def _run(folder: Path, bar: EpochProgress) -> None:
    """Runs the program to its end; each line that it prints advances the bar."""
    errors = folder / "errors.txt"
    # -P keeps the program's folder off the path, because its modules have common names.
    command = [sys.executable, "-P", str(_PROGRAM), str(folder)]
    with errors.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            for epoch, line in enumerate(process.stdout):
                bar.on_epoch_end(epoch, json.loads(line))
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            process.wait()
    if process.returncode != 0:
        last = (errors.read_text().strip() or "no message").splitlines()[-1]
        raise RuntimeError(
            f"pruning in tf-keras failed with exit code {process.returncode}: {last}"
        )


def _check_same(model: keras.Model, data: Dataset, expected: np.ndarray) -> None:
    """Checks that both processes compute the same function, so that one network is compared."""
    rows = data.validation.x[: len(expected)]
    found = keras.ops.convert_to_numpy(model(rows, training=False))
    largest = float(np.abs(found - expected).max())
    if not largest <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ValueError(
            "`model` must compute the same in tf-keras as in Keras 3 for pruning. Received: a "
            f"model whose outputs differ by {largest:.3g}"
        )
