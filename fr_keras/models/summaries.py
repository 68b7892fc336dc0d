"""`summary`: the numbers that a model holds, per layer and in all."""

import collections
import dataclasses
import math
from collections.abc import Iterator

import keras
from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from fr_keras._keras_internals import nodes
from fr_keras._printing import Printed
from fr_keras.layers import TWINS, FactoredKernel, FrequencyKernel, FrequencyTwin, QuantizedKernel
from fr_keras.layers.forms import WHOLE, chooser
from fr_keras.models.walk import check_graph, named_layers

_BYTES_PER_NUMBER = 4
# Layers whose multiply-adds are not kernel weights times positions.
_NOT_PER_POSITION = (
    keras.layers.Embedding,
    keras.layers.EinsumDense,
    keras.layers.MultiHeadAttention,
)
# Layers whose kernel is applied once for each position of the input, not of the output.
_PER_INPUT = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer that holds weights.

    Attributes:
        name: Name of the layer, or the path to it where layers of nested models share a name.
        type: Name of its class.
        kernel_weights: Number of weights in its kernels; 0 if it has none that FR could hold.
        kept: Number of kept coefficients of an FR layer, in all its kernels; `None` for a plain
            layer.
        corner: Bounding box of the kept coefficients; `None` for a plain layer or a layer with
            several kernels.
        other: Count of all other numbers that must be stored: biases and statistics, and all
            weights of a plain layer.
        multiply_adds: Multiply-adds for one input row, in the dense form, over all uses of the
            layer; `None` for layers without a kernel, for embedding, einsum and attention layers,
            and if an axis of the input has no fixed length.
        converted: Whether the kernel is held in the DCT domain.
        form: The form that `bake(form="auto")` gives it: `"dense"`, or the stages of its chain,
            such as `"in+core+out"`; `None` for a layer that cannot be factored.
        form_weights: Number of kernel weights in that form.
        form_multiply_adds: Multiply-adds in that form, counted like `multiply_adds`.
    """

    name: str
    type: str
    kernel_weights: int
    kept: int | None
    corner: tuple[int, ...] | None
    other: int
    multiply_adds: int | None
    converted: bool
    form: str | None = None
    form_weights: int | None = None
    form_multiply_adds: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes of the stored numbers in float32."""
        return ((self.kept or 0) + self.other) * _BYTES_PER_NUMBER


@dataclasses.dataclass(frozen=True)
class Summary(Printed):
    """The rows of a model and their sums; printing it draws the table."""

    model: str
    rows: tuple[LayerRow, ...]

    def total(self, field: str) -> int:
        """Returns the sum of one field over the layers, where `None` counts as 0."""
        return sum(getattr(row, field) or 0 for row in self.rows)

    @property
    def kept(self) -> int:
        """Number of kept coefficients, counted as in the paper: only kernels of FR layers."""
        return self.total("kept")

    @property
    def passed_through(self) -> tuple[str, ...]:
        """Names of the layers whose weights are not held in the DCT domain."""
        return tuple(row.name for row in self.rows if not row.converted)

    def _in_form(self, field: str, otherwise: str) -> int:
        """Sum over the layers; one that cannot be factored counts as it is."""
        return sum(getattr(row, otherwise if row.form is None else field) or 0 for row in self.rows)

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
            "stored": self.kept + self.total("other"),
            "other": self.total("other"),
            "multiply_adds": self.total("multiply_adds"),
            "bytes": self.total("bytes"),
            "form_weights": self._in_form("form_weights", "kernel_weights"),
            "form_multiply_adds": self._in_form("form_multiply_adds", "multiply_adds"),
            "passed_through": list(self.passed_through),
        }

    def __rich__(self) -> Group:
        tables = [self._numbers()]
        if any(row.form for row in self.rows):
            tables.append(self._forms())
        return Group(*tables)

    def _numbers(self) -> Table:
        sums = self.to_dict()
        columns = [
            ("layer", "in all"),
            ("type", ""),
            ("kernel weights", f"{sums['kernel_weights']:,}"),
            ("kept", f"{self.kept:,}"),
            ("corner", ""),
            ("other numbers", f"{sums['other']:,}"),
            ("multiply-adds", f"{sums['multiply_adds']:,}"),
            ("bytes", f"{sums['bytes']:,}"),
        ]
        table = _table(escape(self.model), columns, ("layer", "type", "corner"))
        for row in self.rows:
            table.add_row(
                escape(row.name),
                row.type,
                f"{row.kernel_weights:,}",
                _shown(row.kept),
                "x".join(map(str, row.corner or ())) if row.converted else "plain",
                f"{row.other:,}",
                _shown(row.multiply_adds),
                f"{row.bytes:,}",
            )
        return table

    def _forms(self) -> Table:
        sums = self.to_dict()
        columns = [
            ("layer", "in all, with the others"),
            ("form", ""),
            ("weights", f"{sums['form_weights']:,}"),
            ("multiply-adds", f"{sums['form_multiply_adds']:,}"),
        ]
        table = _table("baked with form='auto'", columns, ("layer", "form"))
        for row in self.rows:
            if row.form:
                numbers = _shown(row.form_weights), _shown(row.form_multiply_adds)
                table.add_row(escape(row.name), row.form, *numbers)
        return table


