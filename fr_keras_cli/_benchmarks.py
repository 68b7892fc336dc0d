"""The sub-command that measures files: benchmark."""

import contextlib
import json
from pathlib import Path

import click

from fr_keras_cli._options import (
    Source,
    failure,
    force_option,
    image_size_option,
    json_option,
    load,
    positive,
    progress_bars,
)

_TARGETS = ("host", "arm64", "gpu", "android")
_DELEGATES = ("none", "xnnpack", "gpu", "nnapi", "npu")


@click.command()
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--on",
    "targets",
    type=click.Choice(_TARGETS),
    multiple=True,
    default=["host"],
    show_default=True,
    help="Where to run them. May be given again.",
)
@click.option(
    "--data",
    type=Source(),
    metavar="NAME|FILE.npz|FOLDER",
    help="Test rows to run, with their classes: a data set as for `train`. [default: random rows]",
)
@image_size_option
@click.option(
    "--rows", type=positive, default=16, show_default=True, help="Rows to compare; not for --app."
)
@click.option(
    "--delegate",
    "delegates",
    type=click.Choice(_DELEGATES),
    multiple=True,
    help="May be given again. [default: all of the target]",
)
@click.option(
    "--threads",
    type=positive,
    multiple=True,
    help="CPU threads. May be given again. [default: 1, on the host also one for each core]",
)
@click.option("--runs", type=positive, default=50, show_default=True, help="Timed inferences.")
@click.option(
    "--warmup", type=click.IntRange(min=0), default=5, show_default=True, help="Untimed ones."
)
@click.option(
    "--tool",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE|FOLDER",
    help="For android: its `benchmark_model`, or a folder of them; `fr-keras doctor` says where "
    "they are.",
)
@click.option(
    "--app",
    is_flag=True,
    help="For android, instead of --tool: the app of `android_demo`, which has to be installed. "
    "FILES are some of those that it bundles; none: all of them, with rows of their own.",
)
@click.option("--adb", default="adb", show_default=True, help="For android: the adb program.")
@click.option("--serial", help="For android: which device, where there are several.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="benchmark.json",
    show_default=True,
    help="The result file; it is written anew after each result.",
)
@force_option
@json_option
def benchmark(files, targets, data, image_size, rows, out, force, as_json, **options) -> None:
    """Run .tflite FILES, or .fr archives with a skeleton, and say how fast and how exact they are.

    Outputs are compared with those of LiteRT's default on this machine's CPU, XNNPACK: the largest
    difference, in steps of an integer output or relative to the range of a float one. The ops are
    those that the delegate took. Exit code 1: a run failed.
    """
    with failure():
        from rich.markup import escape

        from fr_archive.files import check_target
        from fr_bench import benchmark as library
        from fr_bench.benchmark import run

        check_target(out, overwrite=force)
        _check_usage(files, targets, data, options["tool"], options["app"])
        delegates, threads = (options[name] or None for name in ("delegates", "threads"))
        settings = run.Settings(delegates, threads, options["runs"], options["warmup"])
        phone = run.Phone(options["tool"], options["app"], options["adb"], options["serial"])
        for target in targets:
            run.check(target, settings, phone)
        x, y = _test_rows(data, image_size, rows)
        subjects = library.subjects(files, x, y, rows)
        results = []
        measured = _measured(targets, subjects, settings, phone)
        # Closed, so that a phone is left clean, also on Ctrl-C.
        with progress_bars() as progress, contextlib.closing(measured):
            task = progress.add_task("benchmark", total=None)
            for one in measured:
                results.append(one)
                library.save(results, out, overwrite=force or len(results) > 1)
                text = f"{one.file} on {_place(one)}, {one.threads} threads"
                progress.update(task, description=escape(f"{text}: {one.status}"))
        if as_json:
            click.echo(json.dumps(library.document(results)))
        else:
            _print_tables(results)
            click.echo(f"Results: {out}. A page of them: fr-keras report {out}")
    if any(one.status == "failed" for one in results):
        raise SystemExit(1)


def _check_usage(files, targets, data, tool, app: bool) -> None:
    """The target android needs a tool or the app, and only the app needs no files."""
    from fr_bench.benchmark import android

    if app and (tool is not None or "android" not in targets):
        raise click.UsageError(
            "--app needs --on android, and no --tool: the app measures instead of benchmark_model. "
            f"Received: --on {' --on '.join(targets)}{'' if tool is None else f' --tool {tool}'}"
        )
    if "android" in targets and not app and tool is None:
        raise click.UsageError(f"--on android needs --tool or --app. {android.INSTRUCTIONS}")
    by_app_alone = app and targets == ("android",)
    if by_app_alone and data is not None:
        raise click.UsageError(
            f"--data must not be given with --app: the app has rows of its own. Received: {data}"
        )
    if not files and not by_app_alone:
        raise click.UsageError("Missing argument 'FILES...'.")


def _measured(targets, subjects, settings, phone):
    """The results of all targets."""
    from fr_bench.benchmark import run

    for target in targets:
        with contextlib.closing(run.on(target, subjects, settings, phone)) as results:
            yield from results


def _test_rows(data: str | None, image_size, rows: int) -> tuple:
    if data is None:
        return None, None
    test = load(data, image_size).test
    return test.x[:rows], test.y[:rows]


def _print_tables(results: list) -> None:
    """One table a file, and what there is to say about its results."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    for file in dict.fromkeys(one.file for one in results):
        rows = [one for one in results if one.file == file]
        title = f"{escape(file)}, {rows[0].bytes:,} bytes"
        table = Table(title=title, title_justify="left", box=box.SIMPLE)
        table.add_column("target, delegate")
        for name in ("threads", "median us", "p95 us", "peak kB", "ops", "differs", "arg-max"):
            table.add_column(name, justify="right")
        for one in rows:
            cells = _cells(one) if one.status == "done" else (one.status,)
            table.add_row(_place(one), str(one.threads or ""), *cells)
        Console().print(table)
        for one in rows:
            for text in (one.message, *one.notes):
                if text:
                    click.echo(f"{_place(one)}: {text}")


def _place(result) -> str:
    """Where and how it ran; the GPU target has one delegate, and two precisions."""
    delegate = None if result.delegate == result.target else result.delegate
    return ", ".join(filter(None, (result.target, delegate, result.precision)))


def _cells(result) -> tuple[str, ...]:
    """What a row shows; what was not measured is empty."""
    times, ops, agreement = result.times, result.ops, result.agreement
    median, p95 = (times.median_us, times.p95_us) if times else (None, None)
    worst = agreement and max(agreement.values(), key=lambda one: one.relative)
    steps = f"{worst.steps:g} step(s)" if worst and worst.steps is not None else None
    argmax = worst and worst.argmax
    return (
        "" if median is None else f"{median:,.0f}",
        "" if p95 is None else f"{p95:,.0f}",
        "" if result.peak_memory_bytes is None else f"{result.peak_memory_bytes / 1000:,.0f}",
        "" if ops is None else f"{ops.delegated}/{ops.total}",
        steps or (f"{worst.relative:.1e}" if worst else ""),
        "" if argmax is None else f"{100 * argmax:.3g} %",
    )
