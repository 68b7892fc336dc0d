"""The HTML pages, from templates beside this file."""

import numpy as np


def check_installed() -> None:
    """Raises an ImportError that names the extra, if a page could not be made; before the work."""
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
        results: What `fr_keras.demo.run` returns.
        kernels: Filters of the first layer, `(filters, height, width)`, by network.
        labels: Names of the classes.

    Raises:
        ImportError: Without the extra `report`.
    """
    check_installed()
    import jinja2

    from fr_keras.report import plots

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fr_keras", "report"), autoescape=True
    )
    forms = results["forms"]
    return environment.get_template("demo.html").render(
        results=results,
        network=results["network"],
        forms=forms,
        plots=[
            (
                "Accuracy while the tail is cut",
                "Each point is one epoch of the FR twin. It loses coefficients from left to right "
                "and recovers at its target.",
                plots.accuracy_curve(results["histories"]),
            ),
            (
                "Energy in each frequency band",
                "Shares of the energy of all kernels. Truncation leaves the lowest bands only.",
                plots.band_energy(results["bands"]),
            ),
            (
                "Filters of the first layer",
                "The FR filters are sums of a few cosines.",
                plots.kernels(kernels),
            ),
            (
                "Confusion matrix of the FR int8 file",
                "Test split, run on LiteRT.",
                plots.confusion(results["confusion"], labels),
            ),
            (
                "File sizes",
                "The files hold whole kernels: baking rebuilds every weight from the kept numbers.",
                plots.file_sizes(forms),
            ),
        ],
    )
