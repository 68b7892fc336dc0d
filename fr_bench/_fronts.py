"""Pareto fronts: the points that no other beats in both cost and score."""

from collections.abc import Sequence


def on_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Returns for each point, a cost and a score, whether no other beats it.

    A point is beaten by one that costs no more, scores no less, and differs. Equal points stand
    together.

    Example:

    >>> on_front([(1, 0.5), (2, 0.9), (3, 0.9), (1, 0.5)])
    [True, True, False, True]
    """

    def beaten(cost: float, score: float) -> bool:
        return any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points)

    return [not beaten(*point) for point in points]
