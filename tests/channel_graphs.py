"""Random networks for tests of channels, and what a removed or moved channel must do to them."""

import keras
import numpy as np
from keras import layers, ops

from fr_keras.models import channels
from fr_keras.models.walk import all_layers


class Builder:
    """Grows a network by random steps; the same seed gives the same network."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.shared = layers.Conv2D(8, 3, padding="same", activation="relu", name="shared")
        self.inner = self._inner()

    def model(self) -> keras.Model:
        image = keras.Input((8, 8, 3), name="image")
        inputs, x = [image], layers.Conv2D(8, 3, padding="same", name="stem")(image)
        if self.rng.random() < 0.3:
            vector = keras.Input((5,), name="vector")
            inputs.append(vector)
            y = layers.Dense(8, activation="sigmoid", name="gate")(vector)
            x = layers.Multiply(name="gated")([x, layers.Reshape((1, 1, 8), name="as_image")(y)])
        steps = self.rng.choice(list(STEPS), self.rng.integers(3, 8))
        for number, name in enumerate(steps):
            x = STEPS[name](self, x, f"s{number}_{name}")
        heads = [layers.Dense(4, name="logits")(self._flat(x))]
        if self.rng.random() < 0.3:
            y = layers.Conv2D(2, 1, name="map")(x)
            heads.append(y)
        one_or_more = [x if len(x) > 1 else x[0] for x in (inputs, heads)]
        return keras.Model(*one_or_more, name="random")

    def _flat(self, x):
        if self.rng.random() < 0.5:
            return layers.GlobalAveragePooling2D(name="pool")(x)
        return layers.Flatten(name="flatten")(x)

    def _inner(self) -> keras.Model:
        inputs = keras.Input((8, 8, 8))
        x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="first")(inputs)
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.ReLU(name="relu")(x)
        x = layers.Conv2D(8, 1, name="second")(x)
        return keras.Model(inputs, layers.Add(name="sum")([x, inputs]), name="inner")


def _width(builder: Builder) -> int:
    return int(builder.rng.choice([4, 8, 12]))


def _conv(builder, x, name):
    x = layers.Conv2D(_width(builder), 3, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _residual(builder, x, name):
    y = layers.Conv2D(_width(builder), 3, padding="same", activation="relu", name=f"{name}_1")(x)
    y = layers.Conv2D(x.shape[-1], 3, padding="same", name=f"{name}_2")(y)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=name)([x, y]))


def _squeeze_excite(builder, x, name):
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = layers.Conv2D(4, 1, activation="silu", name=f"{name}_down")(y)
    y = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}_up")(y)
    return layers.Multiply(name=name)([x, y])


def _dense_block(builder, x, name):
    y = layers.Conv2D(_width(builder), 3, padding="same", activation="relu", name=f"{name}_conv")(x)
    return layers.Concatenate(name=name)([x, y])


def _depthwise(builder, x, name):
    multiplier = int(builder.rng.integers(1, 3))
    x = layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=multiplier, activation="relu", name=name
    )(x)
    return layers.Conv2D(8, 1, name=f"{name}_point")(x)


def _separable(builder, x, name):
    return layers.SeparableConv2D(
        _width(builder), 3, padding="same", depth_multiplier=2, activation="tanh", name=name
    )(x)


def _grouped(builder, x, name):
    x = layers.Conv2D(8, 1, name=f"{name}_in")(x)
    groups = int(builder.rng.choice([2, 4, 8]))
    width = int(builder.rng.choice([8, 16]))
    x = layers.Conv2D(width, 3, padding="same", groups=groups, activation="relu", name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _up_and_down(builder, x, name):
    y = layers.MaxPooling2D(name=f"{name}_pool")(x)
    y = layers.Conv2D(_width(builder), 3, padding="same", activation="relu", name=f"{name}_c")(y)
    y = layers.Conv2DTranspose(_width(builder), 2, strides=2, name=f"{name}_up")(y)
    return layers.Concatenate(name=name)([x, y])


def _pixel_shuffle(builder, x, name):
    y = layers.Conv2D(16, 3, strides=2, padding="same", name=f"{name}_conv")(x)
    if builder.rng.random() < 0.5:
        return ops.depth_to_space(y, 2)
    y = layers.Reshape((4, 4, 2, 2, 4), name=f"{name}_1")(y)
    y = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_2")(y)
    return layers.Reshape((8, 8, 4), name=f"{name}_3")(y)


def _channel_shuffle(builder, x, name):
    width = x.shape[-1]
    y = layers.Reshape((8, 8, 2, width // 2), name=f"{name}_1")(x)
    y = layers.Permute((1, 2, 4, 3), name=f"{name}_2")(y)
    return layers.Reshape((8, 8, width), name=f"{name}_3")(y)


def _prelu(builder, x, name):
    shared = [(1, 2), None, (3,)][builder.rng.integers(3)]
    return layers.PReLU(shared_axes=shared, alpha_initializer="glorot_uniform", name=name)(x)


def _norms(builder, x, name):
    kind = builder.rng.integers(4)
    if kind == 0:
        return layers.LayerNormalization(name=name)(x)
    if kind == 1:
        return layers.GroupNormalization(int(builder.rng.choice([1, 2])), name=name)(x)
    if kind == 2:
        return layers.GroupNormalization(-1, name=name)(x)
    return layers.RMSNormalization(name=name)(x)


def _attention(builder, x, name):
    width = x.shape[-1]
    y = layers.Reshape((64, width), name=f"{name}_tokens")(x)
    y = layers.MultiHeadAttention(4, 3, value_dim=5, name=name)(y, y)
    y = layers.Dense(12, activation="gelu", name=f"{name}_wide")(y)
    y = layers.EinsumDense("btc,cd->btd", (None, width), bias_axes="d", name=f"{name}_back")(y)
    y = layers.Reshape((8, 8, width), name=f"{name}_image")(y)
    return layers.Add(name=f"{name}_sum")([x, y])


def _shared(builder, x, name):
    x = layers.Conv2D(8, 1, name=f"{name}_in")(x)
    return builder.shared(builder.shared(x))


def _nested(builder, x, name):
    x = layers.Conv2D(8, 1, name=f"{name}_in")(x)
    return builder.inner(builder.inner(x))


def _operators(builder, x, name):
    y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_conv")(x)
    return ops.relu(x + 3.0 * y) - ops.maximum(x, y) * (1 / 6)


def _steps(builder, x, name):
    """A layer of its own for each row of the image."""
    row = layers.Conv1D(8, 3, padding="same", activation="relu", name=f"{name}_row")
    return layers.TimeDistributed(row, name=name)(x)


def _recurrent(builder, x, name):
    y = layers.Reshape((64, x.shape[-1]), name=f"{name}_tokens")(x)
    y = layers.GRU(6, return_sequences=True, name=name)(y)
    return layers.Reshape((8, 8, 6), name=f"{name}_image")(y)


def _mixer(builder, x, name):
    """Dense over the positions, with channels on another axis."""
    width = x.shape[-1]
    y = layers.Permute((2, 1), name=f"{name}_1")(layers.Reshape((64, width), name=f"{name}_0")(x))
    y = layers.Dense(10, activation="relu", name=f"{name}_wide")(y)
    y = layers.Permute((2, 1), name=f"{name}_2")(layers.Dense(64, name=f"{name}_back")(y))
    return layers.Add(name=name)([x, layers.Reshape((8, 8, width), name=f"{name}_3")(y)])


def _unknown(builder, x, name):
    return layers.Lambda(lambda tensor: tensor * 2.0, output_shape=x.shape[1:], name=name)(x)


STEPS = {
    "conv": _conv,
    "residual": _residual,
    "squeeze_excite": _squeeze_excite,
    "dense_block": _dense_block,
    "depthwise": _depthwise,
    "separable": _separable,
    "grouped": _grouped,
    "up_and_down": _up_and_down,
    "pixel_shuffle": _pixel_shuffle,
    "channel_shuffle": _channel_shuffle,
    "prelu": _prelu,
    "norms": _norms,
    "attention": _attention,
    "shared": _shared,
    "nested": _nested,
    "operators": _operators,
    "steps": _steps,
    "recurrent": _recurrent,
    "mixer": _mixer,
    "unknown": _unknown,
}


def lively(model: keras.Model, seed: int = 0) -> keras.Model:
    """Gives every weight other numbers than it starts with, and normalizations live statistics."""
    rng = np.random.default_rng(seed)
    for layer in all_layers(model):
        for weight in layer.weights:
            if "variance" in weight.name or weight.name in ("gamma", "scale"):
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
            elif len(weight.shape) == 1:
                weight.assign(rng.normal(0, 0.3, weight.shape))
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # it computes with what follows from its weights
    return model


def lifted(model: keras.Model) -> keras.Model:
    """Raises biases and betas above 0: a ReLU that is never active hides all that comes before."""
    for layer in all_layers(model):
        for weight in layer.weights:
            if weight.name in ("bias", "beta"):
                weight.assign(0.1 + np.abs(weight))
    return model


def inputs_of(model: keras.Model, rows: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(rows, *x.shape[1:])).astype("float32") for x in model.inputs]


def outputs_of(model: keras.Model, x: list[np.ndarray]) -> list[np.ndarray]:
    found = model(x if len(x) > 1 else x[0], training=False)
    return [keras.ops.convert_to_numpy(one) for one in keras.tree.flatten(found)]


def difference(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    """The largest difference, relative to the largest output."""
    pairs = zip(some, others, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


def some_kept(found: channels.Groups, seed: int = 0) -> dict[str, list[int]]:
    """A random part of each group that can be removed."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(one.size)[: max(1, one.size * 2 // 3)].tolist()
        for name, one in found.items()
        if one.removable
    }


