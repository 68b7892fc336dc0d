"""The pages of the documentation: which there are, and what they link to, name and show."""

import importlib
import itertools
import json
import re
import tomllib
import unicodedata
from pathlib import Path

import pytest

from fr_keras_cli import main

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "android_demo"


def _website(module: str):
    """A module of `tools/website`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools" / "website"))
        return importlib.import_module(module)


SITE = _website("pages")
FOLDERS = {f"{path.parent.name}/README.md" for path in ROOT.glob("*/README.md")}
READ = [
    "README.md",
    *sorted(FOLDERS - set(SITE.OUTSIDE)),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    *SITE.OUTSIDE,
]


def _text(page: str) -> str:
    text = (ROOT / page).read_text()
    if page.endswith(".ipynb"):
        text, _ = SITE.from_notebook(text, "picture")
        return re.sub(r"!\[[^]]*\]\(picture_\d+\.png\)", "", text)
    return text


def _prose(page: str) -> str:
    return re.sub(r"```.*?```", "", _text(page), flags=re.DOTALL)


def _anchors(page: str) -> set[str]:
    """The anchors of the headings, as both MkDocs and forges make them."""
    headings = re.findall(r"^#{1,6} (.*)$", _prose(page), re.MULTILINE)
    plain = [unicodedata.normalize("NFKD", one.replace("`", "").lower()) for one in headings]
    return {re.sub(r"[^\w\s-]", "", one).strip().replace(" ", "-") for one in plain}


def test_the_navigation_has_every_page():
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\ntheme:")[0]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    written = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert len(listed) == len(set(listed))
    assert set(listed) == written | set(SITE.OUTSIDE.values()) | SITE.generated()


@pytest.mark.parametrize("page", READ)
def test_links_lead_somewhere(page):
    for path, anchor in SITE.links(_text(page)):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), path
        if anchor:
            assert anchor in _anchors(str(target.resolve().relative_to(ROOT))), f"{path}#{anchor}"


@pytest.mark.parametrize("page", [page for page in READ if page != "CHANGELOG.md"])
def test_files_that_pages_name_are_there(page):
    for path in re.findall(
        r"\b(?:benchmarks|fr_\w+|tests|tools)/[\w/.]+\.(?:py|json)\b", _text(page)
    ):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("page", READ)
def test_lists_begin_behind_an_empty_line(page):
    """Without one, Python-Markdown goes on with the paragraph."""
    lines = _prose(page).splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"- |\d+\. ", line):
            assert not before.strip() or re.match(r"- |\d+\. |\s|#", before), line


def test_modules_of_the_reference_can_be_imported():
    for name in SITE.API:
        assert importlib.import_module(name).__doc__, name


def test_links_become_those_of_the_site():
    asked = []

    def file(path: str) -> str:
        asked.append(path)
        return path

    text = "[a](guide.md#b) [c](../CHANGELOG.md) [d](../benchmarks/x.json) [e](f:g) [h](#i)"
    assert SITE.relinked(text, "docs/results.md", file) == (
        "[a](guide.md#b) [c](changelog.md) [d](benchmarks/x.json) [e](f:g) [h](#i)"
    )
    assert asked == ["benchmarks/x.json"]
    notebook = "notebooks/02_unet.ipynb"
    assert SITE.relinked("[a](../docs/guide.md)", notebook, file) == "[a](../guide.md)"
    assert SITE.relinked("[a](01_quickstart.ipynb)", notebook, file) == "[a](01_quickstart.md)"


def test_the_page_in_a_browser_shows_the_demo_where_it_is_built():
    text = Path(ROOT / "docs" / "web.md").read_text()
    assert '<iframe src="demo/index.html"' in SITE.with_demo(text, is_built=True)
    assert "built without the page" in SITE.with_demo(text, is_built=False)
    with pytest.raises(ValueError, match="one mark"):
        SITE.with_demo(text + text, is_built=True)


def test_notebooks_become_pages():
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "b"]},
        {
            "cell_type": "code",
            "source": ["f()"],
            "outputs": [
                {"text": ["1\n"]},
                {"data": {"text/plain": ["2"]}},
                {"data": {"image/png": "UE5H", "text/plain": ["<Figure>"]}},
            ],
        },
        {"cell_type": "code", "source": ["g()"], "outputs": []},
    ]
    text, pictures = SITE.from_notebook(json.dumps({"cells": cells}), "n")
    assert text == (
        "# A\nb\n\n```python\nf()\n```\n\n![The picture that this code draws](n_1.png)\n\n"
        "```text\n1\n2\n```\n\n```python\ng()\n```\n"
    )
    assert pictures == {"n_1.png": "UE5H"}


def test_every_command_and_option_is_on_the_page_of_the_command_line():
    page = _website("commands").page(main)
    for name, command in main.commands.items():
        _, _, rest = page.partition(f"## fr-keras {name}\n")
        section = rest.partition("\n## ")[0]
        for option in [word for one in command.params for word in one.opts if word[0] == "-"]:
            assert re.search(rf"^- `{option}[ `,]", section, re.MULTILINE), (name, option)
    assert r"\[default: host]" in page
    assert "\n- ``" not in page


def test_kotlin_of_the_guide_is_what_is_compiled():
    sources = "".join(path.read_text() for path in (DEMO / "guide/src/main").rglob("*.kt"))
    blocks = re.findall(r"```kotlin\n(.*?)```", _text("docs/android.md"), re.DOTALL)
    assert len(blocks) > 3
    for block in blocks:
        assert block in sources, block


def test_coordinates_of_the_guide_are_those_of_the_demo():
    catalog = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())
    lines = re.findall(r'implementation\("(.*)"\)', _text("docs/android.md"))
    module, version = catalog["libraries"]["litert"]["module"], catalog["versions"]["litert"]
    assert f"{module}:{version}" in lines
    assert all(line.count(":") == 2 for line in lines)
