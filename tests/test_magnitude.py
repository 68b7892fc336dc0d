"""`MagnitudePruning`: masks, counts and schedule by brute force, on every kind of model."""

import gzip
import math
import subprocess
import sys

import keras
import layer_cases
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers as kl
from test_truncation_end import Back, Stopping, said

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


@pytest.mark.parametrize("sharing", ["erdos_renyi", "proportional"])
def test_counts_are_those_that_fr_would_get(sharing):
    for keep in (300, 0.5, {"conv": 9, "dense": 0.25}):
        model = network()
        expected = targets(named_kernels(regularize(model)), keep, sharing=sharing)
        fit(model, MagnitudePruning(keep, 1, sharing=sharing), epochs=1)
        assert nonzero(model) == expected


# Kinds of layers and models


@pytest.mark.parametrize("case", layer_cases.CASES, ids=lambda case: case.id)
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


def test_frozen_kernels_are_whole_and_do_not_count():
    model = network()
    model.get_layer("conv").trainable = False
    model.compile("adam", "mse")
    fit(model, MagnitudePruning(0.5, 1), epochs=1)
    assert nonzero(model) == {"conv": 144, "dense": 192}


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
        {"jit_compile": True},
        {"jit_compile": False},
        {"run_eagerly": True},
        {"steps_per_execution": 2},
        {"optimizer": keras.optimizers.Adam(use_ema=True, ema_momentum=0.5)},
        {"optimizer": keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=1)},
        {"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=2)},
    ],
    ids=str,
)
def test_ways_to_train(options):
    model = network(**options)
    history = fit(model, MagnitudePruning(100, epochs=3), epochs=4)
    assert history["kept"][2:] == [100, 100]
    assert sum(nonzero(model).values()) == 100


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "float64"])
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


# The end of fit, and going on


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
@pytest.mark.parametrize("other", [Stopping, lambda: Back("on_train_end")])
def test_an_epoch_that_comes_back_is_cut_and_said_once(first, other):
    model, ours = network(), MagnitudePruning(60, epochs=3)
    with pytest.warns(UserWarning, match="another callback, such as EarlyStopping") as told:
        fit(model, *([ours, other()] if first else [other(), ours]), epochs=4)
    (message,) = said(told)
    assert "EarlyStopping(start_from_epoch=2)" in message
    assert sum(nonzero(model).values()) == 60


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
def test_an_epoch_at_the_target_comes_back_silently(first):
    model, ours = network(), MagnitudePruning(60, epochs=3)
    stopping = Stopping()
    stopping.start_from_epoch = 2
    fit(model, *([ours, stopping] if first else [stopping, ours]), epochs=5)
    assert stopping.best_epoch == 2
    assert sum(nonzero(model).values()) == 60


def test_averages_are_cut_silently():
    model = network(optimizer=keras.optimizers.Adam(use_ema=True))
    swap = keras.callbacks.SwapEMAWeights()
    fit(model, MagnitudePruning(60, epochs=3), swap, epochs=3)
    assert sum(nonzero(model).values()) == 60


def test_an_early_end_is_said_and_a_further_fit_continues():
    model, ours = network(), MagnitudePruning(60, epochs=5, schedule="linear")
    with pytest.warns(UserWarning, match="keep 294 weights instead of 60") as told:
        history = fit(model, ours, epochs=3)
    assert len(said(told)) == 1
    assert history["kept"] == [528, 411, 294]
    assert fit(model, ours, epochs=3)["kept"] == [177, 60, 60]
    zeros = {name: values(kernel) == 0 for name, (_, kernel) in plain_kernels(model).items()}
    assert fit(model, ours, epochs=1)["kept"] == [60]
    for name, (_, kernel) in plain_kernels(model).items():
        np.testing.assert_array_equal(values(kernel) == 0, zeros[name])


