"""The README's example runs as it stands."""

import re
from pathlib import Path

import keras
import numpy as np

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    inputs = keras.Input((10,))
    x = keras.layers.Dense(32, activation="relu")(inputs)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 10)).astype(np.float32)
    names = {
        "keras_model": keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x)),
        "x": rows,
        "y": rows.argmax(1) % 3,
        "x_test": rows[:5],
    }
    exec(example, names)
    assert names["probabilities"].shape == (5, 3)
    assert "arg-max agrees" in capsys.readouterr().out
    assert (tmp_path / "model.tflite").stat().st_size == len(names["done"].content)
