"""Squares that are cut from larger pictures and their masks."""

import dataclasses

import keras
import numpy as np

from fr_bench.data import Dataset, Split


def tiled(data: Dataset, side: int) -> Dataset:
    """Returns the data set in squares side by side; what is left at the edges is left out.

    Raises:
        ValueError: If the rows are no pictures with masks, or smaller than a square.
    """
    x, y = data.train.x, data.train.y
    fits = all(isinstance(part, np.ndarray) for part in (x, y)) and x.ndim == 4
    if not fits or y.shape[1:3] != x.shape[1:3] or min(x.shape[1:3]) < side:
        shapes = [getattr(part, "shape", "several arrays") for part in (x, y)]
        raise ValueError(
            f"`crop` must be at most the sides of pictures with masks. Received: {side} for "
            f"'{data.name}' with pictures and labels of shapes {shapes[0]} and {shapes[1]}"
        )
    splits = {name: _tiles(getattr(data, name), side) for name in ("train", "validation", "test")}
    return dataclasses.replace(data, **splits)


def _tiles(split: Split, side: int) -> Split:
    down, across = (n // side for n in split.x.shape[1:3])

    def cut(part: np.ndarray) -> np.ndarray:
        rest = part.shape[3:]
        part = part[:, : down * side, : across * side]
        part = part.reshape(len(part), down, side, across, side, *rest)
        return np.moveaxis(part, 3, 2).reshape(-1, side, side, *rest)

    weight = split.sample_weight
    weight = None if weight is None else np.repeat(weight, down * across)
    return dataclasses.replace(split, x=cut(split.x), y=cut(split.y), sample_weight=weight)


class Crops(keras.utils.PyDataset):
    """Batches of squares from random places of the pictures of a split.

    Each epoch has its own squares, whichever epoch a training begins with.

    Args:
        split: Whole pictures, with labels prepared for the loss.
        side: The side of a square.
        batch_size: Squares of a batch.
        steps: Batches of an epoch; by default as many as the pictures have pixels for.
        seed: The seed of the places.
        turns: Whether squares are turned and mirrored at random.
    """

    def __init__(
        self, split: Split, side: int, batch_size: int, steps: int | None, seed: int, turns: bool
    ):
        super().__init__()
        self._split, self._side, self._size, self._turns = split, side, batch_size, turns
        squares = len(split) * (split.x.shape[1] // side) * (split.x.shape[2] // side)
        self._steps = steps or -(-squares // batch_size)
        self._seed, self._epoch = seed, 0

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng((self._seed, self._epoch, number))
        rows = rng.choice(len(self._split), self._size, replace=self._size > len(self._split))
        pictures, y = self._split.inputs(rows), np.asarray(self._split.y[rows])
        squares = [self._square(rng, *pair) for pair in zip(pictures, y, strict=True)]
        weight = self._split.sample_weight
        rest = () if weight is None else (np.asarray(weight[rows]),)
        return *map(np.stack, zip(*squares, strict=True)), *rest

    def _square(self, rng: np.random.Generator, *pair: np.ndarray) -> list[np.ndarray]:
        top, left = (rng.integers(n - self._side + 1) for n in pair[0].shape[:2])
        place = slice(top, top + self._side), slice(left, left + self._side)
        pair = [part[place] for part in pair]
        if self._turns:
            quarter, mirrored = rng.integers(4), rng.integers(2)
            pair = [np.rot90(part[:, ::-1] if mirrored else part, quarter) for part in pair]
        return pair

    def on_epoch_end(self) -> None:
        self._epoch += 1
