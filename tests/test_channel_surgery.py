"""`channels.remove` and `channels.order`: models in and out, and what they refuse."""

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from channel_graphs import check, difference, inputs_of, lively, masked, outputs_of
from examples import telling
from keras import layers

from fr_keras import bake, regularize, tflite, zoo
from fr_keras.models import channels


def small(**kwargs) -> keras.Model:
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", name="first", **kwargs)(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Dropout(0.5, seed=3, name="dropout")(layers.ReLU(name="relu")(x))
    x = layers.Conv2D(5, 3, name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x), name="small")


KEPT = {"first": [5, 0, 2], "second": [1, 2, 4]}


def test_names_flags_and_state_stay():
    model = lively(small())
    model.get_layer("second").trainable = False
    cut = channels.remove(model, KEPT)
    assert [one.name for one in cut.layers] == [one.name for one in model.layers]
    assert not cut.get_layer("second").trainable
    assert cut.get_layer("first").trainable
    assert [type(one) for one in cut.layers] == [type(one) for one in model.layers]
    assert cut.get_layer("first").filters == 3
    assert not cut.compiled
    np.testing.assert_array_equal(
        cut.get_layer("first").kernel, np.array(model.get_layer("first").kernel)[..., [0, 2, 5]]
    )
    np.testing.assert_array_equal(
        cut.get_layer("bn").moving_mean, np.array(model.get_layer("bn").moving_mean)[[0, 2, 5]]
    )


@tensorflow_alone("it converts")
def test_a_cut_model_is_saved_and_converted(tmp_path):
    cut = channels.remove(lively(small()), KEPT)
    cut.save(tmp_path / "cut.keras")
    loaded = keras.models.load_model(tmp_path / "cut.keras")
    x = inputs_of(cut)
    assert difference(outputs_of(cut, x), outputs_of(loaded, x)) == 0
    content = tflite.convert(cut).content
    found = tflite.Runner(content).run(x[0])
    assert difference(outputs_of(cut, x), [found]) < 1e-5


def test_nothing_chosen_is_a_copy():
    model = lively(small())
    copy, x = channels.remove(model, {}), inputs_of(model)
    assert copy is not model
    assert difference(outputs_of(model, x), outputs_of(copy, x)) == 0


def test_mixed_precision_stays():
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    cut = channels.remove(small(dtype=policy), KEPT)
    assert cut.get_layer("first").dtype_policy.name == "mixed_float16"


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("optimizer", telling(["adam", "sgd", "nadam", "ftrl"], "adam"))
def test_slots_follow_the_weights(optimizer):
    keras.utils.set_random_seed(0)
    model = small()
    optimizer = keras.optimizers.get(optimizer)
    if isinstance(optimizer, keras.optimizers.SGD):
        optimizer.momentum = 0.9
    model.compile(optimizer, "mse")
    x, y = inputs_of(model)[0], np.ones((4, 4), "float32")
    model.fit(x, y, epochs=2, verbose=0)
    cut = channels.remove(model, KEPT)
    for whole, slot in zip(model.optimizer.variables, cut.optimizer.variables, strict=True):
        before = np.array(whole)
        if "first_kernel" in slot.path and before.ndim:
            before = before[..., [0, 2, 5]]
        if "second_kernel" in slot.path and before.ndim:
            before = before[:, :, [0, 2, 5]][..., [1, 2, 4]]
        if before.shape == slot.shape:
            np.testing.assert_array_equal(slot, before, slot.path)
    kernels = [one for one in cut.optimizer.variables if "first_kernel" in one.path]
    assert all(one.shape == (3, 3, 3, 3) for one in kernels)
    cut.fit(x, y, epochs=1, verbose=0)


@pytest.mark.usefixtures("stepwise")
def test_slots_of_layers_with_one_name():
    """In nested models made by one function, slots have the same names."""

    def tower(name):
        inputs = keras.Input((4,))
        x = layers.Dense(6, activation="relu", name="fc")(inputs)
        return keras.Model(inputs, layers.Dense(2, name="out")(x), name=name)

    inputs = keras.Input((4,))
    outputs = layers.Add()([tower("left")(inputs), tower("right")(inputs)])
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    model.fit(np.random.default_rng(0).random((8, 4)), np.zeros((8, 2)), verbose=0)
    cut = channels.remove(model, {"right/fc": [1, 3]})
    slots = [one for one in cut.optimizer.variables if one.shape == (4, 2)]
    expected = [one for one in model.optimizer.variables if one.shape == (4, 6)][-len(slots) :]
    for slot, whole in zip(slots, expected, strict=True):
        np.testing.assert_array_equal(slot, np.array(whole)[:, [1, 3]])


@pytest.mark.usefixtures("stepwise")
def test_adafactor_is_refused():
    model = small()
    model.compile("adafactor", "mse")
    model.fit(inputs_of(model)[0], np.ones((4, 4)), verbose=0)
    with pytest.raises(ValueError, match="whose slots have the shape of the weights"):
        channels.remove(model, KEPT)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["first"], "must be a dict from the name of a group"),
        ({"third": [0]}, r"must name groups of the model.*'first'.*Received: \['third'\]"),
        ({"first": []}, "must keep at least one channel.*none of 6"),
        ({"first": [0, 6]}, "different numbers from 0 to 5"),
        ({"first": [-1]}, "different numbers from 0 to 5"),
        ({"first": [1, 1]}, "different numbers from 0 to 5"),
        ({"first": [0.5]}, "must be whole numbers"),
        ({"first": 3}, "must be whole numbers"),
        ({"logits": [0]}, "whose channels stay because the model gives them"),
    ],
)
def test_refusals(kept, message):
    for call in (channels.remove, channels.order):
        with pytest.raises(ValueError, match=message):
            call(small(), kept)


