"""Errors as a person sees them: a refusal is one line, and a bug of ours is called a bug."""

import contextlib
import dis
import traceback
from collections.abc import Iterator

import click

_DEBUG = "fr_keras.debug"
_OURS = ("fr_archive", "fr_keras", "fr_bench", "fr_keras_cli")


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.meta[_DEBUG] = True  # a command shares `meta` with `fr-keras` itself


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show the traceback of an error.",
)


@contextlib.contextmanager
def failure() -> Iterator[None]:
    """Turns errors into messages on stderr and an exit code; with `--debug`, the traceback too."""
    try:
        yield
    except click.ClickException:
        raise
    except Exception as error:
        if click.get_current_context().meta.get(_DEBUG):
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        if isinstance(error, (FileExistsError, FileNotFoundError, IsADirectoryError)):
            raise click.UsageError(str(error)) from error
        raise click.ClickException(str(error) if is_refusal(error) else _bug(error)) from error


def is_refusal(error: Exception) -> bool:
    """Whether an error is one that the library documents.

    Such errors come from the system, about files and networks, or from a `raise` of ours. A
    ValueError from another library, or from an expression of ours that went wrong, was not
    foreseen.
    """
    if isinstance(error, OSError):
        return True
    documented = isinstance(error, (ValueError, RuntimeError, ImportError))
    if not documented or isinstance(error, RecursionError):
        return False
    step = error.__traceback__
    while step.tb_next is not None:
        step = step.tb_next
    frame = step.tb_frame
    ours = frame.f_globals.get("__name__", "").partition(".")[0] in _OURS
    return ours and dis.opname[frame.f_code.co_code[step.tb_lasti]] == "RAISE_VARARGS"


def _bug(error: Exception) -> str:
    return (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a bug: your input should have worked, or been refused with a reason. Please run "
        "the command again with --debug and report the bug with what that shows."
    )
