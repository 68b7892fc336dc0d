"""Parts of a graph that can run strip by strip: their ops touch each row by itself."""

import collections
import dataclasses
import heapq
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from fr_keras.tflite.file import memory
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file._rows import Rows, rows_of


@dataclasses.dataclass(frozen=True)
class Region:
    """Ops that can run one after another on a strip of rows, then on the next strip.

    Attributes:
        ops: The ops by their places in the graph.
        scales: The rows of each tensor in a strip of the least height.
        units: How many such strips there are.
    """

    ops: dict[int, Rows]
    scales: dict[int, int]
    units: int


class Parts:
    """The ops of a graph in groups that run as wholes, in an order in which each can.

    Args:
        new: The graph.
        least: Ops are put together if a tensor of more bytes than this goes from one to another.
        halos: Whether strips may need rows of each other, which are then computed twice.

    Attributes:
        order: For each part the places of its ops, and its region if it has more than one op.
    """

    def __init__(self, new: Rewriter, least: int, halos: bool):
        self._new, self._ops = new, new.graph.operators
        cuts = {n: rows_of(new, op) for n, op in enumerate(self._ops)}
        self._cuts = {
            n: one if one and (halos or not one.overlaps) else None for n, one in cuts.items()
        }
        self._maker = {int(n): place for place, op in enumerate(self._ops) for n in op.outputs}
        self._group = list(range(len(self._ops)))
        self._members = {place: [place] for place in self._group}
        self._scales: dict[int, dict[int, Fraction]] = {}
        for one, two in self._edges(least):
            self._join(self._group[one], self._group[two])
        ordered = self._ordered(self._group) or []
        self.order: list[tuple[list[int], Region | None]] = [
            (self._members[group], self._region(group)) for group in ordered
        ]

    def _edges(self, least: int) -> list[tuple[int, int]]:
        """Pairs of ops that can be cut and have a large tensor between them, the largest first."""
        found, sizes = [], memory.sizes(self._new.model)
        for place, cut in self._cuts.items():
            for number in () if cut is None else cut.cut:
                maker = self._maker.get(number)
                if sizes[number] > least and self._cuts.get(maker) is not None:
                    found.append((-sizes[number], maker, place))
        return [pair for _, *pair in sorted(found)]

    def _join(self, one: int, two: int) -> None:
        """Makes one group of two, if it can be cut as one and run as one."""
        if one == two:
            return
        scales = self._common(self._members[one] + self._members[two])
        group = [one if n == two else n for n in self._group]
        if scales is None or self._ordered(group) is None:
            return
        self._group = group
        self._members[one] = sorted(self._members[one] + self._members.pop(two))
        self._scales[one] = scales

    def _common(self, places: Iterable[int]) -> dict[int, Fraction] | None:
        """Relative rows of the tensors that some connected ops cut; `None` if they disagree."""
        waiting, scales = [self._cuts[place] for place in places], {}
        scales[waiting[0].output] = Fraction(1)
        while waiting:
            known = [one for one in waiting if {one.output, *one.cut} & scales.keys()]
            for one in known:
                waiting.remove(one)
                if one.output in scales:
                    scale = scales[one.output]
                else:
                    scale = next(scales[n] for n in one.cut if n in scales) / one.ratio
                ends = {one.output: scale, **dict.fromkeys(one.cut, scale * one.ratio)}
                if any(scales.setdefault(number, own) != own for number, own in ends.items()):
                    return None
        return scales

    def _ordered(self, group: Sequence[int]) -> list[int] | None:
        """The groups in an order in which they can run, early ops first; `None` for a circle."""
        after, missing = collections.defaultdict(set), collections.Counter()
        for place, op in enumerate(self._ops):
            for number in op.inputs:
                maker = self._maker.get(int(number))
                if maker is not None and group[maker] != group[place]:
                    after[group[maker]].add(group[place])
        for followers in after.values():
            missing.update(followers)
        first: dict[int, int] = {}
        for place, one in enumerate(group):
            first.setdefault(one, place)
        ready = [(place, one) for one, place in first.items() if not missing[one]]
        heapq.heapify(ready)
        order = []
        while ready:
            _, one = heapq.heappop(ready)
            order.append(one)
            for follower in after[one]:
                missing[follower] -= 1
                if not missing[follower]:
                    heapq.heappush(ready, (first[follower], follower))
        return order if len(order) == len(first) else None

    def _region(self, group: int) -> Region | None:
        if group not in self._scales:
            return None
        relative = self._scales[group]
        unit = math.lcm(*(scale.denominator for scale in relative.values()))
        numbers = {n: int(scale * unit) for n, scale in relative.items()}
        shared = math.gcd(*numbers.values())
        scales = {n: scale // shared for n, scale in numbers.items()}
        units = min(self._new.shape(n)[1] // scale for n, scale in scales.items())
        return Region({n: self._cuts[n] for n in self._members[group]}, scales, units)
