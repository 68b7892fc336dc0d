"""Measures the page of `web/demo`: what it makes a visitor fetch, and its times beside the host's.

    make web
    python benchmarks/web_page.py

Sizes are those of the files, and of the same files gzipped. Times are medians of one inference of
each bundled file, by LiteRT.js in a headless Chromium and by LiteRT in `fr-keras benchmark`, on
the same machine one after the other, with one thread. Only their ratio says something, and nothing
about a phone.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import environment

from fr_bench import benchmark

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "build" / "web" / "demo"
RUNS = 50
#: What a visitor fetches besides the networks, and which files it is.
PARTS = {
    "page": ("index.html", "style.css", "main.js", "worker.js", "service.js"),
    "runtime": ("litert/litert_wasm_internal.js", "litert/litert_wasm_internal.wasm"),
    "runtime_with_threads": (
        "litert/litert_wasm_threaded_internal.js",
        "litert/litert_wasm_threaded_internal.wasm",
    ),
}


def sizes(files: list[Path]) -> dict[str, int]:
    """The bytes of files, and those of the same files gzipped."""
    contents = [file.read_bytes() for file in files]
    return {
        "bytes": sum(map(len, contents)),
        "gzipped": sum(min(len(one), len(gzip.compress(one))) for one in contents),
    }


def reader() -> int:
    """The bytes of `web/frarchive`, minified and gzipped."""
    command = [ROOT / "web" / "node_modules" / ".bin" / "esbuild", "dist/index.js"]
    options = ["--bundle", "--minify", "--format=esm"]
    done = subprocess.run(
        [*command, *options], cwd=ROOT / "web" / "frarchive", check=True, capture_output=True
    )
    return len(gzip.compress(done.stdout))


def medians(files: list[Path], folder: Path) -> dict[str, dict]:
    """File -> the medians in the browser and on the host in microseconds, with one thread."""
    here, there = folder / "browser.json", folder / "host.json"
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    subprocess.run(
        ["node", "measure.js", PAGE, here, str(RUNS)],
        cwd=ROOT / "web" / "demo",
        check=True,
        env={**os.environ, "CHROMIUM": chromium},
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
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "web_page.json"
    )
    output = parser.parse_args().output
    models = json.loads((PAGE / "models" / "index.json").read_text())["files"]
    files = [PAGE / "models" / one["file"] for one in models]
    with tempfile.TemporaryDirectory() as folder:
        times = medians(files, Path(folder))
    results = {
        "benchmark": "web_page",
        "environment": environment(),
        "runs": RUNS,
        "reader_gzipped": reader(),
        "fetched": {name: sizes([PAGE / one for one in part]) for name, part in PARTS.items()},
        "networks": {file.name: {**sizes([file]), **times[file.name]} for file in files},
    }
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