def test_a_layer_that_is_frozen_between_fits_keeps_its_zeros():
    model, ours = network(), MagnitudePruning({"conv": 20, "dense": 40}, epochs=1)
    fit(model, ours, epochs=1)
    model.get_layer("conv").trainable = False
    model.compile("adam", "mse")
    ours.keep = {"dense": 40}
    fit(model, ours, epochs=1)
    assert nonzero(model) == {"conv": 20, "dense": 40}


def test_one_callback_for_two_models_and_for_new_weights():
    ours = MagnitudePruning(60, epochs=2)
    model, other = network(), network()
    start = model.get_weights()
    assert fit(model, ours, epochs=2)["kept"] == [528, 60]
    assert fit(other, ours, epochs=2)["kept"] == [528, 60]
    assert sum(nonzero(model).values()) == 60
    assert fit(other, ours, epochs=1)["kept"] == [60]
    other.set_weights(start)
    assert fit(other, ours, epochs=2)["kept"] == [528, 60]


def resumed(tmp_path, callbacks) -> keras.Model:
    """Breaks in the third epoch, and goes on from the backup in a new model."""

    def interrupt(epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt

    broken = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), *callbacks(), broken, epochs=5, shuffle=False)
    model = network()
    history = fit(model, *callbacks(), epochs=5, shuffle=False)
    assert history["kept"] == [216, 60, 60]
    return model


def test_a_backup_goes_on_as_if_nothing_had_happened(tmp_path):
    def callbacks():
        ours = MagnitudePruning(60, epochs=4, schedule="linear")
        return ours, keras.callbacks.BackupAndRestore(tmp_path / "backup")

    keras.utils.set_random_seed(1)
    broken = resumed(tmp_path, callbacks)
    keras.utils.set_random_seed(1)
    whole = network()
    fit(whole, MagnitudePruning(60, epochs=4, schedule="linear"), epochs=5, shuffle=False)
    assert nonzero(broken) == nonzero(whole)
    for a, b in zip(broken.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_initial_epoch_takes_the_place_in_the_schedule(tmp_path):
    model = network()
    with pytest.warns(UserWarning, match="fit ended before"):
        fit(model, MagnitudePruning(60, epochs=5, schedule="linear"), epochs=3)
    model.save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    ours = MagnitudePruning(60, epochs=5, schedule="linear")
    before = {name: values(kernel) != 0 for name, (_, kernel) in plain_kernels(model).items()}
    assert fit(model, ours, epochs=6, initial_epoch=3)["kept"] == [177, 60, 60]
    for name, (_, kernel) in plain_kernels(model).items():
        assert not (~before[name] & (values(kernel) != 0)).any()


def test_after_an_exception_the_same_callback_continues():
    model, ours = network(), MagnitudePruning(60, epochs=5, schedule="linear")

    class Interrupting(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:  # as in the middle of a step: weights moved and the batch did not end
                self.model.set_weights([w + 1 for w in self.model.get_weights()])
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, ours, Interrupting(), epochs=5)
    assert fit(model, ours, epochs=3)["kept"] == [177, 60, 60]


def test_a_list_of_callbacks_in_a_loop_of_ones_own():
    model = network()
    ours = MagnitudePruning({"dense": 64}, epochs=3)
    callbacks = keras.callbacks.CallbackList([ours], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(1)
    model.train_on_batch(X[:8], Y[:8])
    callbacks.on_train_batch_end(0)
    assert nonzero(model)["dense"] == 64 + (384 - 64) / 8
    callbacks.on_epoch_end(1, {})
    with pytest.warns(UserWarning, match="fit ended before the pruning did"):
        callbacks.on_train_end()


def test_two_callbacks_prune_different_layers():
    model = network()
    callbacks = [MagnitudePruning({"conv": 20}, 2), MagnitudePruning({"dense": 10}, 3)]
    assert fit(model, *callbacks, epochs=3)["kept"][-1] == 30


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0}, r"`keep` must be a whole number from 1 to 528.*Received: 0"),
        ({"keep": 529}, r"`keep` must be a whole number from 1 to 528.*Received: 529"),
        ({"keep": 1.5}, "`keep` must be a whole number"),
        ({"keep": True}, "`keep` must be a whole number"),
        ({"keep": "half"}, "`keep` must be a whole number"),
        ({"keep": 1}, r"`keep` must be at least 2, .*Received: 1. Keep more or give"),
        ({"keep": 1e-6}, r"`keep` must be at least 2, "),
        ({"keep": {}}, "`keep` must name layers of the model that can be cut.*an empty dict"),
        ({"keep": {"other": 3}}, r"`keep` must name layers .*\['conv', 'dense'\].*other"),
        ({"keep": {"conv": 145}}, r"`keep\['conv'\]` must be a whole number from 1 to 144"),
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1"),
        ({"epochs": 2.0}, "`epochs` must be a whole number of at least 1"),
        ({"schedule": "fast"}, "`schedule` must be one of .*cubic"),
        ({"schedule": lambda epoch: epoch}, "`schedule` must return fractions|never grow"),
        ({"sharing": "bandwidth"}, r"`sharing` must be one of \('erdos_renyi', 'proportional'\)"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_and_nothing_is_cut(arguments, message):
    model = network()
    start = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, MagnitudePruning(**{"keep": 60, "epochs": 2, **arguments}), epochs=1)
    for a, b in zip(start, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_largest_keep_cuts_nothing():
    model = network()
    assert fit(model, MagnitudePruning(528, 2), epochs=2)["kept"] == [528, 528]
    assert fit(model, MagnitudePruning(1.0, 2), epochs=2)["kept"] == [528, 528]


def test_fr_layers_are_refused_with_a_way_out():
    twin = regularize(network())
    twin.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"`fr_keras.TailTruncation` cuts.*bake.*layer 'conv'"):
        fit(twin, MagnitudePruning(60, 1), epochs=1)
    baked = fr_keras.bake(twin)
    baked.compile("adam", "mse")
    fit(baked, MagnitudePruning(60, 1), epochs=1)


