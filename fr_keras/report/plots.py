"""Plots as images that an HTML page can hold in itself."""

import base64
import io

import numpy as np
from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#2a6f97", "#e07a1f", "#8a8f98"


def accuracy_curve(histories: dict) -> str:
    """Validation accuracy against kept coefficients, epoch by epoch, beside the plain twin."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    fr, plain = histories["FR"], histories["plain"]
    epochs = np.arange(1, len(fr["kept"]) + 1)
    axes.plot(fr["kept"], fr["val_accuracy"], color=_ORANGE, linewidth=1, zorder=1)
    points = axes.scatter(fr["kept"], fr["val_accuracy"], c=epochs, cmap="viridis", zorder=2, s=24)
    axes.axhline(plain["val_accuracy"][-1], color=_BLUE, linestyle="--", label="plain twin, end")
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set(xlabel="kept coefficients (training goes right)", ylabel="validation accuracy")
    axes.legend(loc="lower left", frameon=False)
    figure.colorbar(points, label="epoch")
    return _image(figure)


def band_energy(bands: dict[str, list[float]]) -> str:
    """Share of the kernels' energy in each frequency band, plain beside FR."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(bands["plain"]))
    axes.bar(positions - 0.2, bands["plain"], 0.4, color=_BLUE, label="plain")
    axes.bar(positions + 0.2, bands["FR"], 0.4, color=_ORANGE, label="FR")
    axes.set(xlabel="frequency band, low to high", ylabel="share of energy")
    axes.legend(frameon=False)
    return _image(figure)


def kernels(filters: dict[str, np.ndarray]) -> str:
    """The filters of the first layer, plain above FR, each on its own grey scale."""
    count = len(filters["plain"])
    figure = Figure(figsize=(min(count, 20) * 0.5, 1.6), layout="constrained")
    grid = figure.subplots(2, count, squeeze=False)
    for row, name in zip(grid, ("plain", "FR"), strict=True):
        for axes, kernel in zip(row, filters[name], strict=True):
            axes.imshow(kernel, cmap="gray")
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    return _image(figure)


def confusion(counts: list[list[int]], labels: tuple[str, ...]) -> str:
    """Confusion matrix: true classes down, predictions across."""
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    matrix = np.array(counts)
    axes.imshow(np.log1p(matrix), cmap="Blues")
    if len(labels) <= 20:
        for (row, column), count in np.ndenumerate(matrix):
            dark = matrix.max() and np.log1p(count) > np.log1p(matrix.max()) / 2
            if count:
                color = "white" if dark else "black"
                axes.text(column, row, count, ha="center", va="center", fontsize=8, color=color)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true")
    return _image(figure)


def file_sizes(forms: list[dict]) -> str:
    """Bytes of each file."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    names = [form["form"] for form in forms][::-1]
    sizes = [form["bytes"] / 1000 for form in forms][::-1]
    colors = [_GREY if name.startswith("plain") else _ORANGE for name in names]
    bars = axes.barh(names, sizes, color=colors)
    axes.bar_label(bars, [f"{size:,.0f} kB" for size in sizes], padding=3, fontsize=8)
    axes.set(xlabel="kB", xlim=(0, max(sizes) * 1.15))
    return _image(figure)


def _image(figure: Figure) -> str:
    """The figure as a PNG in a `data:` address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
