"""Makes the HTML pages from the templates beside this file."""

from collections.abc import Sequence

import numpy as np

from fr_bench.benchmark.result import Result
from fr_bench.report import measured
from fr_bench.report._comparing import interval

_BYTES_TITLE = "Score and bytes"
_BYTES_TEXT = (
    "Each point is a file with the 95 % interval of its score: on the left with its bytes on the "
    "device, on the right with those of the download, which is the .tflite file gzipped, or an "
    "archive. Files of FR models contain chains of small kernels, and cosines, where that is "
    "cheaper."
)
_FRONT_TEXT = (
    "Each point is a file; the colour is the method, the marker the quantization, and an empty one "
    "was quantized in training. No file beats those on the grey line in both."
)
_STATES = ("done", "failed", "open")


def check_installed() -> None:
    """Raises an ImportError that names the extra if pages cannot be made; call it before work."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"reports need the extra `report`: pip install 'fr-keras[report]' ({error})"
        ) from error


def demo_page(results: dict, kernels: dict[str, np.ndarray], labels: tuple[str, ...]) -> str:
    """Returns the demo's report as one self-contained HTML page.

    Args:
        results: The results that `fr_bench.demo.run` returns.
        kernels: Filters of the first layer, `(filters, height, width)`, by network.
        labels: The names of the classes.

    Raises:
        ImportError: If the extra `report` is not installed.
    """
    check_installed()
    from fr_bench.report import plots

    return _page(
        "demo.html",
        results=results,
        network=results["network"],
        plots=[
            (
                "Accuracy while the tail is cut",
                "Each point is one epoch of the FR twin. The twin loses coefficients from left to "
                "right, and recovers when it has reached its target.",
                plots.accuracy_curve(results["histories"]),
            ),
            (
                "Energy in each frequency band",
                "The share of each band in the energy of all kernels. Truncation leaves only the "
                "lowest bands.",
                plots.band_energy(results["bands"]),
            ),
            (
                "Filters of the first layer",
                "The FR filters are sums of a few cosines.",
                plots.kernels(kernels),
            ),
            (
                "Confusion matrix of the FR int8 file",
                "On the test split, run with LiteRT.",
                plots.confusion(results["confusion"], labels),
            ),
            (_BYTES_TITLE, _BYTES_TEXT, plots.score_and_bytes(results["forms"], results["metric"])),
        ],
    )


def compare_page(results: dict) -> str:
    """Returns the report of `fr_bench.compare` as one self-contained HTML page.

    Args:
        results: The results that `fr_bench.compare.compare` returns.

    Raises:
        ImportError: If the extra `report` is not installed.
    """
    check_installed()
    from fr_bench.report import plots

    plot = (_BYTES_TITLE, _BYTES_TEXT, plots.score_and_bytes(results["forms"], results["metric"]))
    return _page("compare.html", results=results, plots=[plot])


def compress_page(results: dict) -> str:
    """Returns the report of `fr_bench.compress` as one self-contained HTML page.

    Args:
        results: The contents of `result.json`.

    Raises:
        ImportError: If the extra `report` is not installed.
    """
    check_installed()
    from fr_bench.report import plots

    plot = (
        "Score and bytes of the download",
        "Small and good files are at the upper left. Each point is a file with the 95 % interval "
        "of its score on the test rows; the line is the network itself, and the ring marks the "
        "chosen file.",
        plots.score_and_download(results),
    )
    return _page("compress.html", results=results, plots=[plot])


def grid_page(results: dict) -> str:
    """Returns the report of `fr_bench.grid` as one self-contained HTML page.

    Args:
        results: The contents of `grid.json`.

    Raises:
        ImportError: If the extra `report` is not installed.
    """
    check_installed()
    from fr_bench.report import _grid, _grid_plots

    columns, rows = _grid.heat_map(results)
    targets, cells = _grid.timed(results), results["cells"]
    fronts = {"Score and download": _grid_plots.score_against_bytes(results)}
    fronts |= {
        f"Score and time on {name}": _grid_plots.score_against_time(results, name)
        for name in targets
    }
    return _page(
        "grid.html",
        results=results,
        columns=columns,
        rows=rows,
        target=next(iter(targets), None),
        span=_grid.SPAN,
        devices=_grid.devices(results),
        counts={state: sum(one["state"] == state for one in cells) for state in _STATES},
        surveyed=sum(one["survey"] for one in cells),
        unfinished=[one for one in cells if one["state"] != "done"],
        plots=[(title, _FRONT_TEXT, plot) for title, plot in fronts.items() if plot],
    )


def benchmark_page(results: Sequence[Result]) -> str:
    """Returns results of `fr-keras benchmark` as one self-contained HTML page.

    Args:
        results: The results of one or more result files, such as those of a computer and a phone.

    Raises:
        ValueError: If there are no results.
        ImportError: If the extra `report` is not installed.

    Example:

    >>> from fr_bench.benchmark import Result
    >>> done = Result("m.tflite", 1000, "00", "arm64", {"name": "arm64"}, "LiteRT", "xnnpack")
    >>> "m.tflite" in benchmark_page([done])
    True
    """
    if not results:
        raise ValueError("`results` must hold at least one result. Received: none")
    check_installed()
    from fr_bench.report import _measured_plots

    files = measured.by_file(results)
    plots = [
        (
            "Size, latency, accuracy",
            "Small and fast files are at the lower left. The numbers are those of the files in the "
            "table above; each point is the fastest result on a device.",
            _measured_plots.size_latency_accuracy(files),
        ),
        (
            "Times side by side",
            "The fastest result on each device, on a logarithmic axis.",
            _measured_plots.beside(files),
        ),
        (
            "Where the time goes",
            "Each bar is the fastest result of a file on a device, of those that have an op "
            "profile.",
            _measured_plots.ops_by_time(files),
        ),
    ]
    return _page(
        "benchmark.html",
        m=measured,
        interval=interval,
        results=results,
        files=files,
        plots=[plot for plot in plots if plot[2] is not None],
        **measured.summary(results, files),
    )


def _page(template: str, **values) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fr_bench", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(values)
