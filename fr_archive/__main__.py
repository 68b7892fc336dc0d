"""The command `fr-archive`: reads archives without TensorFlow and Keras.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import fr_archive
from fr_archive import nested
from fr_archive._kernels import InSpace
from fr_archive.archive import decode_with_sizes
from fr_archive.container import load


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (fr_archive.ArchiveError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        usage = (FileExistsError, FileNotFoundError, IsADirectoryError)
        return 2 if isinstance(error, usage) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "fr-archive",
        description="Read .fr archives: neural networks as downloads of kilobytes. "
        "`fr-archive COMMAND --help` explains a command. The exit codes are 0 for done, 1 for "
        "failed, and 2 for wrong usage.",
    )
    version = f"fr-archive, version {fr_archive.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    unpack = _command(
        commands, _unpack, "Write the .tflite file of an archive that was packed with a skeleton."
    )
    unpack.add_argument("output", metavar="OUTPUT", type=_tflite, help="The .tflite file to write.")
    unpack.add_argument(
        "--capacity",
        type=float,
        help="Of several networks, unpack the largest whose share is at most this. The default is "
        "the largest of all.",
    )
    unpack.add_argument("--force", action="store_true", help="Replace OUTPUT if it exists.")
    inspect = _command(commands, _inspect, "Show what an archive contains and where its bytes are.")
    for one in (unpack, inspect):
        one.add_argument(
            "--json", dest="as_json", action="store_true", help="Print the result as JSON."
        )
    return parser


def _command(commands, run, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(run.__name__.strip("_"), help=text, description=text)
    parser.add_argument("file", metavar="FILE", type=Path, help="The .fr archive.")
    parser.set_defaults(run=run)
    return parser


def _tflite(text: str) -> Path:
    if not text.endswith(".tflite"):
        raise argparse.ArgumentTypeError(
            "must end in .tflite; `fr-keras unpack` makes .keras models. Received: " + text
        )
    return Path(text)


def _unpack(options: argparse.Namespace) -> None:
    size = fr_archive.unpack(
        options.file, options.output, overwrite=options.force, capacity=options.capacity
    )
    if options.as_json:
        print(json.dumps({"file": str(options.output), "bytes": size}))
    else:
        print(f"{options.output}: {size:,} bytes")


def _inspect(options: argparse.Namespace) -> None:
    data = load(options.file)
    if nested.is_nested(data):
        found = _networks(data)
        lines = [f"{options.file}: {len(data):,} bytes", *_lines_of_several(found)]
        print(json.dumps(found) if options.as_json else "\n".join(lines))
        return
    found = _contents(data)
    print(json.dumps(found) if options.as_json else "\n".join(_lines(options.file, found)))


def _networks(data: bytes) -> dict:
    """The networks of a file, and how many bytes each of them takes."""
    frames = list(nested.frames(io.BytesIO(data)))
    found = [
        {"share": nested.share_of(one.archive), "bytes": one.bytes, "sections": one.sections}
        | {"profile": one.archive.profile}
        for one in frames
    ]
    return {"bytes": len(data), "whole": found[-1]["share"] == 1, "networks": found}


def _lines_of_several(found: dict) -> list[str]:
    lines = [f"networks: {len(found['networks'])}", f"{'share':>12}{'bytes':>12}  profile"]
    for one in found["networks"]:
        figures = {name: value for name, value in one["profile"].items() if name != "share"}
        # As JSON without other characters than ASCII, it cannot control the terminal.
        lines.append(f"{one['share']:>12g}{one['bytes']:>12,}  {json.dumps(figures)}")
    return lines if found["whole"] else [*lines, "It was cut: its largest network is not there."]


def _contents(data: bytes) -> dict:
    """What an archive contains, and where its bytes are."""
    archive, sizes = decode_with_sizes(data)
    network = archive.architecture
    by_reference = isinstance(network, fr_archive.Reference)
    return {
        "network": network.name if by_reference else None,
        "by_reference": by_reference,
        "bytes": sizes.total,
        "sections": {"header": sizes.header, **sizes.sections},
        "tensors": _rows(archive.tensors, sizes.tensors),
        "vectors": _rows(archive.vectors, sizes.vectors),
        "kernels": _rows(archive.kernels, sizes.kernels),
    }


def _rows(series: Sequence[fr_archive.Quantized | InSpace], bits: Sequence[float]) -> list[dict]:
    return [
        {"numbers": one.size, **_rounding(one), "bytes": size / 8}
        for one, size in zip(series, bits, strict=True)
    ]


def _rounding(one: fr_archive.Quantized | InSpace) -> dict:
    if isinstance(one, fr_archive.Signs):
        return {"seed": one.seed, "scale": one.scale}
    if isinstance(one, fr_archive.Codebook):
        return {"levels": list(one.levels)}
    return {"step": fr_archive.step_value(one.step)}


def _lines(path: Path, found: dict) -> list[str]:
    # A file may contain any name: written as a literal, it cannot control the terminal.
    network = f"{found['network']!r}, by name" if found["by_reference"] else "described in full"
    sections = ", ".join(f"{name} {size:,}" for name, size in found["sections"].items())
    lines = [f"{path}: {found['bytes']:,} bytes", f"network: {network}", f"bytes: {sections}"]
    lines += [f"{'':12}{'numbers':>10}{'step':>12}{'bytes':>12}"]
    for kind in ("tensor", "vector", "kernel"):
        lines += [
            f"{kind} {place:<5}{row['numbers']:>10,}{_step(row):>12}{row['bytes']:>12,.1f}"
            for place, row in enumerate(found[f"{kind}s"])
        ]
    if "skeleton" in found["sections"]:
        return [*lines, "It has a skeleton: `fr-archive unpack` makes its .tflite file."]
    return [*lines, "It has no skeleton, so it cannot make a .tflite file by itself."]


def _step(row: dict) -> str:
    if "seed" in row:
        return "of a seed"
    return f"{row['step']:.3g}" if "step" in row else f"{len(row['levels'])} levels"


if __name__ == "__main__":
    sys.exit(main())
