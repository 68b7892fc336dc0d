"""Errors as a person sees them: a refusal is one line, and a bug of ours is called one."""

import contextlib
import dis
import traceback
from collections.abc import Iterator

import click

_DEBUG = "fr_keras.debug"
_OURS = ("fr_archive", "fr_keras", "fr_bench", "fr_keras_cli")


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.meta[_DEBUG] = True  # which a command shares with `fr-keras` itself


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show where in the program an error comes from.",
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

    These are what the system says of files and networks, and what a `raise` of ours says. A
    ValueError that comes out of another library, or of an expression of ours that went wrong, was
    not foreseen.
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
        "This is a bug: what was given should have worked, or been refused with a reason. Run the "
        "command again with --debug to see where it is, and report it with what that shows."
    )
