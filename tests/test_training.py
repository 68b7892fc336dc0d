"""Training FR models as Keras users train: each set-up that `fit` and its callbacks offer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from networks import bfloat16, colours, relative_difference
from resumable_run import KillAt, train

from fr_keras import TailTruncation, bake, regularize, summary
from fr_keras.models.walk import frequency_layers

X, Y = colours(64)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
KERNELS = 3 * 3 * 3 * 8 + 6 * 6 * 8 * 5
HERE = Path(__file__).parent


def small_network():
    """With `KERNELS` weights in its kernels."""
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.1, name="dropout")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(5, name="logits")(x))


def compiled(optimizer=None, **kwargs):
    model = regularize(small_network())
    optimizer = optimizer or keras.optimizers.Adam(1e-2)
    model.compile(optimizer, LOSS, metrics=["accuracy"], **kwargs)
    return model


def check_trained(model, history):
    """It learned what is easy, the cut arrived, and the baked model is the same function."""
    assert history["loss"][-1] < history["loss"][0]
    assert history["kept"][-1] == summary(model).kept == round(0.2 * KERNELS)
    assert relative_difference(model(X), bake(model)(X)) < 1e-3


def cut():
    return TailTruncation(0.2, epochs=3)


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),  # each layer is compiled, too
        pytest.param(
            {"optimizer": keras.optimizers.Adam(1e-2, gradient_accumulation_steps=2, clipnorm=1.0)},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"optimizer": keras.optimizers.AdamW(1e-2, weight_decay=1e-3, use_ema=True)},
            marks=pytest.mark.slow,
        ),
        {
            "optimizer": keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
            "steps_per_execution": 2,
        },
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),  # as `stepwise` tests do
    ],
    ids=lambda setup: "-".join(setup),
)
def test_compile_options(setup):
    model = compiled(**setup)
    history = model.fit(X, Y, epochs=10, batch_size=16, verbose=0, callbacks=[cut()])
    check_trained(model, history.history)


@pytest.mark.parametrize(
    "fit",
    [
        {"class_weight": dict.fromkeys(range(5), 2.0), "validation_split": 0.25},
        pytest.param({"sample_weight": np.linspace(0.5, 1.5, 64)}, marks=pytest.mark.slow),
    ],
    ids=lambda fit: "-".join(fit),
)
def test_fit_options(fit):
    model = compiled()
    history = model.fit(X, Y, epochs=10, batch_size=16, verbose=0, callbacks=[cut()], **fit)
    check_trained(model, history.history)


def test_endless_data_with_steps_per_epoch():
    model = compiled()
    endless = tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(16)
    history = model.fit(
        endless, steps_per_epoch=3, epochs=10, verbose=0, shuffle=False, callbacks=[cut()]
    )
    check_trained(model, history.history)


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=(bfloat16, pytest.mark.slow))],
)
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = compiled()
    finally:
        keras.config.set_dtype_policy("float32")
    history = model.fit(X, Y, epochs=10, batch_size=16, verbose=0, callbacks=[cut()]).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["kept"][-1] == summary(model).kept == round(0.2 * KERNELS)


def test_callbacks_of_keras_together(tmp_path):
    model = compiled()
    callbacks = [
        cut(),
        keras.callbacks.EarlyStopping("loss", patience=3, start_from_epoch=3),
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = model.fit(X, Y, epochs=5, batch_size=16, verbose=0, callbacks=callbacks).history
    check_trained(model, history)
    kept = [summary(keras.models.load_model(tmp_path / f"{e}.keras")).kept for e in range(1, 6)]
    assert kept == history["kept"]


@pytest.mark.slow
def test_mirrored_strategy(tmp_path):
    """Two logical CPU devices; in a process of its own, for devices are set before first use."""
    code = (
        "import keras, numpy as np, sys, tensorflow as tf\n"
        "cpu, = tf.config.list_physical_devices('CPU')\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "from fr_keras import TailTruncation, bake\n"
        "from fr_keras.models.walk import frequency_layers\n"
        "from test_training import KERNELS, X, Y, compiled, cut\n"
        "with tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']).scope():\n"
        "    model = compiled()\n"
        "fit = model.fit(X, Y, epochs=10, batch_size=16, verbose=0, callbacks=[cut()])\n"
        "history = fit.history\n"
        "assert history['loss'][-1] < history['loss'][0]\n"
        "assert history['kept'][-1] == round(0.2 * KERNELS)\n"
        "for layer in frequency_layers(model):\n"
        "    one, two = (np.asarray(v) for v in layer.coefficients.value.values)\n"
        "    assert np.array_equal(one, two), layer.name\n"
        "model.save('mirrored.keras')\n"
        "again = keras.models.load_model('mirrored.keras')\n"
        "for a, b in zip(frequency_layers(model), frequency_layers(again), strict=True):\n"
        "    assert a.truncation == b.truncation\n"
        "    assert np.array_equal(np.asarray(a.kernel), np.asarray(b.kernel))\n"
        "assert bake(model).count_params() > 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def resumable(step, *folders):
    script = str(HERE / "resumable_run.py")
    return subprocess.run([sys.executable, script, str(step), *folders], capture_output=True)


def check_resumed(tmp_path, steps):
    """Kills the run at each of `steps` in turn; what it ends with is the uninterrupted run's."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    for step in steps:
        assert resumable(step, killed).returncode == -signal.SIGKILL
        assert not (killed / "weights.npz").exists()
    assert resumable(0, killed, whole).returncode == 0
    a, b = np.load(whole / "weights.npz"), np.load(killed / "weights.npz")
    for name in a.files:
        assert np.array_equal(a[name], b[name]), name


class StoppedAt(KillAt):
    """Stops the fit, and leaves the process alive."""

    def kill(self):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_weights(tmp_path):
    """Killed processes, and equal bits, are what the slow test is for."""
    found = []
    for name, steps in (("whole", []), ("stopped", [6])):
        for step in steps:
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path / name, StoppedAt(step))
            assert not (tmp_path / name / "weights.npz").exists()
        train(tmp_path / name)
        with np.load(tmp_path / name / "weights.npz") as held:
            found.append([held[one] for one in held.files])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_points(tmp_path):
    """Points inside an epoch, as often as it takes: 4 batches an epoch, 6 epochs."""
    rng = np.random.default_rng(0)
    for chain in range(5):
        folder = tmp_path / str(chain)
        folder.mkdir()
        check_resumed(folder, rng.integers(1, 6, 4).tolist())


@pytest.mark.slow
def test_optimizer_state_of_a_saved_model_goes_on(tmp_path):
    model = compiled()
    model.get_layer("dropout").rate = 0.0
    model.fit(X, Y, epochs=3, batch_size=16, verbose=0, shuffle=False, callbacks=[cut()])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for one in (model, again):
        one.fit(X, Y, epochs=1, batch_size=16, verbose=0, shuffle=False, callbacks=[cut()])
    for a, b in zip(frequency_layers(model), frequency_layers(again), strict=True):
        assert np.allclose(a.coefficients, b.coefficients, atol=1e-5)