def some_order(found: channels.Groups, seed: int = 0) -> dict[str, list[int]]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(one.size).tolist() for name, one in found.items() if one.orderable
    }


def masked(model: keras.Model, found: channels.Groups, kept: dict) -> keras.Model:
    """The model with zeros in all weights that read a channel that is not kept; changes it."""
    for name, numbers in kept.items():
        gone = np.setdiff1d(np.arange(found[name].size), numbers)
        for axis in found[name].axes:
            if axis.role == "reads":
                values = np.array(axis.weight)
                np.moveaxis(values, axis.axis, 0)[axis.positions[gone].ravel()] = 0
                axis.weight.assign(values)
    return model


def check(model: keras.Model, x: list[np.ndarray], seed: int, tolerance: float) -> None:
    """Orders and cuts the channels of a model at random; a halved kernel shows in the check."""
    found, before = channels.groups(model), outputs_of(model, x)
    permutation, kept = some_order(found, seed), some_kept(found, seed)
    other = channels.order(model, permutation)
    assert difference(before, outputs_of(other, x)) < tolerance
    cut = channels.remove(model, kept)
    assert difference(before, outputs_of(model, x)) == 0, "the model itself stays as it is"
    expected = outputs_of(masked(model, found, kept), x)
    assert difference(expected, outputs_of(cut, x)) < tolerance
    if kept:
        assert cut.count_params() < model.count_params()
        first = found[next(iter(kept))].axes[0]
        kernel = next(one for one in cut.weights if one.path == first.weight.path)
        kernel.assign(kernel * 0.5)
        halved = outputs_of(cut, x)
        read = any(one.role == "reads" for one in found[next(iter(kept))].axes)
        assert not read or difference(expected, halved) > tolerance
