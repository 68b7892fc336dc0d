"""Makes the pages of the documentation site that are not in `docs/`, and the links of all pages.

Every page can also be read as a file of the repository, so links in pages are paths in the
repository. Here they become links of the site.
"""

import json
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Page of the repository -> page of the site.
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "tflite_models/README.md": "files-to-try.md",
    "notebooks/01_quickstart.ipynb": "notebooks/01_quickstart.md",
    "notebooks/02_unet.ipynb": "notebooks/02_unet.md",
    "notebooks/03_benchmark.ipynb": "notebooks/03_benchmark.md",
}
#: Modules whose public names are documented, each on a page of its own. A name that several of
#: them export is documented with the first.
API = (
    "fr_keras",
    "fr_keras.layers",
    "fr_keras.models",
    "fr_keras.models.channels",
    "fr_keras.callbacks",
    "fr_keras.callbacks.schedules",
    "fr_keras.methods",
    "fr_keras.tflite",
    "fr_keras.archive",
    "fr_keras.metrics",
    "fr_keras.interop",
    "fr_keras.zoo",
    "fr_keras.spectral",
    "fr_keras.zigzag",
    "fr_archive",
    "fr_bench.data",
    "fr_bench.training",
    "fr_bench.train",
    "fr_bench.recipes",
    "fr_bench.candidates",
    "fr_bench.forms",
    "fr_bench.compare",
    "fr_bench.grid",
    "fr_bench.benchmark",
    "fr_bench.report",
    "fr_bench.scheduling",
    "fr_bench.page",
)
CLI = "cli.md"
#: The page that `make web` builds.
DEMO = ROOT / "build" / "web" / "demo"
_DEMO_MARK = "<!-- the page -->"
_DEMO_FRAME = (
    '<iframe src="demo/index.html" title="fr_keras in the browser" class="demo"></iframe>\n\n'
    '<a href="demo/index.html">Open it in a tab of its own.</a>'
)
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def api_page(module: str) -> str:
    """The page of the site that documents a module."""
    return f"api/{module}.md"


def generated() -> set[str]:
    """The pages that are made from code, and lie in no folder."""
    return {CLI, *map(api_page, API)}


def site_path(path: str) -> str | None:
    """The page of the site that a page of the repository becomes; `None` if it becomes none."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return OUTSIDE.get(path)


def links(markdown: str) -> list[tuple[str, str]]:
    """The relative links of a page: path, empty for the page itself, and anchor."""
    found = re.findall(r"\]\(([^)\s#:]*)(?:#([^)\s]*))?\)", _without_code(markdown))
    return [(path, anchor) for path, anchor in found if path or anchor]


def relinked(markdown: str, path: str, file: Callable[[str], str]) -> str:
    """Returns a page with links of the site in place of paths of the repository.

    Args:
        markdown: The text of the page.
        path: Where it lies in the repository.
        file: Takes the path of a file that is no page, and returns where the site has it.
    """
    here = posixpath.dirname(site_path(path))

    def link(match: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
        place = site_path(target) or file(target)
        return f"{match[1]}{posixpath.relpath(place, here or '.')}{match[3] or ''}{match[4]}"

    return _LINK.sub(link, markdown)


def from_notebook(text: str, name: str) -> tuple[str, dict[str, str]]:
    """Returns a notebook as Markdown, and its pictures in base64 by file name.

    Args:
        text: The notebook.
        name: What the names of the pictures begin with.
    """
    parts: list[str] = []
    pictures: dict[str, str] = {}
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = ""
        for output in cell["outputs"]:
            shown = output.get("data", {})
            if "image/png" in shown:
                picture = f"{name}_{len(pictures) + 1}.png"
                pictures[picture] = "".join(shown["image/png"])
                parts.append(f"![The picture that this code draws]({picture})")
            else:
                printed += "".join(output.get("text", shown.get("text/plain", "")))
        if printed:
            parts.append(f"```text\n{printed.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures


def _without_code(markdown: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", markdown, flags=re.DOTALL)


def with_demo(text: str, is_built: bool) -> str:
    """The text with the demo page, or without, where its mark is.

    Raises:
        ValueError: If it has no mark, or more than one.
    """
    if text.count(_DEMO_MARK) != 1:
        raise ValueError(f"the page must have one mark of the demo page: {_DEMO_MARK}")
    missing = "This copy of the site was built without the page: `make web`, then `make docs`."
    return text.replace(_DEMO_MARK, _DEMO_FRAME if is_built else missing)
