"""How the terminal shows what `benchmark` measured."""

import click


def print_tables(results: list) -> None:
    """Prints one table for each file, and the messages and notes of its results."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    for file in dict.fromkeys(one.file for one in results):
        rows = [one for one in results if one.file == file]
        title = f"{escape(file)}, {_sizes(rows[0])}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE)
        table.add_column("target, delegate")
        for name in ("threads", "median us", "p95 us", "peak kB", "ops", "differs", "arg-max"):
            table.add_column(name, justify="right")
        for one in rows:
            cells = _cells(one) if one.status == "done" else (one.status,)
            table.add_row(place_of(one), str(one.threads or ""), *cells)
        Console().print(table)
        for text, places in _scores(rows).items():
            click.echo(f"{text} ({'; '.join(places)})")
        for one in rows:
            for text in (one.message, *one.notes):
                if text:
                    click.echo(f"{place_of(one)}: {text}")


def _sizes(result) -> str:
    """A file's bytes where it runs, and in a download."""
    if result.device_bytes is None:
        return f"{result.bytes:,} bytes"
    return (
        f"{result.device_bytes:,} bytes on the device, {result.download_bytes:,} bytes to download"
    )


def _scores(results: list) -> dict[str, list[str]]:
    """Scores with their intervals and numbers of rows, and where each was measured."""
    found: dict[str, list[str]] = {}
    for one in results:
        if one.metric is not None:
            name, value, rows = one.metric.name, one.metric.value, one.metric.rows
            low, high = one.metric.interval
            text = f"{name} {value:.2%}, 95 % interval {low:.2%} to {high:.2%}, n = {rows:,} rows"
            places = found.setdefault(text, [])
            places += [place for place in [place_of(one)] if place not in places]
    return found


def place_of(result) -> str:
    """Where and how it ran; the GPU target has one delegate and two precisions."""
    delegate = None if result.delegate == result.target else result.delegate
    return ", ".join(filter(None, (result.target, delegate, result.precision)))


def _cells(result) -> tuple[str, ...]:
    """The cells of a row; a cell is empty where nothing was measured."""
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
