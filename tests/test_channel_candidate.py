"""The candidate `channels` takes a network of every kind of output."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers
from rich.progress import Progress
from solved_tasks import dataset, features, pictures

from fr_bench.candidates import all_candidates
from fr_bench.tasks import Kind, find_task
from fr_bench.training import Regime, answers
from fr_keras import summary

pytestmark = pytest.mark.usefixtures("stepwise_module")

X, Y = pictures(96)
MASKS = (X[..., 0] > 100).astype("int64")
TWO = np.stack([Y > 1, Y % 2], 1).astype("float32")
NUMBERS = X.reshape(len(X), -1)[:, :3] / 60.0


def flat(units, activation=None):
    return lambda x: layers.Dense(units, activation)(layers.Flatten()(x))


def mask(filters, activation=None):
    return lambda x: layers.Conv2DTranspose(filters, 2, 2, activation=activation)(x)


#: What stands on the features, the labels, and the kinds that are found.
TASKS = {
    "classes": ([flat(4, "softmax")], Y, Kind.CLASSES),
    "one-hot, a sigmoid each": ([flat(4, "sigmoid")], np.eye(4)[Y], Kind.CLASSES),
    "labels": ([flat(2, "sigmoid")], TWO, Kind.LABELS),
    "masks": ([mask(2, "softmax")], MASKS, Kind.MASKS),
    "masks of one number": ([mask(1, "sigmoid")], MASKS, Kind.TWO_MASKS),
    "a number": ([flat(1)], NUMBERS[:, 0], Kind.NUMBERS),
    "pictures": ([mask(1, "tanh")], X / 255.0, Kind.NUMBERS),
    "two outputs": ([mask(2, "softmax"), flat(3)], (MASKS, NUMBERS), None),
}


@pytest.mark.parametrize("case", TASKS)
def test_channels_are_removed_whatever_the_network_solves(case):
    heads, y, kind = TASKS[case]
    body = features()
    model = keras.Model(body.input, [head(body.output) for head in heads])
    data = dataset(X, y, labels=())
    task = find_task(y, answers(model, data.train))
    assert kind is None or task.heads[0].kind is kind
    splits = {
        name: dataclasses.replace(getattr(data, name), y=task.prepared(getattr(data, name).y))
        for name in ("train", "validation", "test")
    }
    data = dataclasses.replace(data, **splits, task=task)
    before = summary(model).to_dict()["kernel_weights"]
    with Progress(disable=True) as progress:
        regime = Regime(keep=0.5, epochs=1)
        trained = all_candidates()["channels"].train(model, data, regime, progress, case)
    assert trained.kept <= before / 2
    assert trained.model.get_layer("conv1").filters < body.get_layer("conv1").filters
    assert np.isfinite(trained.history["loss"]).all()
    outputs = keras.tree.flatten(trained.model(data.test.inputs()))
    for one, other in zip(outputs, model.outputs, strict=True):
        assert one.shape[1:] == other.shape[1:]
        assert np.isfinite(one).all()
