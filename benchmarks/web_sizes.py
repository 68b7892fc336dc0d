"""Counts the bytes that a visitor of the page of `web/demo` fetches.

    make web
    python benchmarks/web_sizes.py

Sizes are those of the files, and of the same files gzipped where that is smaller.
"""

import argparse
import gzip
import json
import subprocess
from pathlib import Path

from environment import environment

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "build" / "web" / "demo"
#: What a visitor fetches besides the networks, and which files it is.
PARTS = {
    "page": (
        "index.html",
        "style.css",
        "main.js",
        "worker.js",
        "service.js",
        "icon.svg",
        "manifest.webmanifest",
    ),
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


def reader() -> dict[str, int]:
    """The bytes of `web/frarchive`, minified."""
    command = [ROOT / "web" / "node_modules" / ".bin" / "esbuild", "dist/index.js"]
    options = ["--bundle", "--minify", "--format=esm"]
    folder = ROOT / "web" / "frarchive"
    done = subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True)
    return {"bytes": len(done.stdout), "gzipped": len(gzip.compress(done.stdout))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "web_sizes.json"
    )
    output = parser.parse_args().output
    models = json.loads((PAGE / "models" / "index.json").read_text())["files"]
    results = {
        "benchmark": "web_sizes",
        "environment": environment(),
        "reader": reader(),
        "fetched": {name: sizes([PAGE / one for one in part]) for name, part in PARTS.items()},
        "networks": {
            one["file"]: {"form": one["form"], **sizes([PAGE / "models" / one["file"]])}
            for one in models
        },
    }
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
