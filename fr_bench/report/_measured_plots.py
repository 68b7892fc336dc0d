"""Plots of benchmark results, narrow enough for a phone; files are labelled by their numbers."""

import collections
import warnings

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from fr_bench.report.measured import File, device_label, profiled
from fr_bench.report.plots import COLORS, MARKERS, assigned, image

_WIDTH, _DPI = 5.0, 160
_LONGEST = 40
# All other kinds of ops are added up.
_OPS = len(COLORS) - 1


def size_latency_accuracy(files: list[File]) -> str | None:
    """Plots the fastest time on each device against bytes; the color is the measured accuracy."""
    files = [file for file in files if file.bytes > 0]
    names = _timed(files)
    if not names:
        return None
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    known = [100 * file.accuracy for file in files if file.accuracy is not None]
    scale = {"cmap": "viridis", "vmin": min(known), "vmax": max(known)} if known else {}
    if known and min(known) == max(known):
        scale["vmin"] -= 1  # a scale of no length would go above 100 %
    for name, marker in assigned(MARKERS, names).items():
        here = [file for file in files if name in file.fastest]
        x, y = [f.bytes / 1000 for f in here], [f.fastest[name].us / 1000 for f in here]
        shown = {"marker": marker, "s": 42, "linewidths": 0.6, "zorder": 2}
        plain = [n for n, file in enumerate(here) if file.accuracy is None]
        axes.scatter([], [], color="grey", label=_plain(name), **shown)
        _scatter(axes, x, y, plain, color="lightgrey", edgecolors="black", **shown)
        scored = [n for n in range(len(here)) if n not in plain]
        colors = [100 * here[n].accuracy for n in scored]
        points = _scatter(axes, x, y, scored, c=colors, edgecolors="black", **scale, **shown)
        for file, left, up in zip(here, x, y, strict=True):
            axes.annotate(str(file.number), (left, up), (5, 4), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="file size, kB", ylabel="one inference, ms")
    _tidy(axes.xaxis, [file.bytes / 1000 for file in files])
    _tidy(axes.yaxis, [best.us / 1000 for file in files for best in file.fastest.values()])
    axes.margins(0.12)
    axes.grid(alpha=0.3)
    if known:
        figure.colorbar(points, label="accuracy, %")
    figure.legend(loc="outside lower center", ncols=1, frameon=False)
    return _image(figure)


def beside(files: list[File]) -> str | None:
    """Plots the fastest times of all devices, with one line for each file."""
    names = _timed(files)
    if len(names) < 2:
        return None
    figure, axes = _lines(len(files))
    for row, file in enumerate(files):
        if file.fastest:
            times = [best.us / 1000 for best in file.fastest.values()]
            axes.hlines(row, min(times), max(times), color="lightgrey", zorder=1)
    colors, markers = assigned(COLORS, names), assigned(MARKERS, names)
    for name in names:
        here = [(row, f.fastest[name].us) for row, f in enumerate(files) if name in f.fastest]
        x, y = [us / 1000 for _, us in here], [row for row, _ in here]
        axes.plot(x, y, markers[name], color=colors[name], label=_plain(name))
    axes.set_xscale("log")
    axes.set_xlabel("one inference, ms")
    axes.margins(0.1, 0.5 / len(files))
    _tidy(axes.xaxis, [best.us / 1000 for file in files for best in file.fastest.values()])
    axes.set_yticks(range(len(files)), [str(file.number) for file in files])
    return _finished(figure, axes)


def ops_by_time(files: list[File]) -> str | None:
    """Plots the share of each kind of op in the time of each file on each device."""
    runs = [(file, one) for file in files for one in profiled(file)]
    totals = collections.Counter()
    for _, one in runs:
        whole = sum(op.us for op in one.profile)
        totals.update({op.op: op.us / whole for op in one.profile if whole})
    if not totals:
        return None
    kinds = [name for name, _ in totals.most_common(_OPS)]
    figure, axes = _lines(len(runs))
    left = np.zeros(len(runs))
    for kind, color in zip((*kinds, "others"), COLORS, strict=False):
        share = np.array([_share(one.profile, kind, kinds) for _, one in runs])
        if share.any():
            axes.barh(range(len(runs)), 100 * share, 0.7, left, color=color, label=_plain(kind))
        left += 100 * share
    several = len({device_label(one) for _, one in runs}) > 1
    labels = [
        f"{file.number} {_plain(device_label(one))[:18]}" if several else str(file.number)
        for file, one in runs
    ]
    axes.set_yticks(range(len(runs)), labels)
    axes.set_xlabel("share of the time of all ops, %")
    return _finished(figure, axes)


def _share(profile, kind: str, kinds: list[str]) -> float:
    whole = sum(op.us for op in profile) or 1.0
    if kind in kinds:
        return sum(op.us for op in profile if op.op == kind) / whole
    return sum(op.us for op in profile if op.op not in kinds) / whole


def _timed(files: list[File]) -> list[str]:
    return list(dict.fromkeys(name for file in files for name in file.fastest))


def _scatter(axes: Axes, x, y, chosen: list[int], **how):
    return axes.scatter([x[n] for n in chosen], [y[n] for n in chosen], **how)


def _tidy(axis, values: list[float]) -> None:
    """Puts plain numbers on a logarithmic axis, and more of them if it is short."""
    subs = (1, 2, 5) if max(values) < 200 * min(values) else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())


def _lines(count: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, 1.6 + 0.28 * count), layout="constrained")
    return figure, figure.subplots()


def _finished(figure: Figure, axes: Axes) -> str:
    axes.invert_yaxis()
    axes.set_ylabel("file")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return _image(figure)


def _image(figure: Figure) -> str:
    with warnings.catch_warnings():
        # Names come from phones and files, in any script; the tables show them in full.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        return image(figure, _DPI)


def _plain(name: str) -> str:
    """A name on one line, escaped so that matplotlib does not read it as mathematics."""
    shown = "".join(char if char.isprintable() else " " for char in name)
    return shown[:_LONGEST].replace("$", r"\$")
