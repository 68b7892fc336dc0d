"""`fr_bench.compress` on three trained networks, with FR by four roads.

    python benchmarks/compress.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

The networks are those of `trained.py`: one like MobileNet, ResNet-20 and a U-Net. Each run is that
of `fr-keras compress`, with more methods than it takes by default: FR from random weights, from the
trained ones, from the ordered ones, and from these without a teacher. All methods run with the
first seed; those that are on the front of the first run, and narrow, with the other two. A run that
was stopped goes on. Each network may run in a process of its own (`--networks`).

    python benchmarks/compress.py ... --table

prints the JSON as the tables of docs/results.md.
"""

import dataclasses
import itertools
import json
from pathlib import Path

import keras
import trained
from environment import environment

from fr_bench import compress
from fr_bench.candidates import Candidate, Trained, all_candidates, register_candidate

NETWORKS = ("mobile", "resnet20", "unet")
#: About what three epochs in each of the three rounds take on one core; no training is shorter.
MINUTES = {"mobile": 40, "resnet20": 75, "unet": 60}
MAX_DROP = 0.01
EVERY = 2  # only each second training row: half of the time
KEEPS = (0.5, 0.2, 0.05)
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


METHODS = (ORDERED, "FR", "FR-random", "FR-untaught", "tucker", "channels", "narrow")


def methods_of(rows: list[dict]) -> tuple[str, ...]:
    """The methods that are worth more seeds, by the run of the first one."""
    front = {row["method"] for row in rows if row["on_front"]} & {*METHODS}
    return tuple(name for name in METHODS if name in front | {"narrow"})


def run(given, network: str, seed: int, methods: tuple[str, ...]) -> dict:
    """The result of a run; one whose time was over goes on until all its trials have run."""
    task = trained.Task(network, given.data, given.membranes)
    while True:
        found = compress(
            trained.base(task, seed, given.work),
            task.dataset().thinned(EVERY),
            given.work / f"compress_{network}_{seed}",
            max_drop=MAX_DROP,
            methods=methods,
            keeps=KEEPS,
            minutes=MINUTES[network] * len(methods) / len(METHODS),
            seed=seed,
            command="benchmarks/compress.py",
        )
        if not any("the time was over" in one for one in found.results["left_out"]):
            return {**found.results, "network": network, "seed": seed}


def table(runs: list[dict]) -> str:
    """The chosen files, and all budgets of all methods, in Markdown."""
    lines = [
        "| network, seed | its score | plain int8 | its score | chosen | download | its score |",
        "|---|--:|--:|--:|---|--:|--:|",
    ]
    for one in runs:
        rows = {row["name"]: row for row in one["rows"]}
        plain, chosen = rows["plain int8"], rows[one["chosen"]]
        lines.append(
            f"| {one['network']}, {one['seed']} | {one['test']['value']:.4f} | "
            f"{plain['download_bytes']:,} | {plain['test']['value']:.4f} | {one['chosen']} | "
            f"{chosen['download_bytes']:,} | {chosen['test']['value']:.4f} |"
        )
    lines += ["", f"| network, seed | method | {' | '.join(map(str, KEEPS))} |"]
    lines.append("|---|---|" + "--:|" * len(KEEPS))
    for one, method in itertools.product(runs, METHODS):
        cells = (cell(one["trials"], method, keep) for keep in KEEPS)
        lines.append(f"| {one['network']}, {one['seed']} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(trials: list[dict], method: str, keep: float) -> str:
    """Bytes of the download, validation score, and the last round that a budget took part in."""
    for one in trials:
        if (one["method"], one["keep"]) == (method, keep):
            found = f"{one['download_bytes']:,}: {one['score']['value']:.4f}"
            return f"{found} ({one['rung'] + 1})"
    return "-"


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--table", action="store_true", help="print the tables of the JSON")
    given = parser.parse_args()
    register_candidate("FR-random", Random())
    register_candidate("FR-untaught", Untaught())
    path = Path(given.out) / "compress.json"
    if given.table:
        print(table(runs_of(path)))
        return
    for network, seed in itertools.product(given.networks, trained.SEEDS):
        done = {(one["network"], one["seed"]): one for one in runs_of(path)}
        if (network, seed) in done:
            continue
        first = done.get((network, 0))
        found = run(given, network, seed, methods_of(first["rows"]) if first else METHODS)
        about = {"benchmark": "compress", "environment": environment(), "minutes": MINUTES}
        # Read again: another process may have added its network.
        runs = sorted([*runs_of(path), found], key=lambda one: (one["network"], one["seed"]))
        path.write_text(json.dumps({**about, "runs": runs}, indent=1) + "\n")
        print("\n".join(found["verdict"]), flush=True)


def runs_of(path: Path) -> list[dict]:
    return json.loads(path.read_text())["runs"] if path.exists() else []


if __name__ == "__main__":
    main()
