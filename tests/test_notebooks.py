"""The notebooks run as they stand, and show what they show in git."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, tmp_path):
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, resources=place).execute()
    assert len(notebook.cells) == len(stored.cells)
    for now, before in zip(notebook.cells, stored.cells, strict=True):
        if now.cell_type == "code":
            shown = {output.output_type for output in before.outputs}
            assert shown <= {output.output_type for output in now.outputs}
    (accuracy,) = [
        float(output.text.split("%")[0])
        for cell in notebook.cells
        if cell.cell_type == "code" and "test_accuracy" in cell.source
        for output in cell.outputs
        if output.get("name") == "stdout"
    ]
    assert accuracy > 95
    assert (tmp_path / "digits.tflite").is_file()


def test_there_is_a_notebook():
    assert NOTEBOOKS
