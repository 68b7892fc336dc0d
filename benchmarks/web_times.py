"""Measures the networks of the page of `web/demo` in a browser and on the host.

    make web
    python benchmarks/web_times.py

Times are medians of one inference of each bundled file, by LiteRT.js in a headless Chromium and by
LiteRT in `fr-keras benchmark`, on the same machine one after the other, with one thread. Only their
ratio says something, and nothing about a phone. Nothing else may run meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import environment

from fr_bench import benchmark

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools" / "web"))

import node

ROOT = node.ROOT
PAGE = ROOT / "build" / "web" / "demo"
RUNS = 50


def medians(files: list[Path], folder: Path) -> dict[str, dict]:
    """File -> the medians in the browser and on the host in microseconds, with one thread."""
    here, there = folder / "browser.json", folder / "host.json"
    subprocess.run(
        ["node", "measure.js", PAGE, here, str(RUNS)],
        cwd=ROOT / "web" / "demo",
        check=True,
        env={**os.environ, "CHROMIUM": node.chromium()},
    )
    command = [sys.executable, "-m", "fr_keras_cli", "benchmark", *files, "--out", there]
    options = ["--threads", "1", "--runs", str(RUNS), "--delegate", "xnnpack"]
    subprocess.run([*command, *options], cwd=ROOT, check=True)
    found: dict[str, dict] = {file.name: {} for file in files}
    for where, path in (("browser", here), ("host", there)):
        for one in benchmark.load(path):
            if one.threads == 1 and one.times is not None and one.delegate == "xnnpack":
                found[one.file][f"{where}_us"] = round(one.times.median_us, 1)
    for one in found.values():
        one["ratio"] = round(one["browser_us"] / one["host_us"], 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "web_times.json"
    )
    output = parser.parse_args().output
    models = json.loads((PAGE / "models" / "index.json").read_text())["files"]
    with tempfile.TemporaryDirectory() as folder:
        times = medians([PAGE / "models" / one["file"] for one in models], Path(folder))
    results = {
        "benchmark": "web_times",
        "environment": environment(),
        "runs": RUNS,
        "networks": times,
    }
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