def test_models_without_a_kernel_to_prune_are_refused():
    model = keras.Sequential([keras.Input((4,)), kl.LayerNormalization(name="norm")])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"`model` must have a trainable kernel.*'norm'"):
        fit(model, MagnitudePruning(1, 1), epochs=1, x=np.ones((8, 4)), y=np.ones((8, 4)))
    frozen = network()
    frozen.trainable = False
    frozen.layers[1].trainable = True
    frozen.compile("adam", "mse")
    with pytest.raises(ValueError, match="`model` must have a trainable kernel"):
        fit(frozen, MagnitudePruning(60, 1), epochs=1)


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = kl.Dense(3)

        def call(self, inputs):
            return self.dense(inputs)

    model = Own()
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="`model` must be sequential or functional"):
        fit(model, MagnitudePruning(3, 1), epochs=1, x=np.ones((8, 4)), y=np.ones((8, 3)))


def test_a_sequential_model_must_be_built():
    model = keras.Sequential([kl.Dense(4), kl.Dense(3)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4)), np.ones((8, 3))
    with pytest.raises(ValueError, match=r"`model` must be built.*model.build"):
        fit(model, MagnitudePruning(8, 1), epochs=1, x=x, y=y)
    model.build((None, 4))
    fit(model, MagnitudePruning(8, 1), epochs=1, x=x, y=y)
    assert sum(nonzero(model).values()) == 8


def test_lora_is_refused_where_it_would_fill_the_zeros():
    model = network()
    model.get_layer("dense").enable_lora(2)
    model.compile("adam", "mse")
    for keep in (60, 0.1, {"dense": 9}):
        with pytest.raises(ValueError, match=r"LoRA.*dict without the layer.*layer 'dense'"):
            fit(model, MagnitudePruning(keep, 1), epochs=1)
    fit(model, MagnitudePruning({"conv": 20}, 1), epochs=1)
    assert nonzero(model)["conv"] == 20
    model.get_layer("dense").trainable = False
    model.compile("adam", "mse")
    fit(model, MagnitudePruning(20, 1), epochs=1)


