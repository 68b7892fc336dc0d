"""The choice in which the most urgent application is as well off as it can be."""

import math
from collections.abc import Sequence

from fr_bench.scheduling._options import Option
from fr_bench.scheduling._total import least_total

#: An option that an application may take: its place in the row, its units and its memory.
_Need = tuple[int, int, int]


def least_worst(
    rows: Sequence[Sequence[Option]], units: int, memory: int, start: Sequence[int]
) -> tuple[list[Option], list[int]]:
    """Returns an option for each application and its units, so that the largest urgency is least;
    of all such choices one of least total cost.

    The arguments are those of `least_total`.
    """
    limit, places = _least_limit(rows, units, memory, start)
    # The largest urgency may be the limit, but no more.
    limit = math.nextafter(limit, math.inf)
    narrowed, begin = [], []
    for row, place in zip(rows, places, strict=True):
        needs = [one.need(limit) for one in row]
        begin.append(sum(need is not None for need in needs[:place]))
        narrowed.append(
            [
                one._replace(least=need)
                for one, need in zip(row, needs, strict=True)
                if need is not None
            ]
        )
    return least_total(narrowed, units, memory, begin)


def _least_limit(
    rows: Sequence[Sequence[Option]], units: int, memory: int, start: Sequence[int]
) -> tuple[float, list[int]]:
    """The least largest urgency, and a choice that has it.

    The interval in which it lies is halved. Its upper end is always one that a choice has, so the
    search ends when nothing is below it.
    """
    places, share = list(start), units // len(rows)
    upper = max(
        row[place].urgency(min(share, row[place].most))
        for row, place in zip(rows, places, strict=True)
    )
    lower = max(min(one.urgency(one.most) for one in row) for row in rows)
    while lower < upper:
        found = _below(rows, upper, units, memory)
        if found is None:
            break
        upper, places = found
        middle = (lower + upper) / 2
        if lower < middle < upper:
            found = _below(rows, middle, units, memory)
            if found is None:
                lower = middle
            else:
                upper, places = found
    return upper, places


def _below(
    rows: Sequence[Sequence[Option]], limit: float, units: int, memory: int
) -> tuple[float, list[int]] | None:
    """A choice in which all urgencies are below a limit: the largest of them, and the choice."""
    needs = []
    for row in rows:
        able = []
        for place, one in enumerate(row):
            need = one.need(limit)
            if need is not None:
                able.append((place, need, one.memory))
        if not able:
            return None
        needs.append(able)
    places = _fitting(needs, units, memory)
    if places is None:
        return None
    worst = max(
        row[place].urgency(next(need for at, need, _ in able if at == place))
        for row, able, place in zip(rows, needs, places, strict=True)
    )
    return worst, places


def _fitting(needs: Sequence[Sequence[_Need]], units: int, memory: int) -> list[int] | None:
    """A place for each application so that units and memory suffice; `None` if they do not."""
    if sum(min(need for _, need, _ in able) for able in needs) > units:
        return None
    if sum(min(held for _, _, held in able) for able in needs) > memory:
        return None
    quick = [min(able, key=lambda one: one[1]) for able in needs]
    if sum(held for _, _, held in quick) <= memory:
        return [place for place, _, _ in quick]
    return _least_memory(needs, units, memory)


def _least_memory(needs: Sequence[Sequence[_Need]], units: int, memory: int) -> list[int] | None:
    """The same by the least memory for each number of units, application by application."""
    beyond = memory + 1
    best, steps = [0] + [beyond] * units, []
    for able in needs:
        after, step = [beyond] * (units + 1), [None] * (units + 1)
        for place, need, held in able:
            for used in range(need, units + 1):
                if best[used - need] + held < after[used]:
                    after[used] = best[used - need] + held
                    step[used] = (place, need)
        best = after
        steps.append(step)
    used = best.index(min(best))
    if best[used] > memory:
        return None
    places = []
    for step in reversed(steps):
        place, need = step[used]
        places.append(place)
        used -= need
    return places[::-1]
