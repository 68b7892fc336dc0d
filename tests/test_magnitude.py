"""`MagnitudePruning`: masks, counts and schedule by brute force, on every kind of layer."""

import gzip
import math
import subprocess
import sys
from pathlib import Path

import keras
import layer_cases
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from backends import float64, no_executions, not_under, tensorflow_alone
from keras import layers as kl

import fr_keras
from fr_keras import regularize, tflite
from fr_keras.layers import plain_class
from fr_keras.methods import MagnitudePruning
from fr_keras.models.budget import targets
from fr_keras.models.walk import named_kernels, plain_kernels


def network(**compiled) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            kl.Conv2D(8, 3, name="conv"),
            kl.BatchNormalization(),
            kl.Flatten(),
            kl.Dense(3, name="dense"),
        ]
    )
    model.compile(**{"optimizer": "adam", "loss": "mse", **compiled})
    return model


X, Y = np.random.default_rng(0).normal(size=(16, 6, 6, 2)), np.ones((16, 3))
SIZES = {"conv": 3 * 3 * 2 * 8, "dense": 4 * 4 * 8 * 3}


def fit(model, *callbacks, epochs, x=X, y=Y, **options):
    options = {"verbose": 0, "batch_size": 8, **options}
    return model.fit(x, y, epochs=epochs, callbacks=list(callbacks), **options).history


def nonzero(model) -> dict[str, int]:
    found = plain_kernels(model).items()
    return {name: np.count_nonzero(values(kernel)) for name, (_, kernel) in found}


def values(kernel) -> np.ndarray:
    return keras.ops.convert_to_numpy(kernel)


class Watch(keras.callbacks.Callback):
    """Records the kernels after each batch and what each epoch began and ended with."""

    def __init__(self):
        super().__init__()
        self.batches, self.ends = [], []

    def _now(self):
        return {name: values(kernel) for name, (_, kernel) in plain_kernels(self.model).items()}

    def on_train_batch_end(self, batch, logs=None):
        self.batches[-1].append(self._now())

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.append([self._now()])

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(self._now())


def brute_force(kernel: np.ndarray, kept: int) -> np.ndarray:
    """The mask of the largest weights, the first of equal ones, by a whole sort."""
    order = np.argsort(-np.abs(kernel.ravel()), kind="stable")
    mask = np.zeros(kernel.size, bool)
    mask[order[:kept]] = True
    return mask.reshape(kernel.shape)


# The masks and the schedule


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD(0.1, momentum=0.9)])
def test_each_epoch_keeps_the_largest_of_the_weights_before_it(optimizer):
    model, watch = network(optimizer=optimizer), Watch()
    before = {name: values(kernel) for name, (_, kernel) in plain_kernels(model).items()}
    keep = {"conv": 20, "dense": 0.1}
    history = fit(model, MagnitudePruning(keep, epochs=4), watch, epochs=6)
    counts = {"conv": 20, "dense": 38}
    for epoch, batches in enumerate(watch.batches):
        fraction = (1 - min(epoch, 3) / 3) ** 3
        for name, target in counts.items():
            mask = brute_force(before[name], target + round((SIZES[name] - target) * fraction))
            np.testing.assert_array_equal(batches[0][name], np.where(mask, before[name], 0))
            for after in batches[1:]:
                np.testing.assert_array_equal(after[name] != 0, mask)
                assert not np.array_equal(after[name], batches[0][name])  # it goes on training
        before = batches[-1]
        assert history["kept"][epoch] == sum(map(np.count_nonzero, before.values()))
    assert history["kept"][3:] == [58, 58, 58]


@pytest.mark.usefixtures("stepwise")
def test_equal_weights_and_zeros_are_cut_to_the_count():
    model = network(optimizer=keras.optimizers.SGD(0.0))
    conv, dense = model.get_layer("conv").kernel, model.get_layer("dense").kernel
    conv.assign(keras.ops.full(conv.shape, -0.5))
    dense.assign(np.arange(dense.shape[0] * 3).reshape(dense.shape) % 2)
    pruning = MagnitudePruning({"conv": 7, "dense": 200}, epochs=3)
    history = fit(model, pruning, epochs=3)
    assert np.flatnonzero(values(conv)).tolist() == list(range(7))
    # Half of them are zero, and none of the others is cut.
    assert nonzero(model) == {"conv": 7, "dense": 192}
    assert history["kept"][-1] == 199


def test_weights_that_begin_as_zeros_train():
    model = keras.Sequential([keras.Input((8,)), kl.Dense(4, kernel_initializer="zeros")])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(32, 8))
    history = fit(model, MagnitudePruning(9, epochs=3), epochs=3, x=x, y=x[:, :4])["kept"]
    assert history == [32, 12, 9]