def test_lora_inside_attention_is_refused():
    query = keras.Input((5, 4))
    attention = kl.MultiHeadAttention(1, 2, name="attention")
    model = keras.Model(query, attention(query, query))
    attention.query_dense.enable_lora(1)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"LoRA.*'attention_query'"):
        fit(model, MagnitudePruning(9, 1), epochs=1, x=np.ones((8, 5, 4)), y=np.ones((8, 5, 4)))


# The reference

TFMOT = """
import json, os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

task = np.load(sys.argv[1])
kernels = {name: task[name] for name in ("conv", "dense")}
kl = tf_keras.layers
schedules = {
    name: tfmot.sparsity.keras.PolynomialDecay(
        0.0, 1 - int(task[f"{name}_kept"]) / kernel.size, 0, 2 * (EPOCHS - 1), frequency=2
    )
    for name, kernel in kernels.items()
}
prune = tfmot.sparsity.keras.prune_low_magnitude
model = tf_keras.Sequential([
    tf_keras.Input((6, 6, 2)),
    prune(kl.Conv2D(8, 3), schedules["conv"]),
    kl.Flatten(),
    prune(kl.Dense(3), schedules["dense"]),
])
pruned = dict(zip(kernels, (model.layers[0], model.layers[2])))
for name, layer in pruned.items():
    layer.layer.kernel.assign(kernels[name])
masks = {}

class Record(tf_keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        for name, layer in pruned.items():
            masks[f"{name}_{epoch}"] = layer.pruning_vars[0][1].numpy() != 0
            masks[f"{name}_{epoch}_sparsity"] = float(
                schedules[name](2 * epoch)[1]
            )

model.compile(tf_keras.optimizers.SGD(0.0), "mse")
x, y = np.ones((16, 6, 6, 2)), np.ones((16, 3))
callbacks = [tfmot.sparsity.keras.UpdatePruningStep(), Record()]
model.fit(x, y, batch_size=8, epochs=EPOCHS + 1, verbose=0, callbacks=callbacks)
np.savez(sys.argv[2], **masks)
"""


@pytest.mark.slow
def test_masks_are_those_of_tensorflow_model_optimization(tmp_path):
    """In a process of its own, because its import switches TensorFlow to Keras 2."""
    pytest.importorskip("tf_keras")  # importing the other here would switch this process
    epochs = 6
    model, watch = network(optimizer=keras.optimizers.SGD(0.0)), Watch()
    kernels = {name: values(kernel) for name, (_, kernel) in plain_kernels(model).items()}
    counts = {"conv": 20, "dense": 37}
    task = {**kernels, **{f"{name}_kept": kept for name, kept in counts.items()}}
    np.savez(tmp_path / "task.npz", **task)
    program = TFMOT.replace("EPOCHS", str(epochs))
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "task.npz", tmp_path / "masks.npz"], check=True
    )
    fit(model, MagnitudePruning(counts, epochs), watch, epochs=epochs + 1)
    with np.load(tmp_path / "masks.npz") as masks:
        for epoch, found in enumerate(watch.ends):
            for name, kernel in found.items():
                np.testing.assert_array_equal(kernel != 0, masks[f"{name}_{epoch}"])
                sparsity = 1 - np.count_nonzero(kernel) / kernel.size
                # Whole weights of the fraction that the polynomial gives.
                expected = masks[f"{name}_{epoch}_sparsity"]
                assert sparsity == pytest.approx(expected, abs=0.5 / kernel.size + 1e-6)
    assert {name: np.count_nonzero(one) for name, one in watch.ends[-1].items()} == counts
