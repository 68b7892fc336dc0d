"""`summary`: what a model holds, per layer and in all."""

import dataclasses
import math

import keras
from rich.console import Console
from rich.table import Table

from fr_keras.layers import TWINS, FrequencyKernel
from fr_keras.rebuild import all_layers, check_graph

_BYTES_PER_NUMBER = 4


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer that holds weights.

    Attributes:
        name: Name of the layer.
        type: Its class.
        kernel_weights: Size of its kernel; 0 where it has none that FR could hold.
        kept: Numbers of the kernel that must be stored: the kept coefficients of an FR layer,
            every weight of a plain one.
        corner: Bounding box of the kept coefficients; `None` on a plain layer.
        other: Every other number that must be stored, such as biases and batch normalization.
        multiply_adds: For one input row, in the dense form; `None` where the layer does not
            multiply by a kernel or an axis of its input has no fixed length.
        converted: Whether the kernel lives in the DCT domain.
    """

    name: str
    type: str
    kernel_weights: int
    kept: int
    corner: tuple[int, ...] | None
    other: int
    multiply_adds: int | None
    converted: bool

    @property
    def bytes(self) -> int:
        """Bytes of the stored numbers in float32."""
        return (self.kept + self.other) * _BYTES_PER_NUMBER


@dataclasses.dataclass(frozen=True)
class Summary:
    """The rows of a model and their sums; printing it draws the table."""

    model: str
    rows: tuple[LayerRow, ...]

    def total(self, field: str) -> int:
        """Sum of one field over the layers; rows that do not tell count as 0."""
        return sum(getattr(row, field) or 0 for row in self.rows)

    @property
    def kept(self) -> int:
        """Kept coefficients as the paper counts: kernels of FR layers only."""
        return sum(row.kept for row in self.rows if row.converted)

    @property
    def passed_through(self) -> tuple[str, ...]:
        """Names of the layers with weights that are not held in the DCT domain."""
        return tuple(row.name for row in self.rows if not row.converted)

    def to_dict(self) -> dict:
        """Returns the rows and sums as plain types, ready for JSON."""
        rows = [
            {
                **dataclasses.asdict(row),
                "corner": None if row.corner is None else list(row.corner),
                "bytes": row.bytes,
            }
            for row in self.rows
        ]
        return {
            "model": self.model,
            "layers": rows,
            "kernel_weights": self.total("kernel_weights"),
            "kept": self.kept,
            "stored": self.total("kept") + self.total("other"),
            "other": self.total("other"),
            "multiply_adds": self.total("multiply_adds"),
            "bytes": self.total("bytes"),
            "passed_through": list(self.passed_through),
        }

    def __rich__(self) -> Table:
        table = Table(title=self.model, show_footer=True)
        sums = self.to_dict()
        columns = [
            ("layer", "in all"),
            ("type", ""),
            ("kernel weights", f"{sums['kernel_weights']:,}"),
            ("kept", f"{self.total('kept'):,}"),
            ("corner", ""),
            ("other numbers", f"{sums['other']:,}"),
            ("multiply-adds", f"{sums['multiply_adds']:,}"),
            ("bytes", f"{sums['bytes']:,}"),
        ]
        for name, footer in columns:
            left = name in ("layer", "type", "corner")
            table.add_column(name, footer, justify="left" if left else "right")
        for row in self.rows:
            table.add_row(
                row.name,
                row.type,
                f"{row.kernel_weights:,}",
                f"{row.kept:,}",
                "x".join(map(str, row.corner)) if row.corner else "plain",
                f"{row.other:,}",
                "-" if row.multiply_adds is None else f"{row.multiply_adds:,}",
                f"{row.bytes:,}",
            )
        return table

    def __str__(self) -> str:
        console = Console(width=120, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()


def summary(model: keras.Model) -> Summary:
    """Returns what each layer of `model` holds; `print` it for a table.

    Args:
        model: A built functional or sequential model, with FR layers or without.

    Returns:
        A `Summary`; `.to_dict()` for machines. Bytes are float32 numbers that must be stored,
        without any file format or compression.

    Raises:
        ValueError: If `model` is unbuilt or subclassed.

    Example:

    >>> from fr_keras import regularize
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> twin = regularize(model)
    >>> twin.layers[0].truncate(5)
    >>> summary(twin).kept, summary(twin).to_dict()["stored"]
    (5, 9)
    """
    check_graph(model)
    return Summary(model.name, tuple(_row(layer) for layer in all_layers(model) if layer.weights))


def _row(layer: keras.layers.Layer) -> LayerRow:
    converted = isinstance(layer, FrequencyKernel)
    numbers = sum(math.prod(weight.shape) for weight in layer.weights)
    kernel = 0
    if converted:
        kernel = math.prod(layer.coefficients.shape)
        numbers -= len(layer.truncation)
    elif type(layer) in TWINS:
        kernel = math.prod(layer.kernel.shape)
    return LayerRow(
        name=layer.name,
        type=type(layer).__name__,
        kernel_weights=kernel,
        kept=layer.kept if converted else kernel,
        corner=layer.corner if converted else None,
        other=numbers - kernel,
        multiply_adds=_multiply_adds(layer, kernel) if kernel else None,
        converted=converted,
    )


def _multiply_adds(layer: keras.layers.Layer, kernel_weights: int) -> int | None:
    """Kernel weights times the positions they are applied at."""
    if len(layer._inbound_nodes) != 1:  # used in several places: no single shape
        return None
    tensor = layer.input if "Transpose" in type(layer).__name__ else layer.output
    first = 2 if getattr(layer, "data_format", None) == "channels_first" else 1
    last = None if first == 2 else -1
    positions = tensor.shape[first:last]
    return None if None in positions else kernel_weights * math.prod(positions)
