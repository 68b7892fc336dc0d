"""`fr_bench.compress` on three trained networks, with FR by four roads.

    python benchmarks/compress.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

The networks are those of `trained.py`: one like MobileNet, ResNet-20 and a U-Net. Each run is that
of `fr-keras compress`, with more methods than it takes by default: FR from random weights, from the
trained ones, from the ordered ones, and from these without a teacher. All methods run with the
first seed; those that are on the front of the first run, and narrow, with the other two. A run that
was stopped goes on.
"""

import dataclasses
import json
from pathlib import Path

import keras
import trained
from environment import environment

from fr_bench import compress
from fr_bench.candidates import Candidate, Trained, all_candidates, register_candidate

NETWORKS = ("mobile", "resnet20", "unet")
MINUTES, MAX_DROP = 40, 0.01
KEEPS = (0.5, 0.2, 0.1, 0.05)
ORDERED = "FR-ordered"


class Random(Candidate):
    """FR from random weights."""

    description = "The weights of the network are drawn anew; then as FR."

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        untrained = keras.models.clone_model(model)
        return all_candidates()["FR"].train(untrained, data, regime, progress, title)


class Untaught(Candidate):
    """FR from ordered weights, from labels alone."""

    description = "As FR-ordered, without the answers of the trained network."

    def train(self, model, data, regime, progress, title) -> Trained:
        alone = dataclasses.replace(regime, distillation=0.0)
        return all_candidates()[ORDERED].train(model, data, alone, progress, title)


METHODS = (ORDERED, "FR", "FR-random", "FR-untaught", "channels", "narrow")


def methods_of(rows: list[dict]) -> tuple[str, ...]:
    """The methods that are worth more seeds, by the run of the first one."""
    front = {row["method"] for row in rows if row["on_front"]} & {*METHODS}
    return tuple(name for name in METHODS if name in front | {"narrow"})


def run(given, network: str, seed: int, methods: tuple[str, ...]) -> dict:
    task = trained.Task(network, given.data, given.membranes)
    found = compress(
        trained.base(task, seed, given.work),
        task.dataset(),
        given.work / f"compress_{network}_{seed}",
        max_drop=MAX_DROP,
        methods=methods,
        keeps=KEEPS,
        minutes=MINUTES * len(methods) / len(METHODS),
        seed=seed,
        command="benchmarks/compress.py",
    )
    return {"network": network, "seed": seed, **found.results}


def main() -> None:
    given = trained.arguments(__doc__.splitlines()[0]).parse_args()
    register_candidate("FR-random", Random())
    register_candidate("FR-untaught", Untaught())
    path = Path(given.out) / "compress.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    for network in NETWORKS:
        for seed in trained.SEEDS:
            if any((one["network"], one["seed"]) == (network, seed) for one in runs):
                continue
            first = next((r for r in runs if (r["network"], r["seed"]) == (network, 0)), None)
            runs.append(run(given, network, seed, methods_of(first["rows"]) if first else METHODS))
            about = {"benchmark": "compress", "environment": environment(), "minutes": MINUTES}
            path.write_text(json.dumps({**about, "runs": runs}, indent=1) + "\n")
            print("\n".join(runs[-1]["verdict"]), flush=True)


if __name__ == "__main__":
    main()
