"""The default steps keep the function, and the report says what a file did to it."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from networks import images, small_convnet, truncated_twin

import fr_keras
from fr_keras import interop, regularize, zoo
from fr_keras.archive import _agreement


def fresh(model: keras.Model, x: np.ndarray) -> keras.Model:
    """Random gammas and betas, and the statistics of some rows."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.trainable_weights:
                weight.assign(random.uniform(0.5, 1.5, weight.shape))
    interop.calibrate_batch_norm(model, x)
    return model


NETWORKS = {
    "convnet": lambda: truncated_twin(small_convnet(), 0.3),
    "lenet5": lambda: regularize(
        zoo.lenet5(batch_norm=True, classifier_activation=None), start=600
    ),
    "unet": lambda: regularize(zoo.unet((16, 16, 1), filters=2, classes=3), start=0.2),
}


@pytest.mark.parametrize(
    "name",
    ["lenet5", *(pytest.param(one, marks=pytest.mark.slow) for one in ("convnet", "unet"))],
)
def test_the_default_keeps_the_function(name, tmp_path):
    keras.utils.set_random_seed(1)
    model = NETWORKS[name]()
    x = images(60, model.input_shape[1:], seed=4)
    fresh(model, x)
    # Without calibration the statistics are kept as exactly as all other weights.
    given = {} if name == "convnet" else {"calibration": x}
    fr_keras.save_archive(model, tmp_path / "m.fr", **given)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    before, after = (np.asarray(one(x)) for one in (model, loaded))
    assert np.abs(after - before).mean() < 2e-3 * np.ptp(before)
    assert np.mean(after.argmax(-1) == before.argmax(-1)) > 0.98


def test_the_report_says_what_the_file_did(tmp_path):
    keras.utils.set_random_seed(1)
    x = images(40, seed=4)
    model = fresh(NETWORKS["convnet"](), x)
    usual = fr_keras.save_archive(model, tmp_path / "usual.fr", calibration=x)
    coarse = {"step": 0.005, "error": 0.01, "kernel_error": 0.1}
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", **coarse, calibration=x)
    before, after = (
        np.asarray(one(x)) for one in (model, fr_keras.load_archive(tmp_path / "m.fr"))
    )
    (said,) = packing.agreements.values()
    assert list(packing.agreements) == ["logits"]
    assert said.rows == 40
    assert said.mean == pytest.approx(np.abs(after - before).mean(), rel=1e-3)
    assert said.range == pytest.approx(np.ptp(before))
    assert said.argmax == np.mean(before.argmax(-1) == after.argmax(-1))
    assert f"arg-max agrees on {said.argmax:.2%}" in " ".join(str(packing).split())
    # Smaller, and further away, is an explicit choice.
    assert packing.bytes < 0.85 * usual.bytes
    assert said.mean > usual.agreements["logits"].mean
    held = json.loads(json.dumps(packing.to_dict()))
    assert held["agreements"]["logits"]["argmax"] == said.argmax
    assert held["left_out"] == []
    without = fr_keras.save_archive(model, tmp_path / "n.fr")
    assert without.agreements == {}
    assert "against the model" not in str(without)


def test_a_network_without_statistics_is_measured_too(tmp_path):
    model = regularize(zoo.lenet5(), start=300)
    x = images(30, (28, 28, 1))
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", calibration=(one[None] for one in x))
    assert packing.agreements["classifier"].rows == 30


def several() -> keras.Model:
    one, two = keras.Input((4,), name="one"), keras.Input((3,), name="two")
    y = layers.BatchNormalization()(layers.Dense(5)(layers.Concatenate()([one, two])))
    whole = layers.Hashing(7, name="whole")(layers.Discretization([0.2], name="bins")(one))
    outputs = {"a": layers.Dense(2, name="a")(y), "b": [layers.Dense(1, name="b")(y), whole]}
    return regularize(keras.Model({"one": one, "two": two}, outputs))


@pytest.mark.parametrize("kind", ["dict", "batches", "labelled batches"])
def test_several_inputs_and_outputs(kind, tmp_path):
    pytest.importorskip("tensorflow")  # Keras has some of these layers there alone
    rows = {"one": images(30, (4,)), "two": images(30, (3,), seed=1)}
    batches = [{key: part[n : n + 7] for key, part in rows.items()} for n in range(0, 30, 7)]
    data = {
        "dict": batches[:1],
        "batches": iter(batches),
        "labelled batches": [(one, 0) for one in batches],
    }
    packing = fr_keras.save_archive(several(), tmp_path / "m.fr", calibration=data[kind])
    floats = [one for one in packing.agreements.values() if one.range < 7]
    assert len(packing.agreements) == 2 == len(floats)
    assert {one.rows for one in floats} == {7 if kind == "dict" else 30}


def test_the_sample_is_from_everywhere_and_bounded():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    x = np.arange(10_000, dtype=np.float32)[:, None]
    for data in (x, np.split(x, 100), (part for part in np.split(x, 1000))):
        sample = _agreement.Sample(data, model)
        assert sum(map(len, sample)) == 10_000
        rows = np.concatenate(list(sample.batches())).ravel()
        assert _agreement.MOST_ROWS / 2 <= len(rows) <= _agreement.MOST_ROWS
        assert len(set(np.diff(rows))) == 1
        assert rows[0] == 0
        assert rows[-1] > 9_900
