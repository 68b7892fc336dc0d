"""What `make android` is made of; the tests on the JVM themselves are in `android_demo`."""

import dataclasses
import hashlib
import importlib
import io
import json
import re
import sys
import tomllib
from pathlib import Path

import loopback_app
import numpy as np
import pytest

import fr_archive
from fr_bench import data
from fr_bench.benchmark.android import app
from fr_bench.scheduling import capacities
from fr_keras import tflite

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "android_demo"


@pytest.fixture
def tools(monkeypatch):
    """The modules of `tools/android`."""
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "android"))
    return importlib.import_module("jars"), importlib.import_module("jvm")


def test_the_dictionary_is_that_of_python():
    packed = DEMO / "frarchive/src/main/resources/org/frkeras/archive/dictionary.txt"
    assert packed.read_bytes() == (ROOT / "fr_archive" / "dictionary.txt").read_bytes()


def test_gradle_takes_the_same_versions(tools):
    jars, _ = tools
    catalog = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())["versions"]
    versions = {jar.artifact: jar.version for jar in jars.listed()}
    assert versions["kotlin-compiler-embeddable"] == catalog["kotlin"]
    assert versions["kotlin-stdlib"] == catalog["kotlin"]
    screens = {jar.artifact: jar.version for jar in jars.listed(["screens"])}
    assert screens["robolectric"] == catalog["robolectric"]
    assert versions["junit-platform-console-standalone"] == catalog["junitPlatform"]
    assert catalog["junit"].split(".")[1:] == catalog["junitPlatform"].split(".")[1:]


def test_no_line_of_kotlin_is_longer_than_those_of_python():
    for path in DEMO.rglob("*.kt"):
        assert max(map(len, path.read_text().splitlines())) <= 100, path


def with_content(jar, content: bytes):
    return dataclasses.replace(jar, sha256=hashlib.sha256(content).hexdigest())


def test_jars_that_are_there_are_checked(tools, tmp_path):
    jars, _ = tools
    jar = with_content(jars.listed()[0], b"a jar")
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / jar.file).write_bytes(b"a jar")
    assert jars.fetch([jar], tmp_path) == {jar.use: [tmp_path / "jars" / jar.file]}
    (tmp_path / "jars" / jar.file).write_bytes(b"another")
    with pytest.raises(jars.SetupError, match="not the file of the list"):
        jars.fetch([jar], tmp_path)


def fake_maven(folder: Path, script: str) -> None:
    (folder / "mvn").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "mvn").chmod(0o755)


def test_jars_are_fetched_by_maven_and_checked(tools, tmp_path, monkeypatch):
    jars, _ = tools
    jar = with_content(jars.listed()[0], b"a jar")
    bins, root = tmp_path / "bin", tmp_path / "root"
    bins.mkdir()
    monkeypatch.setenv("PATH", str(bins), prepend=":")
    target = r"$(sed -n 's/.*<outputDirectory>\(.*\)<\/outputDirectory>.*/\1/p' pom.xml)"
    fake_maven(bins, f"grep -q {jar.artifact} pom.xml && printf 'a jar' > {target}/{jar.file}")
    (path,) = jars.fetch([jar], root)[jar.use]
    assert path.read_bytes() == b"a jar"
    assert [entry.name for entry in root.iterdir()] == ["jars"]
    path.unlink()
    fake_maven(bins, f"printf 'not it' > {target}/{jar.file}")
    with pytest.raises(jars.SetupError, match="SHA-256"):
        jars.fetch([jar], root)
    assert not path.exists()
    fake_maven(bins, "echo '[ERROR] no route to anywhere'; exit 1")
    with pytest.raises(jars.SetupError, match="no route"):
        jars.fetch([jar], root)


