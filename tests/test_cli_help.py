"""The help texts of the commands, as a newcomer reads them."""

import argparse

import click
import pytest
from click.testing import CliRunner

from fr_archive.__main__ import _parser
from fr_keras_cli import main

COMMANDS = [pytest.param(command, id=name) for name, command in main.commands.items()]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text(command):
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_texts_are_sentences(command):
    texts = [one.help for one in command.params if isinstance(one, click.Option)]
    for text in (command.help.strip(), *texts):
        assert text[0].isupper()
        assert text.partition(" [default: ")[0].endswith(".")


def test_the_list_of_commands_cuts_no_text_off():
    shown = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    lines = shown.partition("Commands:\n")[2].splitlines()
    assert len(lines) == len(main.commands)
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []


def test_every_argument_of_fr_archive_has_a_help_text():
    parsers = [_parser()]
    while parsers:
        for action in parsers.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            else:
                assert action.help
