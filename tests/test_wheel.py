"""The two distributions: what is in their wheels, and that they work outside the checkout."""

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import fr_archive
import fr_keras

ROOT = Path(__file__).parents[1]
SITE = Path(np.__file__).parents[1]
DIGITS = ROOT / "android_demo" / "models" / "digits.fr"
# What lies in the folder of a package and is no part of it.
BESIDE = ("README.md", "LICENSE", "pyproject.toml")
MADE = ("__pycache__", "build", "*.egg-info")


def run(*command, check=True, **kwargs):
    # The checkout must not come in by PYTHONPATH.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, **kwargs)
    assert not check or done.returncode == 0, done.stderr
    return done


def pip(*words):
    return run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folder of both wheels, made as `make wheel` does, with the packages installed here."""
    folder, source = (tmp_path_factory.mktemp(name) for name in ("wheels", "source"))
    # Building writes beside the sources.
    left_out = shutil.ignore_patterns(".*", "dist", "demo_output", *MADE)
    shutil.copytree(ROOT, source, ignore=left_out, dirs_exist_ok=True)
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    pip("wheel", *offline, "--wheel-dir", folder, source / "fr_archive", source)
    return folder


def installed(wheels: Path, name: str, folder: Path, has) -> Path:
    """The programs of a new environment: one of the wheels, and what is installed here that `has`.

    pip looks at what the wheel requires, and finds that it is there.
    """
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for one in SITE.iterdir():
        if has(re.split("[-.]", one.name)[0]):
            (site / one.name).symlink_to(one)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-index", "--find-links", wheels, name)
    return folder / "bin"


def contents(wheels: Path, name: str) -> tuple[set[str], Message]:
    """The files of a wheel, and its metadata."""
    (path,) = wheels.glob(f"{name}-*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (name for name in names if name.endswith("dist-info/METADATA"))
        return names, Parser().parsestr(wheel.read(metadata).decode())


def files(package: str) -> list[str]:
    """The modules and data of a package in the checkout."""
    found = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file()]
    return [
        path.as_posix()
        for path in found
        if path.name not in BESIDE
        and not any(fnmatch(part, made) for part in path.parts for made in MADE)
    ]


@pytest.mark.parametrize(
    ("name", "packages"),
    [("fr_archive", ["fr_archive"]), ("fr_keras", ["fr_keras", "fr_bench", "fr_keras_cli"])],
)
def test_a_wheel_holds_its_packages_and_nothing_else(wheels, name, packages):
    names, metadata = contents(wheels, name)
    expected = {one for package in packages for one in files(package)}
    assert {one for one in names if not one.startswith(f"{name}-")} == expected
    assert any(one.endswith("/licenses/LICENSE") for one in names)
    assert metadata["Author"]
    assert metadata["Summary"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload().startswith("# fr")


def test_the_version_is_one_in_all_its_places(wheels):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    places = {
        "fr_archive": fr_archive.__version__,
        "fr_keras": fr_keras.__version__,
        "CITATION.cff": re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)[1],
        "pin": re.search(r"^fr-archive==(.*)$", config["options"]["install_requires"], re.M)[1],
        **{name: contents(wheels, name)[1]["Version"] for name in ("fr_archive", "fr_keras")},
    }
    assert set(places.values()) == {fr_keras.__version__}, places
    assert contents(wheels, "fr_archive")[1].get_all("Requires-Dist") == ["numpy>=2.0"]
    required = contents(wheels, "fr_keras")[1].get_all("Requires-Dist")
    assert f"fr-archive=={fr_keras.__version__}" in required


def test_the_license_is_one():
    assert (ROOT / "fr_archive" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_no_line_of_fr_archive_imports_more_than_numpy():
    """Also inside of functions, where an environment without the rest would not show it."""
    for path in (ROOT / "fr_archive").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, path
                names = [node.module]
            tops = {name.partition(".")[0] for name in names}
            assert tops <= {"numpy", "fr_archive", *sys.stdlib_module_names}, path


_EVERY_MODULE = """
import importlib, json, pkgutil, sys
from importlib.metadata import distributions
import fr_archive
for one in pkgutil.walk_packages(fr_archive.__path__, "fr_archive."):
    importlib.import_module(one.name)
print(json.dumps([fr_archive.__file__, sorted(one.name for one in distributions())]))
"""


def test_fr_archive_works_where_there_is_numpy_alone(wheels, tmp_path):
    programs = installed(wheels, "fr-archive", tmp_path / "venv", {"numpy"}.__contains__)
    place, names = json.loads(run(programs / "python", "-I", "-c", _EVERY_MODULE).stdout)
    assert Path(place).is_relative_to(tmp_path)
    assert names == ["fr-archive", "numpy"]
    command, output = programs / "fr-archive", tmp_path / "m.tflite"
    found = json.loads(run(command, "inspect", DIGITS, "--json", cwd=tmp_path).stdout)
    assert found["bytes"] == DIGITS.stat().st_size
    run(command, "unpack", DIGITS, output, cwd=tmp_path)
    assert output.read_bytes() == fr_archive.expand(fr_archive.decode(DIGITS.read_bytes()))
    hostile, none = tmp_path / "hostile.fr", tmp_path / "none.tflite"
    hostile.write_bytes(DIGITS.read_bytes()[:-1] + b"\0")
    done = run(command, "unpack", hostile, none, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: The checksum is wrong: the file is damaged (at byte 4)\n"
    assert not none.exists()


_CONVERSION = """
import fr_archive, fr_keras
model = fr_keras.regularize(fr_keras.zoo.lenet5())
print(len(fr_keras.tflite.convert(model).content))
print(fr_archive.__file__, fr_keras.__file__)
"""


@pytest.mark.slow
def test_both_wheels_work_outside_the_checkout(wheels, tmp_path):
    programs = installed(
        wheels,
        "fr-keras",
        tmp_path / "venv",
        lambda name: not name.startswith(("fr_", "__editable__", "__pycache__")),
    )
    done = run(programs / "python", "-I", "-c", _CONVERSION, cwd=tmp_path)
    size, places = done.stdout.splitlines()
    assert int(size) > 1_700_000
    assert all(Path(place).is_relative_to(tmp_path) for place in places.split())
    for command in ("fr-archive", "fr-keras"):
        output = tmp_path / f"{command}.tflite"
        run(programs / command, "unpack", DIGITS, output, cwd=tmp_path)
        assert output.read_bytes() == fr_archive.expand(fr_archive.decode(DIGITS.read_bytes()))
