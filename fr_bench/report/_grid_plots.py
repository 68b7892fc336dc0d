"""The Pareto fronts of a grid, narrow enough for a phone."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from fr_bench._fronts import on_front
from fr_bench.report._grid import time_of
from fr_bench.report.plots import COLORS, MARKERS, assigned, image

_WIDTH, _DPI = 5.0, 160


def score_against_bytes(results: dict) -> str | None:
    """Score against bytes of the download, with the line of the files that no other beats."""
    return _front(results, lambda cell: cell["download_bytes"] / 1000, "download, kB")


def score_against_time(results: dict, target: str) -> str | None:
    """Score against the median time on a target."""

    def milliseconds(cell: dict) -> float | None:
        us = time_of(cell, target)
        return None if us is None else us / 1000

    return _front(results, milliseconds, f"one inference on {target}, ms")


def _front(results: dict, cost: Callable[[dict], float | None], axis: str) -> str | None:
    cells = [one for one in results["cells"] if one["score"] is not None and cost(one) is not None]
    if not cells:
        return None
    figure = Figure(figsize=(_WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    points = [(cost(one), one["score"]["value"]) for one in cells]
    best = sorted(point for point, held in zip(points, on_front(points), strict=True) if held)
    axes.plot(*zip(*best, strict=True), color="grey", linewidth=0.8, drawstyle="steps-post")
    colors = assigned(COLORS, [one["method"] for one in cells])
    markers = assigned(MARKERS, [one["mode"] for one in cells])
    for one, point in zip(cells, points, strict=True):
        filled = "none" if one["quantized"] == "during" else colors[one["method"]]
        look = {"marker": markers[one["mode"]], "edgecolors": colors[one["method"]]}
        axes.scatter(*point, s=34, facecolors=filled, zorder=2, **look)
    _legend(figure, axes, colors, markers)
    axes.set(xscale="log", xlabel=axis, ylabel=f"test {results['metric']}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    return image(figure, _DPI)


def _legend(figure: Figure, axes: Axes, colors: dict, markers: dict) -> None:
    for name, color in colors.items():
        axes.plot([], [], color=color, linewidth=3, label=name)
    for name, marker in markers.items():
        axes.plot([], [], marker, color="black", label=name)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
