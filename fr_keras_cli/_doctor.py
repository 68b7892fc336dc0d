"""The sub-command that examines this machine: doctor."""

import dataclasses
import json

import click

from fr_keras_cli._options import failure, json_option


@click.command()
@click.option("--adb", default="adb", show_default=True, help="Name or path of the adb program.")
@json_option
def doctor(adb, as_json) -> None:
    """Show which targets of `benchmark` work on this machine.

    For the other targets it shows what is missing and how to get it.
    """
    with failure():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        from fr_bench.benchmark.doctor import examine

        found = examine(adb)
        if as_json:
            click.echo(json.dumps([dataclasses.asdict(one) for one in found]))
            return
        table = Table("target", "ready", "")
        for one in found:
            table.add_row(one.target, "yes" if one.ready else "no", escape(one.text))
        Console().print(table)
