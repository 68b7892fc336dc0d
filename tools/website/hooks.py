"""Extends MkDocs in `make docs`: pages from outside `docs/`, links, and a last check."""

import base64
import re
from pathlib import Path

import commands
import griffe
import pages
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

import fr_keras_cli

_MODULE = """# {name}

::: {name}
    options:
      members: false
      show_root_heading: false
"""
#: Scripts, styles and pictures: what a browser would fetch from elsewhere.
_FETCHED = re.compile(
    r'<(?:script|img|iframe)\b[^>]*\bsrc="?(?:https?:)?//|<link\b[^>]*\bstylesheet\b[^>]*//'
)


def on_files(files, config):
    """Adds the pages that do not lie in `docs/`, and the files that pages link to."""
    linked: set[str] = set()

    def file(path: str) -> str:
        if files.get_file_from_path(path) is None:  # no picture of a notebook
            linked.add(path)
        return path

    paths = [f"docs/{one.src_uri}" for one in files.documentation_pages()]
    for path in [*paths, *pages.OUTSIDE]:
        text, uri = (pages.ROOT / path).read_text(), pages.site_path(path)
        if path.endswith(".ipynb"):
            text, pictures = pages.from_notebook(text, Path(path).stem)
            for name, content in pictures.items():
                _add(files, config, f"notebooks/{name}", base64.b64decode(content))
        text = pages.relinked(text, path, file)
        if path == "docs/web.md":
            text = _with_demo(text, files, config)
        _add(files, config, uri, text)
    for path in sorted(linked):
        _add_linked(files, config, path)
    for uri, text in {pages.CLI: commands.page(fr_keras_cli.main), **_api()}.items():
        _add(files, config, uri, text)
    return files


def _with_demo(text: str, files, config) -> str:
    """The page *In a browser* with the demo page in it, which the site then holds too."""
    built = sorted(one for one in pages.DEMO.rglob("*") if one.is_file())
    for one in built:
        uri = f"demo/{one.relative_to(pages.DEMO).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(one)))
    return pages.with_demo(text, bool(built))


def _add(files, config, uri: str, content: str | bytes) -> None:
    old = files.get_file_from_path(uri)
    if old is not None:
        files.remove(old)
    files.append(File.generated(config, uri, content=content))


def _add_linked(files, config, path: str) -> None:
    source = pages.ROOT / path
    if not source.is_file() or path.endswith((".md", ".ipynb")):
        raise PluginError(
            f"pages must link to files that are there, and to pages of the site. Received: '{path}'"
        )
    files.append(File.generated(config, path, abs_src_path=str(source)))


def _api() -> dict[str, str]:
    """The pages of the API: of each module the names in its `__all__`, or those that it defines."""
    documented: dict[str, str] = {}
    texts = {}
    for name in pages.API:
        module, elsewhere = _module(name), []
        parts = [_MODULE.format(name=name)]
        for one in _public(module):
            target = module[one].final_target if module[one].is_alias else module[one]
            if target.path in documented:
                elsewhere.append(f"[`{one}`][{documented[target.path]}]")
            else:
                documented[target.path] = f"{name}.{one}"
                parts.append(f"::: {name}.{one}\n")
        if elsewhere:
            parts.insert(1, f"Also here: {', '.join(elsewhere)}.\n")
        texts[pages.api_page(name)] = "\n".join(parts)
    return texts


def _module(name: str):
    package, _, inner = name.partition(".")
    loaded = griffe.load(package, search_paths=[str(pages.ROOT)])
    return loaded[inner] if inner else loaded


def _public(module) -> list[str]:
    """The names of a module that are not modules themselves."""
    if module.exports is None:
        names = [
            name
            for name, one in module.members.items()
            if not name.startswith("_") and not one.is_alias and (one.is_class or one.is_function)
        ]
    else:
        names = [str(one) for one in module.exports]
    return [name for name in names if not module[name].is_module]


def on_post_build(config):
    """Refuses a site that would fetch from elsewhere, or shows an example as a quotation."""
    site = Path(config.site_dir)
    for path in site.rglob("*.html"):
        found = _FETCHED.search(path.read_text())
        if found:
            raise PluginError(f"pages must fetch nothing from elsewhere. '{path}': {found[0]}")
    for path in (site / "api").glob("*.html"):
        if "<blockquote>" in path.read_text():
            raise PluginError(f"examples in docstrings must have a fence. '{path}' has a quotation")