def _table(title: str, columns: list[tuple[str, str]], left: tuple[str, ...]) -> Table:
    """An empty table with its columns and their footers."""
    # Without edges and padding eight columns fit a plain terminal.
    table = Table(title=title, show_footer=True, box=box.SIMPLE, padding=0, show_edge=False)
    for name, footer in columns:
        table.add_column(name, footer, justify="left" if name in left else "right")
    return table


def _shown(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def summary(model: keras.Model) -> Summary:
    """Counts the numbers that each layer of `model` holds; `print` the result for a table.

    Args:
        model: A built functional or sequential model, with or without FR layers.

    Returns:
        A `Summary`; its `.to_dict()` is for machines. Bytes are those of the stored numbers in
        float32, without any file format or compression.

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
    used = collections.defaultdict(list)
    for layer, before, after in uses(model):
        used[id(layer)].append(before if isinstance(layer, _PER_INPUT) else after)
    rows = [
        _row(name, layer, used[id(layer)])
        for name, layer in named_layers(model).items()
        if layer.weights
    ]
    return Summary(model.name, tuple(rows))


def _row(name: str, layer: keras.layers.Layer, positions: list[int | None]) -> LayerRow:
    converted = isinstance(layer, FrequencyTwin)
    parts = layer.parts() if converted else []
    plain = layer.plain_type if isinstance(layer, QuantizedKernel) else type(layer)
    numbers = sum(math.prod(weight.shape) for weight in layer.weights)
    kernel = 0
    if converted:
        kernel = sum(math.prod(part.spectrum_shape) for part in parts)
        numbers -= sum(math.prod(one.shape) for part in parts for one in FrequencyKernel.held(part))
    elif plain in TWINS:
        kernels = TWINS[plain].plain_kernels(layer)
        kernel = sum(math.prod(weight.shape) for weight in kernels)
    multiplies = kernel and not isinstance(layer, _NOT_PER_POSITION)
    known = sum(positions) if multiplies and positions and None not in positions else None
    return LayerRow(
        name=name,
        type=type(layer).__name__,
        kernel_weights=kernel,
        kept=sum(part.kept for part in parts) if converted else None,
        corner=parts[0].corner if len(parts) == 1 else None,
        other=numbers,
        multiply_adds=known and kernel * known,
        converted=converted,
        **(_form(layer, known) if isinstance(layer, FactoredKernel) else {}),
    )


def _form(layer: FactoredKernel, positions: int | None) -> dict:
    chain = chooser("auto")(layer)
    return {
        "form": "dense" if chain.roles == WHOLE else "+".join(chain.roles),
        "form_weights": chain.weights,
        "form_multiply_adds": positions and positions * chain.multiply_adds,
    }


def uses(
    model: keras.Model, steps: tuple[int | None, ...] = ()
) -> Iterator[tuple[keras.layers.Layer, int | None, int | None]]:
    """Yields each use of a layer in the graph, with the positions of its first input and output.

    They are the lengths of all axes but the batch and the channels, multiplied; `None` if one has
    no fixed length.

    Args:
        model: The model.
        steps: How often it is applied itself, along each axis of a `TimeDistributed` around it.
    """
    for node in nodes(model):
        layer, axes = node.operation, steps
        shapes = [tensor.shape for tensor in (*node.input_tensors[:1], *node.outputs[:1])]
        while isinstance(layer, keras.layers.TimeDistributed):
            layer, axes = layer.layer, (*axes, shapes[0][1])
            shapes = [shape[:1] + shape[2:] for shape in shapes]
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            yield from uses(layer, axes)
        elif len(shapes) == 2:
            before, after = (_positions(layer, shape, axes) for shape in shapes)
            yield layer, before, after


def _positions(
    layer: keras.layers.Layer, shape: tuple[int | None, ...], steps: tuple[int | None, ...]
) -> int | None:
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    axes = *steps, *(shape[2:] if channels_first else shape[1:-1])
    return None if None in axes else math.prod(axes)
