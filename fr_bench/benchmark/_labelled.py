"""Files on the test rows of a data set, each with pixels in the range that it takes."""

from pathlib import Path

import numpy as np

from fr_bench.benchmark._subject import Subject, flatbuffer_of, subject
from fr_bench.data import Arrays, Dataset, taken
from fr_bench.preflight import FOR_UNTRAINED, check_trained, preflight_file, unconfirmed
from fr_bench.tasks import Metric, UnfitLabels


class Labelled:
    """Makes the subjects of files, for `subjects`.

    Args:
        data: The data set, as it was loaded.
        rows: The numbers of the test rows.
        scale: The range of pixels, as for `fr_bench.preflight.preflight_file`. One that is given is
            not questioned, so that it also serves files of networks that are not trained.
        metric: How the files are scored, as for `fr_bench.tasks.find_task`.
    """

    def __init__(
        self,
        data: Dataset,
        rows: np.ndarray,
        scale: str | None = None,
        metric: Metric | None = None,
    ):
        self._data, self._rows, self._scale, self._metric = data, rows, scale, metric
        self._inputs: dict[tuple[float, float], Arrays] = {}

    def __call__(self, path: Path) -> Subject:
        """Makes the subject of a file.

        Raises:
            ValueError: If the file answers hardly better than always the same, or the data do not
                fit it; also as in `subject`.
        """
        task = None
        try:
            found = preflight_file(
                flatbuffer_of(path), self._data, scale=self._scale, metric=self._metric
            )
            data, task, note = found.data, found.task, found.scaling
            if self._scale is None:
                check_trained(found, FOR_UNTRAINED)
        except UnfitLabels:  # the result says so
            data, note = unconfirmed(self._data, self._scale)
        y = taken(self._data.test.y, self._rows)
        return subject(path, self._taken(data), y, task=task, notes=(note,))

    def _taken(self, data: Dataset) -> Arrays:
        """The inputs of the rows; files that take the same range share them."""
        if data.normalization not in self._inputs:
            found = data.test.inputs(self._rows)
            self._inputs[data.normalization] = list(found) if isinstance(found, tuple) else found
        return self._inputs[data.normalization]
