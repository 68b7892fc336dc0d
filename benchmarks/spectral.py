"""Times the inverse DCT, forward and backward: cosine-matrix contraction against tf.signal.

    python benchmarks/spectral.py

The times by axis length justify the limit in `fr_keras.spectral.contracts`.
"""

import argparse
import json
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf
from environment import environment
from timing import median_seconds

from fr_keras import spectral

# (shape of the coefficients, shape of the kernel): whole axes, kernels of known networks, corners.
SQUARES = [((n, n), (n, n)) for n in (16, 32, 64, 128, 192, 256, 320, 384, 512, 768, 1024, 2048)]
KERNELS = [
    ((5, 5, 20, 50), (5, 5, 20, 50)),
    ((3, 3, 256, 256), (3, 3, 256, 256)),
    ((3, 3, 512, 512), (3, 3, 512, 512)),
    ((4, 4, 50, 500), (4, 4, 50, 500)),
    ((800, 500), (800, 500)),
    ((4096, 1024), (4096, 1024)),
]
CORNERS = [((3, 3, 4, 4), (3, 3, 512, 512)), ((64, 64), (1024, 1024)), ((256, 256), (2048, 2048))]


def step(coefficients: np.ndarray, shape: tuple[int, ...], contract: bool):
    """A compiled forward and backward pass with every long axis forced one way."""
    x = tf.Variable(coefficients)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.square(spectral.idct_nd(x, shape=shape)))
        return tape.gradient(y, x)

    with mock.patch.object(spectral, "contracts", return_value=contract):
        run()  # traced here, while the choice is forced
    return lambda: run().numpy()


def measure(corner: tuple[int, ...], shape: tuple[int, ...], rounds: int) -> dict:
    coefficients = np.random.default_rng(0).normal(size=corner).astype(np.float32)
    ways = {"contraction": True, "tf_signal": False}
    medians = median_seconds(
        {name: step(coefficients, shape, contract) for name, contract in ways.items()}, rounds
    )
    chosen = [spectral.contracts(n, r) for n, r in zip(shape, corner, strict=True)]
    row = {
        "coefficients": corner,
        "kernel": shape,
        "milliseconds": {name: round(1000 * value, 3) for name, value in medians.items()},
        "ratio": round(medians["contraction"] / medians["tf_signal"], 3),
        "rule_contracts": chosen,
    }
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    rows = [measure(*case, arguments.rounds) for case in SQUARES + KERNELS + CORNERS]
    result = {"benchmark": "spectral", "environment": environment(), "rows": rows}
    (arguments.out / "spectral.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
