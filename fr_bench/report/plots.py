"""Plots as images that can be embedded in an HTML page."""

import base64
import io
import itertools

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

_BLUE, _ORANGE, _GREY = "#2a6f97", "#e07a1f", "#8a8f98"
#: Colors and markers for the first few names in a plot.
COLORS = (_BLUE, _ORANGE, _GREY, "#3a8f5c", "#8e5aa8", "#b5453c")
MARKERS = ("o", "s", "^", "v", "D")


def accuracy_curve(histories: dict) -> str:
    """Validation accuracy against kept coefficients, epoch by epoch, with the plain network's."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    fr, plain = histories["FR"], histories["plain"]
    epochs = np.arange(1, len(fr["kept"]) + 1)
    axes.plot(fr["kept"], fr["val_accuracy"], color=_ORANGE, linewidth=1, zorder=1)
    points = axes.scatter(fr["kept"], fr["val_accuracy"], c=epochs, cmap="viridis", zorder=2, s=24)
    axes.axhline(plain["val_accuracy"][-1], color=_BLUE, linestyle="--", label="plain network")
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set(xlabel="kept coefficients (epochs go right)", ylabel="validation accuracy")
    axes.legend(loc="lower left", frameon=False)
    figure.colorbar(points, label="epoch")
    return image(figure)


def band_energy(bands: dict[str, list[float]]) -> str:
    """The share of the kernels' energy in each frequency band, plain beside FR."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(bands["plain"]))
    axes.bar(positions - 0.2, bands["plain"], 0.4, color=_BLUE, label="plain")
    axes.bar(positions + 0.2, bands["FR"], 0.4, color=_ORANGE, label="FR")
    axes.set(xlabel="frequency band, low to high", ylabel="share of energy")
    axes.legend(frameon=False)
    return image(figure)


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
    return image(figure)


def confusion(counts: list[list[int]], labels: tuple[str, ...]) -> str:
    """The confusion matrix, with a row for each true class and a column for each prediction."""
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
    return image(figure)


def score_and_bytes(forms: list[dict], metric: str) -> str:
    """Test score against bytes on the device and of the download; each method has one color."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    colors = assigned(COLORS, [form["method"] for form in forms])
    markers = assigned(MARKERS, [form["mode"] for form in forms])
    sizes = ("device_bytes", "on the device"), ("download_bytes", "of the download")
    for axes, (size, name) in zip(panels, sizes, strict=True):
        for method, mode in itertools.product(colors, markers):
            found = [f for f in forms if (f["method"], f["mode"]) == (method, mode)]
            found = sorted((f for f in found if f[size] is not None), key=lambda form: form[size])
            x = [form[size] / 1000 for form in found]
            y, ends = _scores([form["score"] for form in found])
            look = {"color": colors[method], "marker": markers[mode], "linewidth": 0.8}
            axes.errorbar(x, y, ends, capsize=2, **look)
        axes.set(xscale="log", xlabel=f"kB {name}")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"test {metric}")
    handles = [Line2D([], [], color=color, label=name) for name, color in colors.items()]
    handles += [
        Line2D([], [], color="black", marker=marker, linestyle="", label=name)
        for name, marker in markers.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return image(figure)


def score_and_download(results: dict) -> str:
    """Test score against bytes of the download, with intervals; each method has one color."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    rows = results["rows"]
    for method, color in assigned(COLORS, [row["method"] for row in rows]).items():
        found = [row for row in rows if row["method"] == method]
        x = [row["download_bytes"] / 1000 for row in found]
        y, ends = _scores([row["test"] for row in found])
        axes.errorbar(x, y, ends, fmt="o", color=color, label=method, capsize=2, linewidth=0.8)
    chosen = next(row for row in rows if row["name"] == results["chosen"])
    place = chosen["download_bytes"] / 1000, chosen["test"]["value"]
    axes.scatter(*place, s=160, facecolors="none", edgecolors="black", zorder=3)
    axes.axhline(results["test"]["value"], color=_GREY, linestyle="--", linewidth=0.8)
    axes.set(xscale="log", xlabel="download, kB", ylabel=f"test {results['metric']}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return image(figure)


def _scores(found: list[dict]) -> tuple[list[float], list[list[float]]]:
    """The values, and how far the ends of their intervals are."""
    values = [one["value"] for one in found]
    # A bootstrap's interval may leave out the value itself.
    below = [max(0, one["value"] - one["low"]) for one in found]
    return values, [below, [max(0, one["high"] - one["value"]) for one in found]]


def assigned(choices: tuple[str, ...], names: list[str]) -> dict[str, str]:
    """Assigns one choice to each name, and starts again from the first when they run out."""
    return dict(zip(dict.fromkeys(names), itertools.cycle(choices), strict=False))


def image(figure: Figure, dpi: int = 110) -> str:
    """Returns the figure as a PNG in a `data:` URL."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
