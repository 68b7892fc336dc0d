"""The rows of a data set: a split, its batches, and the three splits together."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import keras
import numpy as np

from fr_bench.tasks import Task

Rows = slice | np.ndarray
Arrays = np.ndarray | tuple[np.ndarray, ...]
# The most numbers of a piece, which has a multiple of so many rows where these are fewer.
_PIECE, _BATCH = 1 << 22, 128


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The rows of one split.

    `x` and `y` are as they came, and may be memory maps. A network takes `inputs()`, or `batches()`
    where there may be more rows than memory.

    Attributes:
        x: Rows of the input of a network, such as images, uint8 or float `(rows, height, width,
            channels)`; a tuple of arrays for several inputs.
        y: What the network shall answer: classes, integers `(rows,)`; a class for each pixel,
            `(rows, height, width)`; one-hot rows or several labels a row, `(rows, classes)`; or
            floats for regression. A tuple of arrays for several outputs.
        sample_weight: How much each row counts, `(rows,)`.
        scale: A network takes `scale * x + offset`.
        offset: See `scale`.

    Raises:
        ValueError: If the parts have different numbers of rows.
    """

    x: Arrays
    y: Arrays
    sample_weight: np.ndarray | None = None
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self):
        weight = () if self.sample_weight is None else (self.sample_weight,)
        counts = [len(part) for part in (*parts(self.x), *parts(self.y), *weight)]
        if len({*counts}) > 1:
            raise ValueError(
                "`x`, `y` and `sample_weight` of a split must have as many rows. "
                f"Received: {counts} rows"
            )

    def __len__(self) -> int:
        return len(parts(self.x)[0])

    def inputs(self, rows: Rows = slice(None)) -> Arrays:
        """Returns what a network takes, float32.

        Args:
            rows: Which rows: a slice, or an array of their numbers.
        """
        return each(self.x, lambda part: self._scaled(part[rows]))

    def sample(self, limit: int) -> Arrays:
        """Returns the inputs of `limit` evenly spaced rows, or of all rows if there are fewer.

        Rows are often sorted by class, so the first rows would be a poor sample.
        """
        return self.inputs(spaced(len(self), limit))

    @property
    def row_numbers(self) -> int:
        """How many numbers the inputs of a row have."""
        return max(1, sum(math.prod(part.shape[1:]) for part in parts(self.x)))

    def pieces(self, rows: Rows = slice(None)) -> Iterator[Arrays]:
        """Yields what a network takes, as `inputs` does, but at most 16 MiB at a time."""
        numbers = np.arange(len(self))[rows]
        size = max(1, _PIECE // self.row_numbers)
        size -= size % _BATCH if size > _BATCH else 0
        for start in range(0, len(numbers), size):
            yield self.inputs(numbers[start : start + size])

    def thinned(self, step: int) -> "Split":
        """Returns every `step`-th row; nothing is copied."""
        weight = self.sample_weight
        return dataclasses.replace(
            self,
            x=each(self.x, lambda part: part[::step]),
            y=each(self.y, lambda part: part[::step]),
            sample_weight=None if weight is None else weight[::step],
        )

    def batches(self, batch_size: int, seed: int | None = None) -> "Batches":
        """Returns batches `(inputs, y)`, or `(inputs, y, sample_weight)`, for `fit` and the like.

        Only the batch that is asked for is in memory. Give `shuffle=False` to `fit`, which else
        mixes the batches as well.

        Args:
            batch_size: Rows of a batch; the last one may have fewer.
            seed: If given, the rows come in a new random order in each epoch.
        """
        return Batches(self, batch_size, seed)

    def _scaled(self, part: np.ndarray) -> np.ndarray:
        if self.scale == 1 and not self.offset:
            return np.asarray(part, np.float32)
        part = np.array(part, np.float32)
        part *= self.scale
        part += self.offset
        return part


class Batches(keras.utils.PyDataset):
    """The batches of a split; see `Split.batches`. It can be iterated over, too."""

    def __init__(self, split: Split, batch_size: int, seed: int | None):
        super().__init__()
        self._split, self._size = split, batch_size
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = None
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._split) // self._size)

    def __getitem__(self, number: int) -> tuple:
        rows: Rows = slice(number * self._size, (number + 1) * self._size)
        rows = rows if self._order is None else self._order[rows]
        y = each(self._split.y, lambda part: np.asarray(part[rows]))
        weight = self._split.sample_weight
        rest = () if weight is None else (np.asarray(weight[rows]),)
        return self._split.inputs(rows), y, *rest

    def __iter__(self) -> Iterator[tuple]:
        return (self[number] for number in range(len(self)))

    def on_epoch_end(self) -> None:
        if self._random is not None:
            self._order = self._random.permutation(len(self._split))


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as three splits.

    Attributes:
        name: The name of the set, or of its file or folder.
        train: Rows to train on.
        validation: Rows for choosing among networks and settings.
        test: Rows for the final score, to be used only once.
        labels: The names of the classes; none for regression.
        drawn: The names of the splits that were drawn at random from the training rows. A network
            that was trained on these rows before has seen them.
        task: What a network solves, once `fr_bench.preflight` has found it; the labels are prepared
            for it then.
        pixels: Scale and offset from pixels of 0 to 255 to what the network takes, whatever the
            range of `x`, once `fr_bench.preflight` has found them.
        changes: What was changed when images and labels were read, in sentences.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    drawn: tuple[str, ...] = ()
    task: Task | None = None
    pixels: tuple[float, float] | None = None
    changes: tuple[str, ...] = ()

    @property
    def normalization(self) -> tuple[float, float]:
        """`(scale, offset)`, where a network takes `scale * x + offset`."""
        return self.train.scale, self.train.offset

    def scaled(self, scale: float, offset: float) -> "Dataset":
        """Returns the same rows with another scale and offset; nothing is copied."""
        splits = {
            name: dataclasses.replace(getattr(self, name), scale=scale, offset=offset)
            for name in ("train", "validation", "test")
        }
        return dataclasses.replace(self, **splits)

    def thinned(self, step: int) -> "Dataset":
        """Returns the data set with every `step`-th training row; nothing is copied."""
        return dataclasses.replace(self, train=self.train.thinned(step))


def spaced(rows: int, limit: int) -> np.ndarray:
    """The numbers of `limit` evenly spaced rows, or of all rows if there are fewer."""
    return np.linspace(0, rows - 1, min(rows, limit)).astype(int)


def parts(arrays: Arrays) -> tuple[np.ndarray, ...]:
    """The arrays as a tuple, also if there is one."""
    return arrays if isinstance(arrays, tuple) else (arrays,)


def each(arrays: Arrays, function: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    """The function of the array, or of each array."""
    return tuple(map(function, arrays)) if isinstance(arrays, tuple) else function(arrays)


def taken(arrays: Arrays, rows: Rows) -> Arrays:
    """Some rows of the array, or of each array."""
    return each(arrays, lambda part: part[rows])
