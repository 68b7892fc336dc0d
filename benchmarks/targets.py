"""Runs every published file and every form of the U-Net on each target: delegation, agreement.

    python benchmarks/targets.py

The targets are the host, LiteRT's AArch64 kernels and its GPU accelerator. The last two need a
set-up: `python tools/devices/setup.py arm64 gpu`. The U-Net is that of `unet_forms.py` with its
full widths, but on one image of 32 x 32 pixels, because emulation is slow; all rows are random.
The reference is XNNPACK on the host. If a file is off by more than its limit, each of its ops is
compared by itself. The script prints a table in Markdown.
"""

import argparse
import collections
import functools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from environment import environment
from unet_forms import images, network

from fr_bench import benchmark
from fr_bench.benchmark import arm64, devices, gpu, host, process
from fr_bench.benchmark.by_op import Run, by_op
from fr_bench.report.measured import RELATIVE, RELATIVE_HALF, STEPS, stands_out
from fr_keras import tflite

MODELS = Path(__file__).parents[1] / "tflite_models"
ROWS = 4
UNET_SHAPE, UNET_ROWS = (32, 32, 3), 1
FORMS, MODES = ("dense", "factored"), ("float32", "float16", "int8")
COLUMNS = {
    "host xnnpack": "host, XNNPACK (the reference)",
    "host none": "host",
    "arm64 none": "ARM64",
    "arm64 xnnpack": "ARM64, XNNPACK",
    "gpu float32": "GPU, float32",
    "gpu float16": "GPU, float16",
}
Measure = Callable[[benchmark.Subject], benchmark.Result]


def on_host(delegate: str) -> tuple[Measure, Run]:
    """No times, for the host is busy with the rest."""

    def run(content, inputs):
        return process.work(content, inputs, delegate).outputs

    def measure(subject: benchmark.Subject) -> benchmark.Result:
        answer = process.work(subject.content, subject.inputs, delegate)
        return benchmark.Result(
            **subject.facts,
            target="host",
            device=host.device(),
            tool=host.tool(),
            delegate=delegate,
            threads=1,
            ops=benchmark.Ops(**answer.facts["ops"]) if "ops" in answer.facts else None,
            **subject.scores(answer.outputs),
        )

    return measure, run


def columns() -> dict[str, tuple[Measure, Run]]:
    """Column -> what measures a file, and what runs a flatbuffer there."""

    def on_arm64(delegate: str) -> tuple[Measure, Run]:
        return (
            lambda subject: arm64.measure(subject, delegate, threads=1),
            lambda *file: arm64.run(*file, delegate).outputs,
        )

    def on_gpu(precision: str) -> tuple[Measure, Run]:
        return (
            functools.partial(gpu.measure, precision=precision),
            lambda *file: gpu.run(*file, precision).outputs,
        )

    found = [
        *map(on_host, ("xnnpack", "none")),
        *map(on_arm64, arm64.DELEGATES),
        *map(on_gpu, gpu.PRECISIONS),
    ]
    return dict(zip(COLUMNS, found, strict=True))


def files(folder: Path) -> Iterator[tuple[str, benchmark.Subject]]:
    """The name of each file, and the file with its rows."""
    for path in sorted(MODELS.glob("*.tflite")):
        yield path.name, benchmark.subject(path, rows=ROWS)
    model = network(UNET_SHAPE)
    for form in FORMS:
        for mode in MODES:
            path = folder / f"unet_{form}_{mode}.tflite"
            calibration = images(4, 9, UNET_SHAPE)
            tflite.convert(model, path, quantize=mode, calibration=calibration, form=form)
            yield path.name, benchmark.subject(path, images(UNET_ROWS, 3, UNET_SHAPE))


def ops_of(subject: benchmark.Subject, run: Run) -> dict:
    """The largest difference of each kind of op, by itself and in the whole file."""
    try:
        found = by_op(subject, run)
    except process.WorkerError as error:
        return {"failed": str(error)}
    kinds = collections.defaultdict(lambda: {"alone": 0.0, "through": 0.0})
    for one in found:
        kind = kinds[f"{one.op} ({one.unit})"]
        kind["alone"] = max(kind["alone"], one.alone)
        kind["through"] = max(kind["through"], one.through)
    return dict(kinds)


def row(name: str, subject: benchmark.Subject) -> dict:
    found = {}
    for column, (measure, run) in columns().items():
        begin = time.perf_counter()
        result = measure(subject)
        kept = ("status", "message", "notes", "ops", "agreement")
        found[column] = {k: v for k, v in result.to_dict().items() if k in kept}
        if result.agreement:
            over = stands_out(result, next(iter(result.agreement.values())))
            found[column]["within"] = not over
            if over:
                found[column]["by_op"] = ops_of(subject, run)
        print(
            name,
            column,
            cell(found[column], column),
            f"{time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    return {"file": name, "bytes": subject.bytes, "targets": found}


def cell(found: dict, column: str) -> str:
    """Delegation and agreement; `*` where the difference is over the limit."""
    if found["status"] != "done":
        return found["status"]
    ops, agreement = found.get("ops"), next(iter(found["agreement"].values()))
    steps = agreement.get("steps")
    parts = [f"{ops['delegated']}/{ops['total']}"] if ops else []
    if column == "host xnnpack":  # the reference
        return parts[0]
    parts += [f"{agreement['relative']:.0e}" if steps is None else f"{steps:.0f} steps"]
    parts[-1] += "" if found["within"] else "*"
    if agreement.get("argmax", 1) < 1:
        parts.append(f"arg-max {agreement['argmax']:.1%}")
    return ", ".join(parts)


def table(rows: list[dict]) -> str:
    lines = [["file", *COLUMNS.values()], ["---"] * (1 + len(COLUMNS))]
    lines += [
        [f"`{one['file']}`", *(cell(one["targets"][column], column) for column in COLUMNS)]
        for one in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    result = {
        "benchmark": "targets",
        "environment": environment(),
        "devices": {
            "arm64": arm64.device(devices.find("arm64")),
            "gpu": gpu.device(gpu.adapter()),
        },
        "rows_compared": {"published": ROWS, "unet": UNET_ROWS},
        "unet_input": UNET_SHAPE,
        "limits": {"steps": STEPS, "relative": RELATIVE, "gpu_float16": RELATIVE_HALF},
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, subject in files(Path(folder)):
            result["rows"].append(row(name, subject))
            (arguments.out / "targets.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result["rows"]))


if __name__ == "__main__":
    main()
