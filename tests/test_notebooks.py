"""The notebooks run as they stand, and show what they show in git."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"


def run(name: str, folder: Path) -> list[str]:
    """Runs a notebook in a folder; the texts that it prints, by cell."""
    stored = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(stored)
    notebook = nbformat.read(FOLDER / name, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, resources=place).execute()
    assert len(notebook.cells) == len(stored.cells)
    for now, before in zip(notebook.cells, stored.cells, strict=True):
        if now.cell_type == "code":
            shown = {output.output_type for output in before.outputs}
            assert shown <= {output.output_type for output in now.outputs}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(one.text for one in c.outputs if one.get("name") == "stdout") for c in cells]


def test_quickstart(tmp_path):
    (line,) = [text for text in run("01_quickstart.ipynb", tmp_path) if "test images" in text]
    assert float(line.split("%")[0]) > 95
    assert (tmp_path / "digits.tflite").is_file()


@pytest.mark.slow
def test_unet(tmp_path):
    (table,) = [text for text in run("02_unet.ipynb", tmp_path) if "Dice" in text]
    dice = {line[:24].strip(): float(line.split()[-1]) for line in table.splitlines()}
    assert dice["float32"] > 0.7
    assert dice["float32"] == pytest.approx(dice["float32, whole kernels"], abs=0.002)
    assert dice["int8"] > dice["float32"] - 0.02
    assert dice["int8, fine-tuned"] > dice["float32"] - 0.02


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
