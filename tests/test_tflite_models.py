"""The files in git are what their list says, run, and score what it claims."""

import hashlib
import json
from pathlib import Path

import numpy as np
import publish_models
import pytest

from fr_bench import data
from fr_keras import tflite

MODELS = Path(__file__).parents[1] / "tflite_models"
ENTRIES = json.loads((MODELS / "models.json").read_text())
# Kernels differ in their last bits between CPUs; rows at the edge may turn: so many at least.
_SLACK, _ROWS = 0.005, 3


def test_the_list_is_whole():
    assert {entry["file"] for entry in ENTRIES} == {path.name for path in MODELS.glob("*.tflite")}
    assert {entry["data"] for entry in ENTRIES} == {"digits", "mnist"}
    table = (MODELS / "README.md").read_text()
    for entry in ENTRIES:
        assert entry["file"] in table
        assert entry["sha256"][:16] in table
        assert entry["command"] in table


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_a_file_is_what_the_list_says(entry):
    content = (MODELS / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    found = tflite.inspect(content)
    assert found.bytes == entry["bytes"]
    assert found.metadata["command"] == entry["command"]
    assert tflite.run(content, np.zeros((2, 28, 28, 1), np.float32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_files_score_what_they_claim(name, request):
    entries = [entry for entry in ENTRIES if entry["data"] == name]
    source = name
    if name != "digits":
        source = str(request.getfixturevalue("real_data") / f"{name}.npz")
    test = data.load(source).test
    slack = max(_SLACK, _ROWS / len(test.y))
    for entry in entries:
        outputs = tflite.run(MODELS / entry["file"], test.inputs())
        assert np.mean(outputs.argmax(-1) == test.y) == pytest.approx(entry["accuracy"], abs=slack)


def test_publishing_copies_and_lists(tmp_path):
    folder, models = tmp_path / "folder", tmp_path / "models"
    folder.mkdir()
    models.mkdir()
    (models / "README.md").write_text("What it is.\n\n")
    content = (MODELS / ENTRIES[0]["file"]).read_bytes()
    (folder / "a.tflite").write_bytes(content)
    first = ENTRIES[0]
    row = {"file": "a.tflite", "kept": first["kept"], "score": {"value": first["accuracy"]}}
    row |= {"device_bytes": first["bytes"], "download_bytes": first["gzip_bytes"]}
    (folder / "results.json").write_text(json.dumps({"data": "mine", "forms": [row]}))
    for _ in range(2):  # publishing again replaces
        (entry,) = publish_models.publish(folder, ["a.tflite"], models)
    assert entry == {**ENTRIES[0], "file": "mine_a.tflite", "data": "mine"}
    assert (models / "mine_a.tflite").read_bytes() == content
    readme = (models / "README.md").read_text()
    assert readme.startswith("What it is.\n\n<!--")
    assert readme.count("mine_a.tflite") == 1
    with pytest.raises(ValueError, match=r"has no \['b.tflite'\]"):
        publish_models.publish(folder, ["b.tflite"], models)
