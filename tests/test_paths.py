"""Layers of one name in nested models are told apart by their paths, wherever names are given."""

import keras
import numpy as np
import pytest
from keras import layers as kl

from fr_keras import BandEnergy, layers, regularize
from fr_keras.models.walk import named_layers


def two_encoders() -> keras.Model:
    def encoder(name):
        return keras.Sequential([keras.Input((8,)), kl.Dense(6, name="fc")], name=name)

    inputs = keras.Input((8,))
    ends = [encoder("left")(inputs), encoder("right")(inputs)]
    return keras.Model(inputs, kl.Dense(2, name="head")(kl.Concatenate()(ends)))


def test_include_and_exclude():
    for options in ({"include": ["left/fc", "head"]}, {"exclude": "right/fc"}):
        named = named_layers(regularize(two_encoders(), **options))
        kinds = {name: type(named[name]) for name in ("left/fc", "right/fc", "head")}
        assert kinds == {"left/fc": layers.FRDense, "right/fc": kl.Dense, "head": layers.FRDense}


def test_start_and_axis_weights():
    twin = regularize(two_encoders(), start={"right/fc": 5}, axis_weights={"left/fc": (1, 3)})
    named = named_layers(twin)
    assert [named[name].kept for name in ("left/fc", "right/fc", "head")] == [48, 5, 24]
    assert named["left/fc"].axis_weights == (1, 3)
    assert named["right/fc"].axis_weights is None


@pytest.mark.parametrize(
    "options", [{"include": "fc"}, {"exclude": ["fc"]}, {"axis_weights": {"fc": (1, 2)}}]
)
def test_a_name_that_several_layers_have_is_refused_with_their_paths(options):
    (argument,) = options
    with pytest.raises(ValueError, match=rf"`{argument}` must .*'left/fc', 'right/fc'.*\['fc'\]"):
        regularize(two_encoders(), **options)
    with pytest.raises(ValueError, match=r"`keep` must name .*'left/fc', 'right/fc'.*\['fc'\]"):
        regularize(two_encoders(), start={"fc": 5})


def test_tags_of_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = regularize(two_encoders())
    model.compile("sgd", "mse")
    x = np.ones((4, 8))
    model.fit(x, np.ones((4, 2)), verbose=0, callbacks=[BandEnergy(tmp_path)])
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()["tensors"]
    assert {"kept/left/fc", "kept/right/fc", "kept/head"} <= set(tags)
