"""How much an archive changes the outputs of a model, on rows of its calibration data."""

from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from fr_keras.tflite import Agreement
from fr_keras.tflite.agreement import agreement_of
from fr_keras.tflite.modes import FLOAT16
from fr_keras.tflite.signature import output_names

#: The most rows that are compared, and the most numbers in them.
MOST_ROWS = 256
_MOST_NUMBERS = 1 << 23
# Numbers in a batch.
_BATCH = 1 << 18


class Sample:
    """Passes data on, batch by batch, and keeps some of its rows, evenly spaced.

    Args:
        data: As for `interop.calibrate_batch_norm`.
        model: The model that takes them.
    """

    def __init__(self, data: Iterable, model: keras.Model):
        whole = isinstance(data, Mapping) or hasattr(data, "__array__")
        self._batches = [data] if whole else data
        self._labelled = (tuple, list) if len(model.inputs) == 1 else tuple
        self._rows: list = []
        self._spacing = 1
        self._seen = 0

    def __iter__(self) -> Iterator:
        for batch in self._batches:
            self._take(batch[0] if isinstance(batch, self._labelled) else batch)
            yield batch

    def read(self) -> None:
        """Passes the data on to nobody."""
        for _ in self:
            pass

    def batches(self) -> Iterator:
        """Yields the rows that were kept."""
        while self._rows:
            count = max(1, _BATCH // _size(self._rows[0]))
            rows, self._rows = self._rows[:count], self._rows[count:]
            yield keras.tree.map_structure(lambda *parts: np.stack(parts), *rows)

    def _take(self, inputs: object) -> None:
        inputs = keras.tree.map_structure(np.asarray, inputs)
        for place in range(len(keras.tree.flatten(inputs)[0])):
            if self._seen % self._spacing == 0:
                self._rows.append(keras.tree.map_structure(lambda one, at=place: one[at], inputs))
            self._seen += 1
            most = min(MOST_ROWS, max(2, _MOST_NUMBERS // _size(self._rows[0])))
            if len(self._rows) > most:
                self._rows = self._rows[::2]
                self._spacing *= 2


def measured(model: keras.Model, found: keras.Model, sample: Sample) -> dict[str, Agreement]:
    """Returns how far each floating-point output of one model is from another's, by its name.

    Args:
        model: The reference.
        found: The model that is compared with it.
        sample: The rows to compare on; they are used up.
    """
    pairs = []
    for batch in sample.batches():
        pairs.append([_outputs(one, batch) for one in (model, found)])
    names = output_names(model)
    parts = {
        name: [np.concatenate([pair[way][place] for pair in pairs]) for way in (1, 0)]
        for place, name in enumerate(names)
        if pairs and pairs[0][0][place] is not None
    }
    bound = {"rows_from": "calibration", "step": None, "bound": FLOAT16.bound}
    return {name: agreement_of(*part, **bound) for name, part in parts.items()}


def _outputs(model: keras.Model, batch: object) -> list[np.ndarray | None]:
    """The flat outputs in float32; `None` for those that are not floating-point."""
    outputs = keras.tree.flatten(model(batch, training=False))
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(one, "float32"))
        if "float" in keras.backend.standardize_dtype(one.dtype)
        else None
        for one in outputs
    ]


def _size(row: object) -> int:
    return max(1, sum(part.size for part in keras.tree.flatten(row)))
