"""Makes the page of the command line from what click knows about it."""

import inspect
import re

import click

_BEGIN = """# The command line

Every command of `fr-keras`, with its options. The [guide](guide.md#the-command-line) shows the
commands at work.
"""


def page(main: click.Group) -> str:
    """Returns the page, in Markdown."""
    with click.Context(main, info_name="fr-keras") as context:
        parts = [_BEGIN, _section(context, "fr-keras")]
        for name in main.list_commands(context):
            with click.Context(main.commands[name], context, name) as inner:
                parts.append(_section(inner, f"fr-keras {name}"))
    return "\n".join(parts)


def _section(context: click.Context, title: str) -> str:
    command = context.command
    usage = command.get_usage(context).removeprefix("Usage: ")
    records = [one.get_help_record(context) for one in command.get_params(context)]
    # An argument is in the usage and has no text of its own.
    told = [record for record in records if record and record[1]]
    options = [f"- `{names}`: {' '.join(_plain(help).split())}" for names, help in told]
    text = _plain(inspect.cleandoc(command.help or ""))
    return f"## {title}\n\n{text}\n\n```text\n{usage}\n```\n\n" + "\n".join(options) + "\n"


def _plain(text: str) -> str:
    """Text as it is, where Markdown would take it for HTML, emphasis or a link."""
    return re.sub(r"[*\[]", r"\\\g<0>", text.replace("\b", "").replace("<", "&lt;"))
