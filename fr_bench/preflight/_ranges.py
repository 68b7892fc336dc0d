"""Ranges of pixels that networks take, and those that are worth trying on some data."""

import dataclasses

import numpy as np

from fr_bench.data import Dataset, spaced

Range = tuple[float, float] | None

#: Each with its scale and offset for pixels from 0 to 1; `None` in their place leaves inputs alone.
RANGES = {"0..1": (1.0, 0.0), "0..255": (255.0, 0.0), "-1..1": (2.0, -1.0)}
_AS_THEY_ARE = {"as they are": None}
_LOOKED_AT = 1_000
_TWICE = 1 / 255  # a white pixel that was divided by 255 twice


def usual_scale(data: Dataset) -> str | None:
    """The range of pixels for a network that is not trained, so that its answers tell nothing.

    Returns:
        `"0..1"`, or `None` if the inputs are no pictures, or are prepared already.
    """
    return "0..1" if _are_pictures(data) and _least(data) >= 0 else None


def ranges_to_try(data: Dataset, scale: str | None, stored: dict | None = None) -> dict[str, Range]:
    """The ranges that are tried, the usual one first.

    Args:
        data: The data set.
        scale: The only one, by name.
        stored: Scale and offset for pixels of 0 to 255 that a file holds.

    Raises:
        ValueError: If the scale is not known, or the inputs can have none.
    """
    if scale is not None and scale not in RANGES:
        raise ValueError(f"`scale` must be one of {tuple(RANGES)}. Received: {scale!r}")
    if not _are_pictures(data):
        if scale is not None:
            raise ValueError(
                "`scale` must be left out for inputs that are no pictures (rows, height, width, "
                f"channels). Received: {scale!r}"
            )
        return _AS_THEY_ARE
    if _least(data) < 0:  # they were prepared for this network already
        if scale is not None:
            raise ValueError(
                f"`scale` must be left out for pixels below 0. Received: {scale!r} for pixels "
                f"from {_least(data):.3g}"
            )
        return _AS_THEY_ARE
    if scale is not None:
        return {scale: RANGES[scale]}
    return RANGES if stored is None else {**RANGES, **_stored(stored)}


def in_range(data: Dataset, chosen: Range) -> Dataset:
    """Returns the data set with inputs in a range; nothing is copied.

    Args:
        data: The data set.
        chosen: Scale and offset for pixels from 0 to 1; `None` takes the inputs as they are.
    """
    if chosen is None:
        return data.scaled(1.0, 0.0)
    factor, offset = chosen
    scaled = data.scaled(factor / _white(data), offset)
    return dataclasses.replace(scaled, pixels=(factor / 255, offset))


def unconfirmed(data: Dataset, scale: str | None) -> tuple[Dataset, str]:
    """Returns the data in a range, by default the usual one, and words that no score confirms it.

    This is for labels that the network does not know.
    """
    scale = scale or usual_scale(data)
    if scale is None:
        return in_range(data, None), "inputs as they are"
    return in_range(data, RANGES[scale]), f"pixels in {scale}, which no score confirms"


def words(name: str, tried: dict[str, float], data: Dataset) -> str:
    """What becomes of the inputs, with the score of some rows for each range that was tried."""
    if name in _AS_THEY_ARE:
        return f"inputs {name}"
    text = f"pixels in {name}"
    if len(tried) > 1:
        others = ", ".join(f"{value:.3f} in {one}" for one, value in tried.items() if one != name)
        text += f" ({tried[name]:.3f}; {others})"
    if _white(data) == _TWICE:
        text += ", made of pixels that were divided by 255 twice"
    return text


def _stored(stored: dict) -> dict[str, Range]:
    """The range that a file holds, unless it is a usual one."""
    factor, offset = 255 * stored["scale"], stored["offset"]
    if any(np.allclose((factor, offset), one) for one in RANGES.values()):
        return {}
    return {f"{offset:.3g}..{factor + offset:.3g}": (factor, offset)}


def _are_pictures(data: Dataset) -> bool:
    return isinstance(data.train.x, np.ndarray) and data.train.x.ndim == 4


def _some(data: Dataset) -> np.ndarray:
    return data.train.x[spaced(len(data.train), _LOOKED_AT)]


def _least(data: Dataset) -> float:
    return 0 if data.train.x.dtype == np.uint8 else _some(data).min()


def _white(data: Dataset) -> float:
    """What a white pixel is in the data."""
    if data.train.x.dtype == np.uint8:
        return 255.0
    most = _some(data).max()
    if most > 2:
        return 255.0
    return _TWICE if 0 < most <= 2 * _TWICE else 1.0
