"""The sub-command that shows results: report."""

import json
from pathlib import Path

import click

from fr_keras_cli._options import failure, force_option, json_option


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE.json...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="report.html",
    show_default=True,
    help="The HTML file to write.",
)
@force_option
@json_option
def report(files, out, force, as_json) -> None:
    """Make one HTML page from results of `fr-keras benchmark`.

    The result files may come from several machines, such as a computer and a phone. The page
    contains its plots and needs no network.
    """
    with failure():
        from fr_archive.files import check_target, write_bytes
        from fr_bench import report as library
        from fr_bench.benchmark.result import STATUSES, load

        check_target(out, overwrite=force)
        results = [one for file in files for one in load(file)]
        page = library.benchmark_page(results).encode(errors="replace")
        write_bytes(out, page, overwrite=force)
        count = {status: sum(one.status == status for one in results) for status in STATUSES}
        if as_json:
            click.echo(json.dumps({"file": str(out), "results": len(results), **count}))
        else:
            counted = ", ".join(f"{number} {status}" for status, number in count.items())
            click.echo(f"Report: {out}, {len(results)} results: {counted}")
