"""Results that are printed as tables."""

from rich.console import Console


class Printed:
    """A result with a `__rich__`: `print` and `str` show it as text, 120 columns wide."""

    def __str__(self) -> str:
        console = Console(width=120, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()
