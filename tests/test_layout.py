"""The house rules for modules: names, faces and sizes."""

import ast
import collections
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("fr_archive", "fr_keras", "fr_bench", "fr_keras_cli")


def modules(name: str) -> list[Path]:
    """The modules of a package, without the copies that `pip install` leaves in `build`."""
    package = ROOT / name
    return [one for one in package.rglob("*.py") if one.relative_to(package).parts[0] != "build"]


MODULES = sorted(path for name in PACKAGES for path in modules(name))


def named(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
    return found


@pytest.fixture(scope="module")
def users() -> dict[str, list[Path]]:
    """Who imports a name."""
    found = collections.defaultdict(list)
    for folder in (*PACKAGES, "benchmarks", "tools"):
        for path in modules(folder):
            for name in imported(path):
                found[name].append(path)
    return found


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_of_one_package_alone_is_private(path, users):
    face = importlib.import_module(named(path.parent))
    if path.name.startswith("__") or path.stem in getattr(face, "__all__", ()):
        return
    of_others = any(path.parent not in user.parents for user in users[named(path)])
    assert path.name.startswith("_") != of_others, path


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_has_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", [one for one in MODULES if one.name == "__init__.py"], ids=named)
def test_nothing_in_a_face_hides_a_module(path):
    face = importlib.import_module(named(path.parent))
    hidden = [
        one.stem
        for one in path.parent.iterdir()
        if not one.stem.startswith("__") and hasattr(face, one.stem)
        if one.suffix == ".py" or (one / "__init__.py").exists()
        if not isinstance(getattr(face, one.stem), type(ast))
    ]
    assert not hidden
