"""Channels that are added to frozen ones, in graphs of every kind."""

import keras
import numpy as np
import pytest
from channel_graphs import STEPS, Builder, difference, inputs_of, lifted, lively, outputs_of
from examples import telling
from keras import layers, ops

from fr_keras.methods._growth import grow
from fr_keras.methods._heads import heads, unreached
from fr_keras.models import channels
from fr_keras.models.walk import named_layers


def halves(found: channels.Groups) -> dict[str, int]:
    return {name: -(-one.size // 2) for name, one in found.items() if one.removable}


def moved(model: keras.Model, seed: int) -> keras.Model:
    """Moves every weight, as a training could."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "float" in weight.dtype:
            by = rng.normal(0, 0.1, weight.shape)
            weight.assign(weight + np.where("variance" in weight.name, np.abs(by), by))
    return lifted(model)


def grown(model: keras.Model) -> tuple[keras.Model, keras.Model, dict[str, int], list[str]]:
    """Half of the channels, and the whole around them, each trained."""
    counts, own = halves(channels.groups(model)), heads(model, channels.groups(model))
    small = moved(channels.remove(model, {n: range(k) for n, k in counts.items()}), 1)
    large = channels.remove(model, {})
    held = grow(large, small, counts, own)
    moved(large, 2)
    for one in held:
        one.restore()
    return small, large, counts, own


def without_new(large: keras.Model, counts: dict[str, int]) -> keras.Model:
    """A copy in which nothing reads the new channels of some groups."""
    copy = channels.remove(large, {})
    found = channels.groups(copy)
    for name, count in counts.items():
        for axis in found[name].axes:
            if axis.role == "reads":
                values = np.array(ops.convert_to_numpy(axis.weight))
                np.moveaxis(values, axis.axis, 0)[axis.positions[count:].ravel()] = 0
                axis.weight.assign(values)
    return copy


def with_heads(large: keras.Model, small: keras.Model, counts, own) -> keras.Model:
    """A copy with the heads of the smaller network, which read no new channels."""
    copy, its = without_new(large, counts), named_layers(small)
    new: dict[tuple[int, int], np.ndarray] = {}
    for name, count in counts.items():
        for axis in channels.groups(copy)[name].axes:
            nothing = np.zeros(axis.weight.shape[axis.axis], bool)
            added = new.setdefault((id(axis.weight), axis.axis), nothing)
            added[axis.positions[count:].ravel()] = True
    for name in own:
        for weight, old in zip(named_layers(copy)[name].weights, its[name].weights, strict=True):
            places = [
                np.flatnonzero(~new.get((id(weight), axis), np.zeros(length, bool)))
                for axis, length in enumerate(weight.shape)
            ]
            values = np.array(ops.convert_to_numpy(weight))
            values[np.ix_(*places)] = ops.convert_to_numpy(old)
            weight.assign(values)
    return copy


def check(model: keras.Model) -> None:
    small, large, counts, own = grown(model)
    x = inputs_of(model)
    expected, found = outputs_of(small, x), outputs_of(with_heads(large, small, counts, own), x)
    assert difference(expected, found) < 1e-5, "old channels do not see the new ones"
    groups = channels.groups(large)
    growing = [name for name, count in counts.items() if count < groups[name].size]
    lost, whole = unreached(groups, growing, own), outputs_of(large, x)
    for name in growing:
        without = outputs_of(without_new(large, {name: counts[name]}), x)
        assert (difference(whole, without) > 1e-6) == (name not in lost), name
    for layer in named_layers(small).values():
        for weight in layer.weights:
            if "kernel" in weight.path:
                weight.assign(weight * 0.5)
    assert difference(outputs_of(small, x), found) > 1e-4


@pytest.mark.parametrize("seed", telling(range(24), 0, 1, 2, 3))
def test_random_graphs(seed):
    keras.utils.set_random_seed(seed)
    check(lifted(lively(Builder(seed).model())))


@pytest.mark.parametrize("step", telling(STEPS, "separable", "grouped", "attention", "nested"))
def test_kinds_of_layers(step):
    builder = Builder(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    x = layers.Conv2D(8, 3, padding="same", name="behind")(STEPS[step](builder, x, "step"))
    x = layers.GlobalAveragePooling2D()(x)
    check(lifted(lively(keras.Model(image, layers.Dense(4, name="logits")(x)))))
