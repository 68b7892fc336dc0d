"""`order_channels`: puts the channels of a trained model in an order that the DCT can use."""

import keras
import numpy as np

from fr_keras.models import channels
from fr_keras.models.walk import plain_kernels

_ROUNDS = 10  # of improvement; later ones change little
_FEWEST, _MOST = 8, 256  # channels of a group whose order says something, and says enough
_DRAWS, _CHANCE = 100, 0.03


def order_channels(model: keras.Model) -> keras.Model:
    """Returns a copy of a trained model that computes the same, with like channels side by side.

    The channels of a network that was trained without frequency regularization stand in no order,
    so that its kernels have as much energy in high frequencies as in low ones. Here the channels of
    each group are put in an order in which neighbours are alike, in the layers that make them and
    in those that read them. More of the energy is then in the low frequencies, which FR keeps:
    call this before `regularize`. The copy is not compiled.

    The order is a short path through all channels of a group, found by joining the nearest and then
    by turning parts of it around (2-opt). The distance of two channels is that of their weights,
    where each kernel counts alike.

    Args:
        model: A built functional or sequential model. It is not changed.

    Raises:
        ValueError: If there is no group of channels that can be ordered; if the model is unbuilt or
            has no graph of layers; if it holds weights that are not finite.

    Example:

    >>> from fr_keras import order_channels
    >>> inputs = keras.Input((8,))
    >>> x = keras.layers.Dense(16, activation="relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3, name="logits")(x))
    >>> ordered = order_channels(model)
    >>> x = keras.random.uniform((5, 8))
    >>> bool(keras.ops.max(abs(ordered(x) - model(x))) < 1e-5)
    True
    """
    found = channels.groups(model)
    free = [one for one in found.values() if one.orderable]
    if not free:
        reasons = "; ".join(f"'{name}': {one.reason}" for name, one in found.items())
        raise ValueError(
            "`model` must have channels that can be put in another order. "
            f"Received: {reasons or 'no layer that makes channels'}"
        )
    kernels = {id(kernel) for _, kernel in plain_kernels(model).values()}
    permutation = {one.name: shortest_path(_distances(one, kernels)) for one in free}
    ordered = channels.order(model, permutation)
    ordered.compiled = False
    return ordered


def unordered(model: keras.Model, kernels: set[int]) -> list[str]:
    """Returns the groups of a model, if their channels stand in no order, and otherwise none.

    They stand in an order if the path through the channels, over all groups, is shorter than all
    but 3 % of the paths in random orders: so it is behind `order_channels`, also when the model was
    trained further, and where kernels are smooth. Small groups do not count, and of large ones
    only the first channels.

    Args:
        model: A built functional or sequential model.
        kernels: The `id` of each kernel that counts.
    """
    rng = np.random.default_rng(0)
    names, length, lengths = [], 0.0, np.zeros(_DRAWS)
    for one in channels.groups(model).values():
        if not one.orderable or one.size < _FEWEST:
            continue
        distances = _distances(one, kernels, _MOST)
        mean, size = distances.mean(dtype=np.float64), len(distances)
        if mean > 0:
            names.append(one.name)
            length += _length(distances, np.arange(size)) / mean
            draws = [_length(distances, rng.permutation(size)) for _ in range(_DRAWS)]
            lengths += np.array(draws) / mean
    return names if length >= np.quantile(lengths, _CHANCE) else []


def _length(distances: np.ndarray, path: np.ndarray) -> float:
    return distances[path[:-1], path[1:]].sum(dtype=np.float64)


def _distances(group: channels.Group, kernels: set[int], most: int | None = None) -> np.ndarray:
    """The distances between the first channels of a group, or all, `(channels, channels)`."""
    size = min(group.size, most or group.size)
    products = np.zeros((size, size), np.float32)
    for one in group.axes:
        if id(one.weight) not in kernels:
            continue
        values = keras.ops.convert_to_numpy(keras.ops.cast(one.weight, "float32"))
        rows = np.moveaxis(values, one.axis, 0)[one.positions[:size]].reshape(size, -1)
        energy = np.square(rows, dtype=np.float64).sum()
        if energy > 0:
            products += rows @ rows.T / np.float32(energy)
    square = np.diag(products)
    return np.sqrt(np.maximum(square[:, None] + square - 2 * products, 0))


def shortest_path(distances: np.ndarray) -> np.ndarray:
    """Returns an order of points in which neighbours are near; a good one, not the best.

    Args:
        distances: Array of shape `(n, n)`, symmetric.
    """
    path = _greedy(distances)
    for _ in range(_ROUNDS):
        if not _turned(distances, path):
            break
    return path


def _greedy(distances: np.ndarray) -> np.ndarray:
    """The nearest two points, then again and again the point that is nearest to an end."""
    n = len(distances)
    if n < 3:
        return np.arange(n)
    apart = distances.copy()
    np.fill_diagonal(apart, np.inf)
    first, last = np.unravel_index(apart.argmin(), apart.shape)
    before, after = [first], [last]
    apart[:, [first, last]] = np.inf
    for _ in range(n - 2):
        ends = apart[[before[-1], after[-1]]]
        end, new = np.unravel_index(ends.argmin(), ends.shape)
        (before, after)[end].append(new)
        apart[:, new] = np.inf
    return np.array([*before[::-1], *after])


def _turned(distances: np.ndarray, path: np.ndarray) -> bool:
    """Turns parts of a path around where that makes it shorter; whether there was one."""
    found = False
    for i in range(-1, len(path) - 2):
        # A part from i + 1 to j: what its first and its last point had as neighbours outside.
        part, behind = path[i + 1 :], path[i + 2 :]
        gain = np.zeros(len(part), distances.dtype)
        if i >= 0:
            gain += distances[path[i], part[0]] - distances[path[i], part]
        gain[:-1] += distances[part[:-1], behind] - distances[part[0], behind]
        best = gain.argmax()
        if gain[best] > 1e-6 * distances[part[0], part[best]]:
            path[i + 1 : i + 2 + best] = part[: best + 1][::-1].copy()
            found = True
    return found
