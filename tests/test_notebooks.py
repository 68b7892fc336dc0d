"""The notebooks run as they stand, and show what they show in git."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import fr_keras
from fr_bench import data

FOLDER = Path(__file__).parents[1] / "notebooks"


def run(name: str, folder: Path) -> list[str]:
    """Runs a notebook in a folder; the texts that it prints, by cell."""
    nbformat, nbclient = (pytest.importorskip(name) for name in ("nbformat", "nbclient"))
    stored = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(stored)
    notebook = nbformat.read(FOLDER / name, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=place).execute()
    assert len(notebook.cells) == len(stored.cells)
    for now, before in zip(notebook.cells, stored.cells, strict=True):
        if now.cell_type == "code":
            shown = {output.output_type for output in before.outputs}
            assert shown <= {output.output_type for output in now.outputs}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(one.text for one in c.outputs if one.get("name") == "stdout") for c in cells]


@pytest.mark.slow
def test_the_code_of_the_quickstart_runs(tmp_path, monkeypatch, capsys):
    """In this process, on fewer rows and for fewer epochs, so that it needs no notebook server."""
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    digits = data.load("digits")
    few = dataclasses.replace(digits, train=digits.train.thinned(4))
    monkeypatch.setattr(data, "load", lambda name: few)
    cells = json.loads((FOLDER / "01_quickstart.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "epochs = 20\n" in code
    names = {}
    exec(code.replace("epochs = 20\n", "epochs = 6\n"), names)
    pyplot.close("all")
    assert names["history"]["kept"][-1] == fr_keras.summary(names["model"]).kept
    assert 0 <= names["test_accuracy"] <= 1
    assert "test images" in capsys.readouterr().out
    assert (tmp_path / "digits.tflite").read_bytes() == names["done"].content
    rows, model = names["rows"], names["model"]
    for other in (names["loaded"], names["baked"]):
        np.testing.assert_allclose(other(rows), model(rows), atol=1e-4)


@pytest.mark.slow
def test_quickstart(tmp_path):
    (line,) = [text for text in run("01_quickstart.ipynb", tmp_path) if "test images" in text]
    assert float(line.split("%")[0]) > 60  # 97 % and more, but no processor is asked for it
    assert (tmp_path / "digits.tflite").is_file()


@pytest.mark.slow
def test_unet(tmp_path):
    (table,) = [text for text in run("02_unet.ipynb", tmp_path) if "Dice" in text]
    dice = {line[:24].strip(): float(line.split()[-1]) for line in table.splitlines()}
    # The two float files hold one function; what int8 costs differs between processors.
    assert dice["float32"] == pytest.approx(dice["float32, whole kernels"], abs=0.002)
    assert all(0 <= one <= 1 for one in dice.values())
    assert {"int8", "int8, fine-tuned"} <= set(dice)


@pytest.mark.slow
def test_benchmark(tmp_path):
    texts = run("03_benchmark.ipynb", tmp_path)
    (table,) = [text for text in texts if "arg-max equal" in text]
    rows = [line.split() for line in table.splitlines()]
    assert len(rows) == 8  # four files, with XNNPACK and without
    assert (tmp_path / "report.html").is_file()


def test_every_notebook_is_run():
    assert [path.name for path in sorted(FOLDER.glob("*.ipynb"))] == [
        "01_quickstart.ipynb",
        "02_unet.ipynb",
        "03_benchmark.ipynb",
    ]
