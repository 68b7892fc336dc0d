"""The way of a network down to its seed, along which it grows again."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np

from fr_keras.methods._score import finite
from fr_keras.models import channels

#: The numbers that the channels of each group have in the whole network.
Kept = dict[str, np.ndarray]


def roadmap(
    found: channels.Groups,
    path: Iterator[tuple[keras.Model, Mapping[str, Sequence[int]]]],
    score: Callable[[keras.Model], float] | None,
    floor: float | None,
) -> tuple[keras.Model, list[Kept]]:
    """Returns the seed, and what is kept on the way from the whole network to it.

    Args:
        found: The groups of the whole network.
        path: Smaller and smaller networks, each with the channels that it keeps of the one before.
        score: Returns how good a network is.
        floor: The least score of the seed.

    Raises:
        ValueError: If no network has fewer channels and the least score.
    """
    road = [{name: np.arange(one.size) for name, one in found.items() if one.removable}]
    seed = end = None
    for one, kept in path:
        now = {name: numbers[kept.get(name, slice(None))] for name, numbers in road[-1].items()}
        end = _end(found, one, now, score, floor)
        if end:
            break
        if any(len(now[name]) < len(numbers) for name, numbers in road[-1].items()):
            road.append(now)
        seed = one
    if len(road) == 1:
        raise ValueError(
            "`keep`, `steps` and `floor` must allow a network with fewer channels: take a smaller "
            "`keep`, more `steps`, each of fewer channels, or a lower `floor`. Received: none, "
            f"because {end or 'no step removes a channel'}"
        )
    return seed, road


def _end(found: channels.Groups, one: keras.Model, kept: Kept, score, floor) -> str | None:
    """Why a network is too small to be the seed; `None` if it is not."""
    if floor is not None and (reached := finite(score(one))) < floor:
        return f"the first one scores {reached:.6g}, below floor={floor}"
    before, now = _places(found), _places(channels.groups(one))
    # A single channel may be one of all positions, but it stays whatever it belongs to.
    several = [name for name in {**before, **now} if name not in kept or len(kept[name]) > 1]
    others = [name for name in several if before.get(name) != now.get(name)]
    if not others:
        return None
    warnings.warn(
        "the network is not pruned down to `keep` or `floor`, for its channels would belong "
        f"together in another way then. Received: groups that change, {others}",
        stacklevel=4,
    )
    return f"with fewer channels, other channels belong together in {others}"


def _places(found: channels.Groups) -> dict[str, list[tuple]]:
    """Where the channels of each removable group lie."""
    return {
        name: [(axis.layer, axis.axis, axis.role) for axis in one.axes]
        for name, one in found.items()
        if one.removable
    }


def growing_order(road: Sequence[Kept]) -> Kept:
    """Returns the channels of each group in the order in which they come back."""
    order = road[-1]
    for larger in road[-2::-1]:
        order = {
            name: np.concatenate([one, np.setdiff1d(larger[name], one)])
            for name, one in order.items()
        }
    return order


def chosen(road: Sequence[Kept], capacities: int) -> list[dict[str, int]]:
    """Returns how many channels each network has, from the seed to the whole one.

    Warns if there are fewer steps between them than it takes.
    """
    if len(road) < capacities:
        warnings.warn(
            f"there are {len(road)} networks instead of {capacities}, for on the way to the seed "
            f"only {len(road) - 1} steps remove channels. For more, take more `steps`, a smaller "
            f"`keep` or a lower `floor`. Received: capacities={capacities}",
            stacklevel=3,
        )
    places = np.linspace(len(road) - 1, 0, min(capacities, len(road))).round().astype(int)
    return [{name: len(one) for name, one in road[place].items()} for place in places]
