"""How fast the network trains on this machine."""

import time

import keras

from fr_bench.data import Dataset

_STEPS = 4


def seconds_per_row(model: keras.Model, data: Dataset, batch_size: int) -> float:
    """Seconds that a training step of the plain network takes for each row.

    Args:
        model: The network; a copy is trained.
        data: The data set with its task.
        batch_size: Rows of a step.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile("sgd", data.task.losses)
    batches = data.train.batches(batch_size)
    some = [batches[number % len(batches)] for number in range(_STEPS + 1)]
    copy.train_on_batch(*some[0])  # traces the step
    begin = time.perf_counter()
    for batch in some[1:]:
        copy.train_on_batch(*batch)
    return (time.perf_counter() - begin) / sum(len(batch[1]) for batch in some[1:])
