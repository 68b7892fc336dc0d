"""What an archive holds and how many bytes each part takes."""

import dataclasses

import keras
from rich import box
from rich.markup import escape
from rich.table import Table

import fr_archive
from fr_archive import Codebook, Signs
from fr_keras._printing import Printed
from fr_keras.layers import FrequencyTwin
from fr_keras.models.vectors import Weight
from fr_keras.models.walk import named_layers
from fr_keras.tflite import Agreement


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer that holds numbers.

    Attributes:
        name: Name of the layer, as in `walk.named_layers`.
        type: Name of its class.
        kept: Number of its kept coefficients.
        kernel_numbers: How many numbers its kernels in space have.
        steps: Quantization step of each of its coefficient tensors, then of each kernel in space
            that is whole numbers of a step.
        levels: How many levels each of its kernels in space has that is a codebook.
        seeds: The seed of each of its kernels in space that is signs of a seed.
        vector_numbers: How many numbers stand for its other weights.
        bytes: Size of all these numbers. It has fractions, because layers share one coded stream.
        residuals: Root mean square error of each weight that is not stored as coefficients,
            relative to the scale that `error` or `kernel_error` of `save_archive` is relative to;
            empty for a file that was read.
    """

    name: str
    type: str
    kept: int
    kernel_numbers: int
    steps: tuple[float, ...]
    levels: tuple[int, ...]
    seeds: tuple[int, ...]
    vector_numbers: int
    bytes: float
    residuals: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Packing(Printed):
    """What an archive holds; printing it draws a table.

    Attributes:
        network: The name of a network of the zoo, or of the model.
        by_reference: Whether the file names the network instead of describing it.
        bytes: Size of the whole file.
        sections: Size of each section in bytes, by name, including the header of the file.
        layers: One row for each layer that holds numbers.
        left_out: Names of layers that do nothing at inference and so are not in the file.
        agreements: For each output, by name, how far the loaded model is from the model that was
            given, on rows of `calibration`. Empty without `calibration`.
    """

    network: str
    by_reference: bool
    bytes: int
    sections: dict[str, int]
    layers: tuple[LayerRow, ...]
    left_out: tuple[str, ...] = ()
    agreements: dict[str, Agreement] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict:
        """Returns the fields as plain types, ready for JSON."""
        layers = [
            {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in dataclasses.asdict(row).items()
            }
            for row in self.layers
        ]
        agreements = {name: one.to_dict() for name, one in self.agreements.items()}
        plain = {**dataclasses.asdict(self), "layers": layers, "agreements": agreements}
        return {**plain, "left_out": list(self.left_out)}

    def __rich__(self) -> Table:
        table = Table(
            title=f"{escape(self.network)}: {self.bytes:,} bytes",
            caption=escape("\n".join(self._notes())),
            box=box.SIMPLE,
            show_edge=False,
            padding=0,
        )
        for column in (
            "layer",
            "type",
            "kept",
            "in space",
            "step",
            "vectors",
            "bytes",
            "largest residual",
        ):
            left = column in ("layer", "type")
            table.add_column(column, justify="left" if left else "right")
        for row in self.layers:
            table.add_row(
                escape(row.name),
                row.type,
                f"{row.kept:,}" if row.kept else "",
                f"{row.kernel_numbers:,}" if row.kernel_numbers else "",
                ", ".join(
                    [f"{step:.2g}" for step in row.steps]
                    + [f"{n} levels" for n in row.levels]
                    + [f"seed {n}" for n in row.seeds]
                ),
                f"{row.vector_numbers:,}" if row.vector_numbers else "",
                f"{row.bytes:,.1f}",
                f"{max(row.residuals.values()):.1e}" if row.residuals else "",
            )
        return table

    def _notes(self) -> list[str]:
        sections = ", ".join(f"{name} {size:,}" for name, size in self.sections.items())
        notes = [f"bytes: {sections}"]
        if self.left_out:
            names = ", ".join(self.left_out)
            notes.append(f"left out, because they do nothing at inference: {names}")
        for name, one in self.agreements.items():
            same = "" if one.argmax is None else f", arg-max agrees on {one.argmax:.2%}"
            notes.append(
                f"{name} against the model, on {one.rows} rows: mean difference "
                f"{one.relative:.1e} of the range{same}"
            )
        return notes


def packing(
    sizes: fr_archive.Sizes,
    archive: fr_archive.Archive,
    model: keras.Model,
    weights: list[Weight],
    residuals: dict[str, float] | None = None,
) -> Packing:
    """Returns what a file holds and how many bytes each part takes.

    Args:
        sizes: Where the bytes of the file are.
        archive: Its content.
        model: Its model.
        weights: The weights of the model that are not stored as coefficients.
        residuals: Their errors, by the name of the weight.
    """
    tensors = iter(zip(archive.tensors, sizes.tensors, strict=True))
    vectors = iter(zip(archive.vectors, sizes.vectors, strict=True))
    kernels = iter(zip(archive.kernels, sizes.kernels, strict=True))
    in_space = {one.name: next(kernels) for one in weights if one.in_space and archive.kernels}
    of_weights = {
        one.name: [next(vectors) for _ in one.lengths]
        for one in weights
        if one.name not in in_space
    }
    rows = []
    for layer_name, layer in named_layers(model).items():
        parts = layer.parts() if isinstance(layer, FrequencyTwin) else []
        spectra = [next(tensors) for _ in parts]
        mine = [weight.name for weight in weights if weight.layer_name == layer_name]
        whole = [in_space[name] for name in mine if name in in_space]
        others = [one for name in mine for one in of_weights.get(name, ())]
        if not spectra and not others and not whole:
            continue
        coded = [one for one, _ in spectra + whole]
        rows.append(
            LayerRow(
                name=layer_name,
                type=type(layer).__name__,
                kept=sum(len(one.values) for one, _ in spectra),
                kernel_numbers=sum(one.size for one, _ in whole),
                steps=tuple(
                    fr_archive.step_value(one.step)
                    for one in coded
                    if not isinstance(one, (Codebook, Signs))
                ),
                levels=tuple(len(one.levels) for one in coded if isinstance(one, Codebook)),
                seeds=tuple(one.seed for one in coded if isinstance(one, Signs)),
                vector_numbers=sum(len(one.values) for one, _ in others),
                bytes=sum(bits for _, bits in spectra + whole + others) / 8,
                residuals={name: residuals[name] for name in mine} if residuals else {},
            )
        )
    by_reference = isinstance(archive.architecture, fr_archive.Reference)
    return Packing(
        network=archive.architecture.name if by_reference else model.name,
        by_reference=by_reference,
        bytes=sizes.total,
        sections={"header": sizes.header, **sizes.sections},
        layers=tuple(rows),
    )
