"""The command `fr-keras`: one thin function for each sub-command.

This package imports fr_keras, and TensorFlow with it, only inside the sub-commands, so that
`--help` answers at once.

Exit codes: 0 done, 1 failed, 2 wrong usage. With `--debug` an error shows its traceback.
"""

import faulthandler
import logging
import os
import sys
import warnings

import click

from fr_keras_cli._archives import pack
from fr_keras_cli._benchmarks import benchmark
from fr_keras_cli._compress import compress
from fr_keras_cli._doctor import doctor
from fr_keras_cli._errors import debug_option
from fr_keras_cli._files import convert, inspect, sensitivity
from fr_keras_cli._grid import grid
from fr_keras_cli._networks import compare, demo
from fr_keras_cli._reports import report
from fr_keras_cli._serve import serve
from fr_keras_cli._train import train
from fr_keras_cli._unpacking import unpack


def run() -> None:
    """The entry point: `main` without the log lines of native libraries on stderr."""
    shown = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = shown
    # A crash in native code still shows where it happened.
    faulthandler.enable(shown)
    main()


@click.group()
@click.version_option(package_name="fr-keras", prog_name="fr-keras")
@debug_option
def main() -> None:
    """Make Keras networks small with frequency regularization, and ship them as TFLite files.

    `fr-keras COMMAND --help` explains a command and its options. The exit codes are 0 for done, 1
    for failed, and 2 for wrong usage.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.showwarning = _show_warning


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    click.secho(f"Warning: {message}", fg="yellow", bold=True, err=True)


for _command in (
    demo,
    train,
    compress,
    compare,
    grid,
    convert,
    sensitivity,
    pack,
    unpack,
    inspect,
    benchmark,
    report,
    serve,
    doctor,
):
    main.add_command(debug_option(_command))
