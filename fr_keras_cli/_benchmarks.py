"""The sub-command that measures files: benchmark."""

import contextlib
import json
from pathlib import Path

import click

from fr_keras_cli._benchmark_tables import place_of, print_tables
from fr_keras_cli._loading import load_as
from fr_keras_cli._options import (
    Source,
    adb_option,
    failure,
    force_option,
    image_size_option,
    json_option,
    metric_option,
    positive,
    scale_option,
    serial_option,
    targets_option,
    tool_option,
)

# Rows without --data, and the most numbers that the rows of --data may have.
_RANDOM_ROWS, _NUMBERS = 16, 1 << 26
_DELEGATES = ("none", "xnnpack", "gpu", "nnapi", "npu")


@click.command()
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@targets_option
@click.option(
    "--data",
    type=Source(),
    metavar="NAME|FILE.npz|FOLDER",
    help="Data set whose test rows are run and scored, as for `train --data`. "
    "[default: random rows, without accuracy]",
)
@image_size_option
@scale_option
@metric_option
@click.option(
    "--rows",
    type=positive,
    help="Number of rows to compare, evenly spaced; --app compares its own. [default: all test "
    "rows of --data on the host, and at most 64 on other targets; 16 random rows without --data]",
)
@click.option(
    "--delegate",
    "delegates",
    type=click.Choice(_DELEGATES),
    multiple=True,
    help="What computes: plain CPU kernels (none), XNNPACK, the GPU, NNAPI or the NPU. May be "
    "given more than once. [default: all that the target has]",
)
@click.option(
    "--threads",
    type=positive,
    multiple=True,
    help="Number of CPU threads. May be given more than once. "
    "[default: 1, and on the host also one per core]",
)
@click.option(
    "--runs", type=positive, default=50, show_default=True, help="Number of timed inferences."
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Number of untimed inferences before them.",
)
@tool_option
@click.option(
    "--app",
    is_flag=True,
    help="For android, instead of --tool: measure with the app of `android_demo`, which must be "
    "installed. It runs the files that it bundles, on its own rows: those named as FILES, or all.",
)
@adb_option
@serial_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="benchmark.json",
    show_default=True,
    help="Result file (JSON), rewritten after each result.",
)
@force_option
@json_option
def benchmark(
    files, targets, data, image_size, scale, metric, rows, out, force, as_json, **options
) -> None:
    """Measure how fast and how exact .tflite FILES are.

    FILES may also be .fr archives with a skeleton. The outputs are compared with those of LiteRT's
    default on this machine's CPU, XNNPACK: `differs` is the largest difference, in steps of an
    integer output or relative to the range of a float output. `ops` counts the ops that the
    delegate took. The exit code is 1 if a run failed.
    """
    with failure():
        from rich.markup import escape

        from fr_archive.files import check_target
        from fr_bench import benchmark as library
        from fr_bench.benchmark import run
        from fr_keras_cli._progress import progress_bars

        check_target(out, overwrite=force)
        _check_usage(files, targets, data, options["tool"], options["app"])
        if data is None and (scale or metric):
            raise click.UsageError("--scale and --metric are about --data: give it, too")
        delegates, threads = (options[name] or None for name in ("delegates", "threads"))
        settings = run.Settings(
            delegates,
            threads,
            options["runs"],
            options["warmup"],
            slow_rows=None if rows else run.SLOW_ROWS,
        )
        phone = run.Phone(options["tool"], options["app"], options["adb"], options["serial"])
        for target in targets:
            run.check(target, settings, phone)
        subjects = _subjects(files, data, image_size, rows, scale=scale, metric=metric)
        results = []
        measured = _measured(targets, subjects, settings, phone)
        # Closing cleans up the phone, even after Ctrl-C.
        with progress_bars() as progress, contextlib.closing(measured):
            task = progress.add_task("benchmark", total=None)
            for one in measured:
                results.append(one)
                library.save(results, out, overwrite=force or len(results) > 1)
                text = f"{one.file} on {place_of(one)}, {one.threads} threads"
                progress.update(task, description=escape(f"{text}: {one.status}"))
        if as_json:
            click.echo(json.dumps(library.document(results)))
        else:
            print_tables(results)
            click.echo(f"Results: {out}. To see them as a page: fr-keras report {out}")
    if any(one.status == "failed" for one in results):
        raise SystemExit(1)


def _check_usage(files, targets, data, tool, app: bool) -> None:
    """The target android needs a tool or the app, and only the app needs no files."""
    from fr_bench.benchmark import android

    if app and (tool is not None or "android" not in targets):
        raise click.UsageError(
            "--app must be given with --on android and without --tool, because the app replaces "
            "benchmark_model. "
            f"Received: --on {' --on '.join(targets)}{'' if tool is None else f' --tool {tool}'}"
        )
    if "android" in targets and not app and tool is None:
        raise click.UsageError(f"--on android needs --tool or --app. {android.INSTRUCTIONS}")
    by_app_alone = app and targets == ("android",)
    if by_app_alone and data is not None:
        raise click.UsageError(
            f"--data must not be given with --app, which has its own rows. Received: {data}"
        )
    if not files and not by_app_alone:
        raise click.UsageError("Missing argument 'FILES...'.")


def _measured(targets, subjects, settings, phone):
    """The results of all targets."""
    from fr_bench.benchmark import run

    for target in targets:
        with contextlib.closing(run.on(target, subjects, settings, phone)) as results:
            yield from results


def _subjects(files, data: str | None, image_size, rows: int | None, **options) -> list:
    """The files with random rows, or with test rows of a data set."""
    from fr_bench import benchmark as library

    if data is None:
        return library.subjects(files, lambda one: library.subject(one, rows=rows or _RANDOM_ROWS))
    # Pictures get the size and colours that the first .tflite file takes.
    dataset = load_as(_taken(files), data, image_size)
    return library.subjects(files, library.Labelled(dataset, _rows(dataset.test, rows), **options))


def _rows(test, rows: int | None):
    """The numbers of test rows: as many as asked for, or else all that memory should hold."""
    from fr_bench.data import spaced

    most = rows or max(1, _NUMBERS // test.row_numbers)
    if rows is None and most < len(test):
        click.echo(
            f"{most:,} of the {len(test):,} test rows are compared, evenly spaced: more would take "
            "more than 256 MiB of memory. With --rows you choose the number.",
            err=True,
        )
    return spaced(len(test), most)


def _taken(files) -> list[tuple]:
    """The shapes of the inputs of the first .tflite file; `None` is an open height or width."""
    from fr_keras import tflite

    first = next((one for one in files if one.suffix == ".tflite"), None)
    try:
        shapes = [] if first is None else [one.shape[1:] for one in tflite.inspect(first).inputs]
    except ValueError:  # a damaged file, which the measurement refuses
        return []
    # In a .tflite file an open length has the number 1.
    return [(*(n if n > 1 else None for n in one[:-1]), *one[-1:]) for one in shapes]
