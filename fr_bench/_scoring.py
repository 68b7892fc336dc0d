"""How a file of a network is scored on a data set, and what it tells an app."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fr_bench.data import Arrays, Dataset, Rows, Split
from fr_bench.tasks import Scored
from fr_keras import tflite

THREADS = 2


def file_answers(runner: tflite.Runner, split: Split, rows: Rows = slice(None)) -> Arrays:
    """The outputs of a .tflite file, floats; a tuple if it has several."""
    found = [_run(runner, inputs) for inputs in split.pieces(rows)]
    if isinstance(found[0], tuple):
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.concatenate(found)


def _run(runner: tflite.Runner, inputs: Arrays) -> Arrays:
    found = runner.run(list(inputs) if isinstance(inputs, tuple) else inputs)
    return tuple(found.values()) if isinstance(found, dict) else found


def score_of(content: bytes, data: Dataset, split: Split) -> Scored:
    """The score of a .tflite file on a split."""
    answers = file_answers(tflite.Runner(content, THREADS), split)
    return data.task.score(split.y, answers, split.sample_weight)


def about(data: Dataset) -> dict:
    """What a file tells an app: the classes, and the way from pixels to inputs."""
    head = data.task.heads[0]
    one = len(data.task.heads) == 1 and head.classes == len(data.labels)
    return {"labels": data.labels if one else None, "normalization": data.pixels}


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves out warnings of outputs that differ, for files whose score tells it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tflite.ConversionWarning)
        warnings.filterwarnings("ignore", "calibration changed")
        yield
