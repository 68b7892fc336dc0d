"""Shows on stderr what a long command does: bars on a terminal, and plain lines elsewhere."""

import contextlib
from collections.abc import Callable, Iterator

import click
from rich.console import Console
from rich.markup import escape, render
from rich.progress import Progress, TaskID


class _Lines(Progress):
    """Tells each change of a task in a line, for logs and pipes."""

    def __init__(self):
        super().__init__(disable=True)
        self._said = ""

    def update(self, task_id: TaskID, **changes) -> None:
        super().update(task_id, **changes)
        task = next(one for one in self.tasks if one.id == task_id)
        text = render(task.description).plain
        if task.total is not None and task.completed:
            text += f" ({task.completed:.0f} of {task.total:.0f})"
        if text != self._said:
            self._said = text
            click.echo(text, err=True)


def progress_bars() -> Progress:
    """Returns what shows tasks."""
    console = Console(stderr=True)
    return Progress(console=console) if console.is_terminal else _Lines()


@contextlib.contextmanager
def telling(name: str) -> Iterator[Callable[..., None]]:
    """Shows what a command with one task does.

    Yields:
        A function that takes what is being done, and optionally which share of it is done.
    """
    bars = progress_bars()
    if isinstance(bars, _Lines):
        bar = bars.add_task(name, total=None)
        yield lambda text, share=None: bars.update(bar, description=f"{name}: {escape(text)}")
        return
    with bars:
        bar = bars.add_task(name, total=None)

        def show(text: str, share: float | None = None) -> None:
            total = None if share is None else 1.0
            bars.update(bar, description=escape(text), completed=share or 0, total=total)

        yield show