def test_an_order_has_all_channels():
    with pytest.raises(ValueError, match=r"all channels of 'first': 6. Received: 3"):
        channels.order(small(), {"first": [0, 1, 2]})


def test_a_normalization_over_channels_can_be_ordered_only():
    inputs = keras.Input((4,))
    x = layers.LayerNormalization(name="norm")(layers.Dense(6, name="fc")(inputs))
    model = lively(keras.Model(inputs, layers.Dense(2)(x)))
    with pytest.raises(ValueError, match=r"leave 'fc' out.*'norm' .LayerNormalization. normalizes"):
        channels.remove(model, {"fc": [0, 1]})
    other = channels.order(model, {"fc": [5, 4, 3, 2, 1, 0]})
    x = inputs_of(model)
    assert difference(outputs_of(model, x), outputs_of(other, x)) < 1e-6


def _lora(model):
    model.get_layer("second").enable_lora(2)
    return model


def _int8(model):
    model.get_layer("logits").quantize("int8")
    return model


class _Twice(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


def _subclass(model):
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="second")(inputs)
    return keras.Model(inputs, layers.Dense(3)(_Twice(5)(x)))


@pytest.mark.parametrize(
    ("change", "name"),
    [(_lora, "first"), (_int8, "second"), (_subclass, "second"), (regularize, "first")],
)
def test_layers_that_are_not_known_keep_their_channels(change, name):
    found = channels.groups(change(small()))
    if name in found:
        assert "is a layer whose channels are not known" in found[name].reason
    else:
        assert not found


def test_a_baked_model_is_known():
    found = channels.groups(bake(regularize(small())))
    assert found["first"].removable


def test_other_activations():
    inputs = keras.Input((4,))
    x = layers.Dense(6, activation=lambda x: x - keras.ops.mean(x), name="own")(inputs)
    x = layers.Dense(5, activation="softmax", name="mixing")(x)
    x = layers.Dense(4, activation=layers.LeakyReLU(), name="layer")(x)
    found = channels.groups(keras.Model(inputs, layers.Dense(2)(x)))
    assert not found["own"].orderable
    assert "activation that is not known" in found["own"].reason
    assert found["mixing"].orderable
    assert not found["mixing"].removable
    assert found["layer"].removable


def test_printed_and_as_a_dict():
    found = channels.groups(zoo.lenet5())
    assert "the model gives them" in str(found)
    assert "removed, ordered" in str(found)
    assert found.to_dict()["conv1"] == {
        "channels": 20,
        "removable": True,
        "orderable": True,
        "reason": "",
        "layers": ["conv1"],
    }


def test_models_without_a_graph():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="must be sequential or functional"):
        channels.groups(Own())
    with pytest.raises(ValueError, match="must be built"):
        channels.groups(keras.Sequential([layers.Dense(3)]))


def test_sequential_nested_two_deep_with_several_inputs():
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Conv2D(6, 3, name="a"), layers.Conv2D(5, 3, name="b")],
        name="inner",
    )
    inputs = {n: keras.Input((8, 8, 2), name=n) for n in ("left", "right")}
    x = layers.Concatenate()([layers.Conv2D(2, 1, name=f"of_{n}")(inputs[n]) for n in inputs])
    middle_input = keras.Input((8, 8, 4))
    middle = keras.Model(middle_input, inner(middle_input), name="middle")
    x = layers.GlobalAveragePooling2D()(middle(x))
    model = lively(keras.Model(inputs, layers.Dense(3, name="logits")(x)))
    cut = channels.remove(model, {"of_left": [1], "a": [0, 3], "b": [2]})
    x = {name: np.ones((2, 8, 8, 2), "float32") for name in inputs}
    assert cut(x).shape == (2, 3)
    assert cut.get_layer("middle").get_layer("inner").input_shape == (None, 8, 8, 3)


@pytest.mark.parametrize("end", ["pool", "gru", "steps", "attention", "bidirectional"])
def test_masks_are_no_channels(end):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True, name="words")(inputs)
    if end == "gru":
        x = layers.GRU(5)(x)
    elif end == "steps":
        x = layers.GlobalAveragePooling1D()(layers.TimeDistributed(layers.Dense(4))(x))
    elif end == "attention":
        x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3)(x, x))
    elif end == "bidirectional":
        x = layers.Bidirectional(layers.LSTM(3))(x)
    else:
        x = layers.GlobalAveragePooling1D()(x)
    model = lively(keras.Model(inputs, layers.Dense(2, name="logits")(x)))
    found = channels.groups(model)
    x = [np.random.default_rng(0).integers(0, 9, (4, 6))]
    if end == "bidirectional":
        assert "is a layer whose channels are not known" in found["words"].reason
        return
    assert found["words"].removable
    check(model, x, 0, 1e-5)


@pytest.mark.parametrize("group", ["fc", "attention", "attention/heads"])
def test_attention_keeps_what_its_query_loses(group):
    """Without `output_shape`, Keras gives as many outputs as the query has channels."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4))
    x = layers.Dense(4, name="fc")(inputs)
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    model = lively(keras.Model(inputs, layers.Dense(2, name="logits")(x)))
    found, kept, x = channels.groups(model), {group: [1]}, inputs_of(model)
    cut = channels.remove(model, kept)
    expected = outputs_of(masked(model, found, kept), x)
    assert difference(expected, outputs_of(cut, x)) < 1e-5
