"""The code of the README and of the guides runs as it stands."""

import dataclasses
import re
import shlex
import warnings
from pathlib import Path

import click
import keras
import numpy as np
import pytest
from examples import telling
from test_candidates import compared

from fr_bench import data
from fr_bench.forms import ARCHIVES
from fr_keras import tflite
from fr_keras_cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    pytest.param(line, id=f"{page.stem}: {line}")
    for page in PAGES
    for line in dict.fromkeys(
        re.findall(r"^\$ (fr-keras .*)$", page.read_text().replace("\\\n", ""), re.MULTILINE)
    )
]


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def _code(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.strip()]


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = _blocks("README.md", "python")
    inputs = keras.Input((10,))
    x = keras.layers.Dense(32, activation="relu")(inputs)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 10)).astype(np.float32)
    names = {
        "keras_model": keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x)),
        "x": rows,
        "y": rows.argmax(1) % 3,
    }
    exec(example, names)
    assert "arg-max agrees" in capsys.readouterr().out
    assert (tmp_path / "model.tflite").stat().st_size == len(names["done"].content)
    assert (tmp_path / "model.fr").stat().st_size < len(names["done"].content)


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("rows", telling([96, 1500], 96))
def test_the_code_of_the_guide_runs_from_top_to_bottom(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with warnings.catch_warnings():
        if rows < 1500:  # few rows teach little
            warnings.simplefilter("ignore", tflite.ConversionWarning)
        for block in _blocks("docs/guide.md", "python"):
            exec(block.replace("1500", f"{rows}"), names)
    assert len(names["x"]) == rows
    assert names["probabilities"].shape == (len(names["x_test"]), 10)
    assert names["content"][4:8] == b"TFL3"
    assert {path.name for path in tmp_path.iterdir()} == {
        *("model.tflite", "int8.tflite", "aware.tflite", "mixed.tflite"),
        *("model.fr", "nested.fr", "priced.fr", "rounded.fr"),
    }


@pytest.mark.usefixtures("stepwise")
@pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")  # it learned nothing
def test_the_recipes_for_users_of_tfmot_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in _blocks("docs/coming-from-tfmot.md", "python"):
        exec(block, names)
    assert len(np.unique(names["levels"].layers[3].levels()["kernel"])) == 16
    files = {"pruned.tflite", "pruned.fr", "aware.tflite", "levels.fr"}
    assert {path.name for path in tmp_path.iterdir()} == files


@pytest.mark.usefixtures("stepwise")
@pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")  # ties of arg-maxes
def test_what_the_page_on_extending_adds_is_usable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, blocks = {}, _blocks("docs/extending.md", "python")
    for block in blocks:
        exec(block, names)
    layer, _, candidate = blocks
    assert "register_twin(" in layer
    assert "register_candidate(" in candidate
    assert all(len(_code(block)) < 15 for block in (layer, candidate))
    assert type(names["again"].get_layer("mixer")) is names["FRMixer"]
    assert names["again"].get_layer("mixer").kept == 40
    assert type(names["plain"].get_layer("mixer")) is names["Mixer"]
    loaded = keras.models.load_model("twin.keras")
    rows = np.ones((2, 16), np.float32)
    np.testing.assert_array_equal(loaded.predict(rows), names["twin"].predict(rows))
    results = compared(tmp_path, "plain", "cut", keeps=(5, 9))
    assert [one["title"] for one in results["trainings"]] == ["plain", "cut 5", "cut 9"]
    assert [one["kept"] for one in results["trainings"]] == [16, 5, 9]
    modes = [
        form["mode"] for form in results["forms"] if form["method"] == "cut" and form["keep"] == 9
    ]
    assert modes == ["float32", "int8", *ARCHIVES]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")  # it learned too little
def test_the_code_for_researchers_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    digits = data.load("digits")
    few = dataclasses.replace(digits, train=digits.train.thinned(16))
    monkeypatch.setattr(data, "load", lambda name: few)
    names = {}
    for block in _blocks("docs/research.md", "python"):
        exec(block, names)
    energy = float(np.sum((names["coefficients"] - names["kept"]) ** 2))
    assert float(np.sum((names["kernel"] - names["cut"]) ** 2)) == pytest.approx(energy, rel=1e-4)
    assert names["history"].history["kept"] == [430500, 8610, 8610]
    assert (tmp_path / "comparison" / "compare.html").is_file()


def test_the_landing_page_shows_the_code_of_the_readme():
    assert _blocks("docs/index.md", "python") == _blocks("README.md", "python")


def test_every_page_with_code_is_run():
    pages = {page.name for page in PAGES if "```python" in page.read_text()}
    # The examples of the format and of the scheduler are run by the tests of these.
    elsewhere = {"archive-format.md", "scheduler.md"}
    assert pages - elsewhere == {
        *("README.md", "coming-from-tfmot.md", "extending.md", "guide.md", "index.md"),
        "research.md",
    }


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_on_the_pages_are_such(line):
    _, name, *arguments = shlex.split(line, comments=True)
    command = main.commands[name]
    with click.Context(command, info_name=name) as context:
        _, rest, _ = command.make_parser(context).parse_args(args=arguments)
        assert not rest


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted(ROOT.glob("*/README.md"))],
    ids=lambda page: page.parent.name,
)
def test_links_of_a_readme_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []
