"""The choice of least total cost: a price for the processor and for memory, then what is near."""

from collections.abc import Sequence
from typing import NamedTuple

from fr_bench.scheduling._options import Option, at_price, spread, total

#: Steps in the search for prices, and how far one goes when the last was no better.
_STEPS, _SHORTER = 12, 0.7
#: How many options the search near these prices looks at.
_VISITS = 4000
#: A choice is good enough when none can be better by more than this part of its cost.
_TOLERANCE, _ROUNDING = 0.001, 1e-12


class _Prices(NamedTuple):
    """A price of a unit of the processor and of a byte, and what follows from them.

    Attributes:
        unit: The price of a unit.
        byte: The price of a byte.
        values: What each option costs with what it takes.
        bound: No choice has a lower cost than this.
        units: The units that the cheapest options take together.
        memory: The bytes.
    """

    unit: float
    byte: float
    values: list[list[float]]
    bound: float
    units: int
    memory: int


class _Search:
    """The best choice so far.

    Attributes:
        rows: The options of each application.
        units: The units of the processor.
        memory: The bytes that there are.
        places: The place of an option in each row.
        cost: The total cost of that.
    """

    def __init__(self, rows: Sequence[Sequence[Option]], units: int, memory: int):
        self.rows, self.units, self.memory = rows, units, memory
        self.places: list[int] = []
        self.cost = float("inf")
        self._seen: set[tuple[int, ...]] = set()

    def try_out(self, places: Sequence[int], price: float) -> None:
        """Takes a choice if it fits and is better."""
        key = tuple(places)
        if key in self._seen:
            return
        self._seen.add(key)
        picked = self.picked(places)
        if sum(one.memory for one in picked) > self.memory:
            return
        if sum(one.least for one in picked) > self.units:
            return
        cost = total(picked, spread(picked, self.units, price))
        if cost < self.cost:
            self.cost, self.places = cost, list(places)

    def picked(self, places: Sequence[int]) -> list[Option]:
        """Returns the options at these places."""
        return [row[place] for row, place in zip(self.rows, places, strict=True)]

    def good_enough(self, bound: float) -> bool:
        """Whether no choice above a bound is worth looking for."""
        return bound >= self.cost - max(_TOLERANCE * abs(self.cost), _ROUNDING)


def least_total(
    rows: Sequence[Sequence[Option]], units: int, memory: int, start: Sequence[int]
) -> tuple[list[Option], list[int]]:
    """Returns an option for each application and its units, with the least total cost.

    Args:
        rows: The options of each application.
        units: The units of the processor.
        memory: What there is, in bytes.
        start: The place of an option in each row; a choice that fits.
    """
    search = _Search(rows, units, memory)
    search.try_out(start, 0.0)
    prices = _best_prices(search)
    _look_near(search, prices)
    picked = search.picked(search.places)
    return picked, spread(picked, units, prices.unit)


def _best_prices(search: _Search) -> _Prices:
    """The prices that give the largest bound, by steps along its gradient of Polyak's length.

    B. T. Polyak, "Minimization of unsmooth functionals", USSR Computational Mathematics and
    Mathematical Physics 9 (1969), 14-29. What is cheapest at some prices is tried out.
    """
    unit = byte = 0.0
    best, pace = None, 1.0
    size = max(search.memory, 1)
    for _ in range(_STEPS):
        now = _priced(search, unit, byte)
        if best is None or now.bound > best.bound:
            best = now
        else:
            pace *= _SHORTER
        over_units, over_memory = now.units / search.units - 1, now.memory / size - 1
        # A price of 0 cannot fall.
        if unit <= 0 and over_units < 0:
            over_units = 0.0
        if byte <= 0 and over_memory < 0:
            over_memory = 0.0
        square = over_units * over_units + over_memory * over_memory
        if search.good_enough(now.bound) or square <= 0:
            break
        length = pace * (search.cost - now.bound) / square
        unit = max(0.0, unit + length * over_units / search.units)
        byte = max(0.0, byte + length * over_memory / size)
    return best


def _priced(search: _Search, unit: float, byte: float) -> _Prices:
    """What follows from prices.

    With all that a choice takes paid for, and all that there is paid back, its cost is no higher
    than before if it fits. So the least cost of that kind is a bound.
    """
    values, places, bound, units, memory = [], [], 0.0, 0, 0
    for row in search.rows:
        taken = [at_price(one, unit) for one in row]
        costs = [
            one.base + one.late(used) + unit * used + byte * one.memory
            for one, used in zip(row, taken, strict=True)
        ]
        place = costs.index(min(costs))
        values.append(costs)
        places.append(place)
        bound += costs[place]
        units += taken[place]
        memory += row[place].memory
    search.try_out(places, unit)
    bound -= unit * search.units + byte * search.memory
    return _Prices(unit, byte, values, bound, units, memory)


def _look_near(search: _Search, prices: _Prices) -> None:
    """Looks at all choices that the bound does not rule out, application by application, each from
    its cheapest option on."""
    orders = [sorted(range(len(row)), key=row.__getitem__) for row in prices.values]
    rests = [0]
    for row in reversed(search.rows):
        rests.append(rests[-1] + min(one.memory for one in row))
    rests.reverse()
    places, visits = [0] * len(orders), 0

    def visit(at: int, bound: float, memory: int) -> None:
        nonlocal visits
        if at == len(orders):
            search.try_out(places, prices.unit)
            return
        costs, order = prices.values[at], orders[at]
        for place in order:
            visits += 1
            after = bound + (costs[place] - costs[order[0]])
            if visits > _VISITS or search.good_enough(after):
                return
            left = memory - search.rows[at][place].memory
            if left >= rests[at + 1]:
                places[at] = place
                visit(at + 1, after, left)

    visit(0, prices.bound, search.memory)