@pytest.mark.usefixtures("stepwise")
def test_the_cubic_schedule_is_the_polynomial():
    schedule = fr_keras.schedules.cubic(11)
    assert [schedule(epoch) for epoch in range(11)] == pytest.approx(
        [1, 0.729, 0.512, 0.343, 0.216, 0.125, 0.064, 0.027, 0.008, 0.001, 0], abs=1e-12
    )
    assert schedule(99) == 0
    model = network()
    history = fit(model, MagnitudePruning({"dense": 84}, epochs=3, schedule="linear"), epochs=3)
    assert history["kept"] == [528, 528 - 150, 528 - 300]
    history = fit(network(), MagnitudePruning(58, 1), epochs=2)
    assert history["kept"] == [58, 58]


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("sharing", ["erdos_renyi", "proportional"])
def test_counts_are_those_that_fr_would_get(sharing):
    for keep in (300, 0.5, {"conv": 9, "dense": 0.25}):
        model = network()
        expected = targets(named_kernels(regularize(model)), keep, sharing=sharing)
        fit(model, MagnitudePruning(keep, 1, sharing=sharing), epochs=1)
        assert nonzero(model) == expected


# Kinds of layers and models


@pytest.mark.parametrize("case", layer_cases.BY_KIND, ids=lambda case: case.id)
def test_every_kernel_that_fr_holds_is_pruned_under_its_name(case):
    plain = plain_class(case.cls)
    options = {key: case.kwargs[key] for key in case.kwargs.keys() - {"axis_weights", "input_axes"}}
    model = case.model(plain(**options, name="layer"))
    model.compile("adam", "mse", run_eagerly=True)
    shapes = {name: one.spectrum_shape for name, one in named_kernels(regularize(model)).items()}
    assert {name: tuple(k.shape) for name, (_, k) in plain_kernels(model).items()} == shapes
    keep = {name: 1 + math.prod(shape) // 3 for name, shape in shapes.items()}
    x = case.inputs()
    fit(model, MagnitudePruning(keep, epochs=1), epochs=2, x=x, y=np.ones(model(x).shape))
    assert nonzero(model) == keep


def nested() -> keras.Model:
    def branch(name):
        stack = [keras.Input((3, 5)), kl.Dense(4, name="fc")]
        own = kl.TimeDistributed(kl.Dense(4, name=f"{name}_own"))
        return keras.Sequential([*stack, own], name=name)

    inputs = keras.Input((3, 5))
    x = kl.Add()([branch("left")(inputs), branch("right")(inputs)])
    shared = kl.Dense(4, name="shared")
    model = keras.Model(inputs, shared(kl.LayerNormalization()(shared(x))))
    model.compile("adam", "mse")
    return model


def test_nested_and_shared_layers_have_their_paths_and_count_once():
    model = nested()
    keep = {"left/fc": 3, "right/fc": 5, "left_own": 0.5, "shared": 2}
    fit(model, MagnitudePruning(keep, 2), epochs=2, x=np.ones((8, 3, 5)), y=np.ones((8, 3, 4)))
    found = {"left/fc": 3, "left_own": 8, "right/fc": 5, "right_own": 16, "shared": 2}
    assert nonzero(model) == found


def test_several_kernels_have_their_names_in_paths_too():
    def branch(name):
        inputs = keras.Input((5, 4))
        x = kl.MultiHeadAttention(1, 2, name="attention")(inputs, inputs)
        x = kl.SeparableConv1D(4, 3, name="separable")(x)
        return keras.Model(inputs, x, name=name)

    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, [branch("left")(inputs), branch("right")(inputs)])
    assert plain_kernels(model).keys() == named_kernels(regularize(model)).keys()
    assert "left/separable/separable_pointwise_kernel" in plain_kernels(model)
    assert "right/attention/attention_query" in plain_kernels(model)


@pytest.mark.usefixtures("stepwise")
def test_frozen_kernels_are_whole_and_do_not_count():
    model = network()
    model.get_layer("conv").trainable = False
    model.compile("adam", "mse")
    fit(model, MagnitudePruning(0.5, 1), epochs=1)
    assert nonzero(model) == {"conv": 144, "dense": 192}


@pytest.mark.usefixtures("stepwise")
def test_a_projection_that_is_frozen_inside_attention_is_whole():
    query = keras.Input((5, 4))
    attention = kl.MultiHeadAttention(1, 2, name="attention")
    model = keras.Model(query, attention(query, query))
    attention.query_dense.trainable = False
    model.compile("adam", "mse")
    fit(model, MagnitudePruning(0.5, 1), epochs=1, x=np.ones((8, 5, 4)), y=np.ones((8, 5, 4)))
    assert nonzero(model) == {
        "attention_query": 8,
        "attention_key": 4,
        "attention_value": 4,
        "attention_attention_output": 4,
    }


