"""Runs the demo on `digits` with three fixed seeds: accuracy of plain, pruned and FR files.

    python benchmarks/digits.py

Seed 0 is the one that `make demo` runs. Its table is in `docs/results.md`, its plot is in the
README too, and its files are in `tflite_models`.
"""

import argparse
import base64
import json
import tempfile
from pathlib import Path

from environment import environment
from rich.console import Console
from rich.progress import Progress

from fr_bench import data, demo
from fr_bench.forms import Output, table
from fr_bench.report import plots
from fr_bench.training import Regime

SEEDS = (0, 1, 2)
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--picture", type=Path, default=HERE.parent / "docs" / "digits.png")
    parser.add_argument("--files", type=Path, help="keep the files of seed 0 in this folder")
    arguments = parser.parse_args()
    digits = data.load("digits")
    rows = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder, Progress() as progress:
            kept = arguments.files if arguments.files and seed == 0 else Path(folder)
            output = Output(kept, f"fr-keras demo --seed {seed}", overwrite=True)
            results = demo.run(digits, Regime(seed=seed), output, progress)
        Console().print(table(demo.title(results), results["forms"]))
        rows.append({"seed": seed, "kept": results["network"]["kept"], "forms": results["forms"]})
        if seed == 0:
            picture = plots.accuracy_curve(results["histories"]).partition(",")[2]
            arguments.picture.write_bytes(base64.b64decode(picture))
    result = {"benchmark": "digits", "environment": environment(), "seeds": rows}
    (arguments.out / "digits.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
