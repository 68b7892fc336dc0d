"""Copies .tflite files of a `fr-keras demo`, `compare` or benchmark folder into `tflite_models`.

    python tools/publish_models.py demo_output plain_int8.tflite fr_int8.tflite

Each file gets an entry in `tflite_models/models.json` with its origin, its SHA-256 and its scores,
and `tflite_models/README.md` gets the table.
"""

import argparse
import hashlib
import json
from pathlib import Path

from fr_archive.files import write_bytes
from fr_keras import tflite

MODELS = Path(__file__).parents[1] / "tflite_models"
_MARK = "<!-- the table below is written by tools/publish_models.py -->\n"


def publish(folder: Path, names: list[str], models: Path = MODELS) -> list[dict]:
    """Copies the files, and returns and writes the entries of all that are published."""
    results = json.loads((folder / "results.json").read_text())
    forms = {form["file"]: form for form in results["forms"]}
    unknown = sorted(set(names) - set(forms))
    if unknown:
        raise ValueError(f"'{folder}' has no {unknown}; it has {sorted(forms)}")
    index = models / "models.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    for name in names:
        content = (folder / name).read_bytes()
        published = f"{results['data']}_{name}"
        write_bytes(models / published, content, overwrite=True)
        entries = [entry for entry in entries if entry["file"] != published]
        entries.append(_entry(published, content, forms[name], results["data"]))
    entries.sort(key=lambda entry: entry["file"])
    write_bytes(index, (json.dumps(entries, indent=1) + "\n").encode(), overwrite=True)
    _write_table(models / "README.md", entries)
    return entries


def _entry(name: str, content: bytes, form: dict, data: str) -> dict:
    return {
        "file": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "data": data,
        "kept": form["kept"],
        "bytes": form["device_bytes"],
        "gzip_bytes": form["download_bytes"],
        "accuracy": form["score"]["value"],
        "command": tflite.inspect(content).metadata["command"],
    }


def _write_table(path: Path, entries: list[dict]) -> None:
    lines = ["| file | kept | bytes | gzipped | test accuracy | made by | SHA-256 |"]
    lines += ["|---|--:|--:|--:|--:|---|---|"]
    lines += [
        f"| `{e['file']}` | {e['kept']:,} | {e['bytes']:,} | {e['gzip_bytes']:,} "
        f"| {e['accuracy']:.2%} | `{e['command']}` | `{e['sha256'][:16]}` |"
        for e in entries
    ]
    before = path.read_text().partition(_MARK)[0]
    write_bytes(path, (before + _MARK + "\n" + "\n".join(lines) + "\n").encode(), overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+", metavar="FILE.tflite")
    arguments = parser.parse_args()
    for entry in publish(arguments.folder, arguments.names):
        print(f"{entry['sha256'][:16]}  {entry['file']}")


if __name__ == "__main__":
    main()