def test_penalties_and_constraints_of_kernels_are_taken():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            kl.Dense(4, kernel_regularizer="l1", name="first"),
            kl.Dense(4, kernel_constraint="non_neg", name="second"),
        ]
    )
    model.compile("adam", "mse")
    x = np.ones((8, 8))
    fit(model, MagnitudePruning({"first": 6, "second": 4}, 2), epochs=3, x=x, y=x[:, :4])
    assert nonzero(model)["first"] == 6
    assert nonzero(model)["second"] <= 4


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {"jit_compile": True},
            marks=[not_under("torch", "its compiler takes minutes"), pytest.mark.slow],
        ),
        pytest.param({"jit_compile": False}, marks=pytest.mark.slow),  # as other tests do
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),  # as other tests do
        pytest.param({"steps_per_execution": 2}, marks=no_executions),
        pytest.param(
            {"optimizer": keras.optimizers.Adam(use_ema=True, ema_momentum=0.5)},
            marks=pytest.mark.slow,
        ),
        {"optimizer": keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=1)},
        pytest.param(
            {"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=2)},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_ways_to_train(options):
    model = network(**options)
    history = fit(model, MagnitudePruning(100, epochs=3), epochs=4)
    assert history["kept"][2:] == [100, 100]
    assert sum(nonzero(model).values()) == 100


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "float16", "mixed_bfloat16", pytest.param("float64", marks=float64)]
)
def test_precisions(policy):
    model = keras.Sequential([keras.Input((8,)), kl.Dense(6, dtype=policy, name="dense")])
    model.compile("adam", "mse", jit_compile=False)
    kernel = model.layers[0].kernel
    dtype = kernel.dtype
    # Equal in float32, where the type is finer.
    first = 1 + np.arange(48).reshape(8, 6) * (1e-12 if dtype == "float64" else 1e-2)
    kernel.assign(first)
    model.optimizer.learning_rate = 0.0
    fit(model, MagnitudePruning(10, 1), epochs=1, x=np.ones((8, 8)), y=np.ones((8, 6)))
    assert kernel.dtype == dtype
    assert np.flatnonzero(values(kernel)).tolist() == list(range(38, 48))


def test_weights_that_are_no_numbers_are_kept_and_the_others_stay_zero():
    model = network(optimizer=keras.optimizers.SGD(np.nan))
    fit(model, MagnitudePruning(100, 1), epochs=2)
    assert sum(nonzero(model).values()) == 100
    assert np.isnan(model.get_layer("conv").kernel).any()


# What is saved


@pytest.mark.usefixtures("stepwise")
def test_zeros_are_in_every_file(tmp_path):
    model = network()
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", save_freq="epoch")
    fit(model, MagnitudePruning(60, epochs=2), checkpoint, epochs=3)
    assert sum(nonzero(keras.models.load_model(tmp_path / "1.keras")).values()) == 528
    for name in ("2", "3"):
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        assert sum(nonzero(loaded).values()) == 60
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras.models.clone_model(model)
    other.load_weights(tmp_path / "m.weights.h5")
    assert nonzero(other) == nonzero(model)


@tensorflow_alone("it converts")
@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_zeros_are_in_the_tflite_file(mode):
    model = keras.Sequential([keras.Input((64,)), kl.Dense(64, name="dense")])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    before = tflite.convert(model, quantize=mode, calibration=x).content
    fit(model, MagnitudePruning(100, epochs=1), epochs=1, x=x, y=x)
    content = tflite.convert(model, quantize=mode, calibration=x).content
    interpreter = Interpreter(model_content=content)
    kernels = [
        interpreter.get_tensor(one["index"])
        for one in interpreter.get_tensor_details()
        if tuple(one["shape"]) == (64, 64)
    ]
    (kernel,) = kernels
    # A weight below half a step of int8 becomes zero as well.
    assert np.count_nonzero(kernel) == 100 if mode == "float32" else kernel.astype(bool).sum() >= 90
    assert np.count_nonzero(kernel) <= 100
    assert len(gzip.compress(content)) < len(gzip.compress(before)) / 2


# The reference

PROGRAM = Path(__file__).with_name("masks_of_tfmot.py")


@pytest.mark.slow
def test_masks_are_those_of_tensorflow_model_optimization(tmp_path):
    """In a process of its own, because its import switches TensorFlow to Keras 2."""
    epochs = 6
    model, watch = network(optimizer=keras.optimizers.SGD(0.0)), Watch()
    kernels = {name: values(kernel) for name, (_, kernel) in plain_kernels(model).items()}
    counts = {"conv": 20, "dense": 37}
    task = {**kernels, **{f"{name}_kept": kept for name, kept in counts.items()}}
    np.savez(tmp_path / "task.npz", epochs=epochs, **task)
    subprocess.run(
        [sys.executable, PROGRAM, tmp_path / "task.npz", tmp_path / "masks.npz"], check=True
    )
    fit(model, MagnitudePruning(counts, epochs), watch, epochs=epochs + 1)
    with np.load(tmp_path / "masks.npz") as masks:
        for epoch, found in list(enumerate(watch.ends))[1:]:
            for name, kernel in found.items():
                np.testing.assert_array_equal(kernel != 0, masks[f"{name}_{epoch}"])
                sparsity = 1 - np.count_nonzero(kernel) / kernel.size
                # Whole weights of the fraction that the polynomial gives.
                expected = masks[f"{name}_{epoch}_sparsity"]
                assert sparsity == pytest.approx(expected, abs=0.5 / kernel.size + 1e-6)
    assert {name: np.count_nonzero(one) for name, one in watch.ends[-1].items()} == counts