@pytest.mark.parametrize("name", ["jvm", "scheduler", "app", "apk", "screens"])
def test_what_is_missing_is_said(name, tools, tmp_path, monkeypatch, capsys):
    jars, _ = tools
    module = importlib.import_module(name)

    def check(code: int, text: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        assert jars.script("What it does.", module.set_up, module.work) == code
        assert text in capsys.readouterr().err

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    check(1, "error: `java` is missing: install a JDK")
    check(0, "not run: `java` is missing", "--if-possible")
    # Java alone does not do.
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("FR_KERAS_ANDROID", str(tmp_path / "android"))
    check(1, "`mvn` is missing")


def test_an_old_java_is_said(tools, tmp_path, monkeypatch):
    jars, _ = tools
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(jars.SetupError, match=r"need Java 17 or newer\. Received: .*11\.0\.2"):
        importlib.import_module("screens").set_up()


def test_what_fails_is_no_success(tools, monkeypatch, capsys):
    jars, _ = tools

    def refused(needed):
        raise jars.SetupError(f"{needed} was refused")

    monkeypatch.setattr(sys, "argv", ["x.py", "--if-possible"])
    assert jars.script("What it does.", lambda: 3, lambda needed: needed == 3) == 0
    assert jars.script("What it does.", lambda: 3, lambda needed: needed == 4) == 1
    assert jars.script("What it does.", lambda: 3, refused) == 1
    assert "error: 3 was refused" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_the_archives_of_the_app_are_those_that_were_scored(name):
    said = json.loads((DEMO / "models" / "networks.json").read_text())[name]
    content = (DEMO / "models" / said["file"]).read_bytes()
    assert len(content) == said["bytes"]
    expanded = fr_archive.expand(fr_archive.decode(content))
    assert len(expanded) == said["tflite_bytes"]
    if name == "digits":
        rows = data.load(name).test
        right = np.mean(tflite.run(expanded, rows.inputs()).argmax(-1) == rows.y)
        assert right == pytest.approx(said["test_accuracy"], abs=2 / len(rows.y))  # other kernels


@pytest.mark.parametrize("name", ["nested_digits", "nested_shapes", "nested_parity"])
def test_the_capacities_of_the_app_are_those_that_were_measured(name):
    said = json.loads((DEMO / "models" / "networks.json").read_text())[name]
    content = (DEMO / "models" / said["file"]).read_bytes()
    assert len(content) == said["bytes"]
    found = list(fr_archive.nested.frames(io.BytesIO(content)))
    assert [one.bytes for one in found] == [one["bytes"] for one in said["capacities"]]
    memory = [one.memory for one in capacities(one.archive.profile for one in found)]
    assert memory == sorted(memory)
    for frame, one in zip(found, said["capacities"], strict=True):
        assert frame.archive.profile.items() <= one.items()
        expanded = fr_archive.expand(fr_archive.decode(content, capacity=one["share"]))
        assert len(expanded) == one["tflite_bytes"]
        if name == "nested_parity":
            rows = data.load("digits").test
            right = np.mean(tflite.run(expanded, rows.inputs()).argmax(-1) == rows.y % 2)
            assert right == pytest.approx(one["accuracy"], abs=2 / len(rows.y))  # other kernels


def test_python_and_the_app_call_it_by_the_same_names(tools):
    apk = importlib.import_module("apk")
    manifest = (DEMO / "app" / "src" / "main" / "AndroidManifest.xml").read_text()
    assert apk.PACKAGE == app.PACKAGE == loopback_app.PACKAGE
    assert f'android:name="{app.ACTIVITY.removeprefix(f"{app.PACKAGE}/")}"' in manifest
    engine = (DEMO / "app/src/main/kotlin/org/frkeras/demo/logic/Engine.kt").read_text()
    assert tuple(re.findall(r'^    [A-Z]+\("(\w+)"\),$', engine, re.MULTILINE)) == app.DELEGATES


def test_the_app_asks_for_no_permission():
    manifest = (DEMO / "app" / "src" / "main" / "AndroidManifest.xml").read_text()
    assert "uses-permission" not in manifest


def test_the_logic_of_the_app_is_without_android():
    for path in (DEMO / "app/src/main/kotlin/org/frkeras/demo/logic").glob("*.kt"):
        text = path.read_text()
        assert "import android" not in text, path
        assert "import org.tensorflow" not in text, path
