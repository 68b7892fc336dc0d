"""What `make web` is made of; the tests in Node and in a browser are in `web`."""

import importlib
import json
import os
from pathlib import Path

import pytest

WEB = Path(__file__).parents[1] / "web"


@pytest.fixture
def node(monkeypatch):
    """The module `tools/web/node.py`."""
    monkeypatch.syspath_prepend(str(WEB.parent / "tools" / "web"))
    return importlib.import_module("node")


def test_what_is_missing_is_named(node, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(node.SetupError, match="install Node 20"):
        node.node()
    with pytest.raises(node.SetupError, match="let CHROMIUM name one"):
        node.chromium()
    monkeypatch.setenv("CHROMIUM", "/opt/chromium")
    assert node.chromium() == "/opt/chromium"


def test_an_old_node_is_refused(node, monkeypatch, tmp_path):
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.2.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(node.SetupError, match=r"must be 20 or newer. Found: v18.2.0"):
        node.node()


def test_what_is_made_is_older_than_a_changed_source(node, tmp_path):
    made, folder = tmp_path / "made", tmp_path / "sources"
    folder.mkdir()
    source = folder / "a.py"
    source.write_text("")
    assert not node.is_newer(made, folder)
    made.write_text("")
    os.utime(source, (1, 1))
    assert node.is_newer(made, folder)
    assert node.is_newer(made, source)
    os.utime(made, (0, 0))
    assert not node.is_newer(made, folder)


def test_packages_are_pinned_and_the_reader_has_none():
    reader = json.loads((WEB / "frarchive" / "package.json").read_text())
    assert {*reader["devDependencies"]} == {"esbuild", "typescript"}
    assert "dependencies" not in reader
    for package in ("frarchive", "demo"):
        held = json.loads((WEB / package / "package.json").read_text())
        for version in held["devDependencies"].values():
            assert version.replace(".", "").isdigit()


def test_no_line_of_typescript_is_longer_than_those_of_python():
    paths = [path for path in WEB.rglob("*.[tj]s") if not {"node_modules", "dist"} & {*path.parts}]
    assert paths
    for path in paths:
        assert max(map(len, path.read_text().splitlines())) <= 100, path
