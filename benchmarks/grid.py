"""The grid of pruning, quantization and methods for LeNet-5 on scikit-learn's digits.

    python benchmarks/grid.py --work folder

The network is trained as the plain one of `digits.py`, with seed 0. A run that was stopped goes on.
Nothing else may run meanwhile, because the files are timed.

    python benchmarks/grid.py --table

prints the JSON as the table and the answers of docs/results.md.
"""

import argparse
import json
from pathlib import Path

import keras
from environment import environment

from fr_bench import data, training
from fr_bench.grid import grid
from fr_bench.training import Regime
from fr_keras import zoo

METHODS = ("pruning", "channels", "narrow", "FR", "tucker", "ternary")
IN_TRAINING = "int8 in training"
RESULTS = Path(__file__).parent / "results"


def network(work: Path) -> keras.Model:
    path = work / "grid_lenet5.keras"
    if not path.exists():
        keras.utils.set_random_seed(0)
        model = zoo.lenet5()
        training.fit(model, data.load("digits"), Regime())
        model.compile()  # the file needs no optimizer
        model.save(path)
    return keras.models.load_model(path, compile=False)


def table(results: dict) -> str:
    """Score, download bytes and median time of each file, with a star at those of the survey."""
    columns = [*results["arguments"]["modes"], IN_TRAINING]
    rows: dict[str, dict[str, str]] = {}
    for one in results["cells"]:
        rate = f" {100 * one['rate']:g} %" if one["rate"] else ""
        column = IN_TRAINING if one["quantized"] == "during" else one["mode"]
        rows.setdefault(one["method"] + rate, {})[column] = _square(one)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    for name, squares in rows.items():
        lines.append(f"| {name} | {' | '.join(squares.get(one, '-') for one in columns)} |")
    for one in results["answers"]:
        lines += ["", f"**{one['question']}** {one['answer']}"]
    return "\n".join(lines)


def _square(cell: dict) -> str:
    if cell["state"] != "done":
        return f"{cell['state']}: {cell['why']}"
    score, us = cell["score"]["value"], cell["measured"]["host"]["median_us"]
    star = "\\*" if cell["survey"] else ""
    return f"{100 * score:.2f} %{star}<br>{cell['download_bytes']:,} B<br>{us:,.0f} us"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="where the network and all files are kept")
    parser.add_argument("--table", action="store_true", help="print the tables of the JSON")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    path = given.out / "grid.json"
    if not given.table:
        given.work.mkdir(parents=True, exist_ok=True)
        found = grid(
            network(given.work), data.load("digits"), given.work / "grid", methods=METHODS,
            command="benchmarks/grid.py",
        )  # fmt: skip
        result = {"benchmark": "grid", "environment": environment(), **found}
        path.write_text(json.dumps(result, indent=1) + "\n")
    print(table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
