"""The capacities of an application as a solver sees them, and the processor shared among them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from fr_bench.scheduling._applications import WHOLE, Application


class Option(NamedTuple):
    """A capacity that an application may get. Its cost with `u` units is
    `base + max(0, slope / u - relief)`, times the priority already; it falls with `u`, and by less
    and less.

    Attributes:
        place: The place of the capacity in `Application.capacities`.
        base: The cost without any latency.
        slope: What the latency costs with one unit.
        relief: What the bound spares.
        memory: In bytes.
        least: The fewest units that it may get.
        most: The units above which no more help.
        priority: What is in the cost as a factor.
    """

    place: int
    base: float
    slope: float
    relief: float
    memory: int
    least: int
    most: int
    priority: float

    def late(self, units: int) -> float:
        """Returns the cost of the latency."""
        over = self.slope / units - self.relief
        return over if over > 0 else 0.0

    def urgency(self, units: int) -> float:
        """Returns what the cost weighs where only the largest counts: the priority makes it more
        urgent on both sides of 0."""
        cost = self.base + self.late(units)
        return cost if cost > 0 else cost / (self.priority * self.priority)

    def need(self, limit: float) -> int | None:
        """Returns the fewest units with an urgency below a limit; `None` if none suffice."""
        cost = limit if limit > 0 else limit * (self.priority * self.priority)
        allowed = cost - self.base
        if allowed <= 0:
            return None
        # The latency costs less than what is allowed above this; rounding may be one unit off.
        above = self.slope / (self.relief + allowed)
        units = self.least if above < self.least else int(min(above, self.most + 1))
        while units <= self.most and self.urgency(units) >= limit:
            units += 1
        return units if units <= self.most else None


def options(application: Application, units: int) -> list[Option]:
    """Returns what an application may get of a processor of so many units."""
    found = []
    weight = application.priority * application.late
    for place in application.useful:
        one = application.capacities[place]
        enough = WHOLE * one.latency_ms / application.bound_ms
        most = units if enough >= units else max(1, math.ceil(enough))
        base = application.priority * (application.goal - one.accuracy)
        slope, relief = weight * (WHOLE * one.latency_ms), weight * application.bound_ms
        found.append(Option(place, base, slope, relief, one.memory, 1, most, application.priority))
    return found


def at_price(option: Option, price: float) -> int:
    """Returns the units that an option takes if each costs so much: the fewest of the best."""
    least, most = option.least, option.most
    if price <= 0 or least == most:
        return most
    # slope / u + price * u is least at this u, and the next whole numbers are all that count.
    root = math.sqrt(option.slope / price)
    units = most - 1 if root >= most else max(least, int(root))
    return units if option.late(units) - option.late(units + 1) <= price else units + 1


def spread(chosen: Sequence[Option], units: int, price: float) -> list[int]:
    """Returns the units of each of the options, with the least total cost.

    The costs are convex, so what each takes at a price is best for the sum that it comes to, and
    one unit more or less where it changes most or least keeps that so.

    Args:
        chosen: An option for each application; they need at most `units` together.
        units: How many there are.
        price: Where to begin. Any gives the same cost.
    """
    shares = [at_price(one, price) for one in chosen]
    left = units - sum(shares)
    losses = [_loss(one, u) for one, u in zip(chosen, shares, strict=True)] if left < 0 else []
    while left < 0:
        place = losses.index(min(losses))
        shares[place] -= 1
        losses[place] = _loss(chosen[place], shares[place])
        left += 1
    gains = [_gain(one, u) for one, u in zip(chosen, shares, strict=True)] if left > 0 else []
    while left > 0 and max(gains) > 0:
        place = gains.index(max(gains))
        shares[place] += 1
        gains[place] = _gain(chosen[place], shares[place])
        left -= 1
    return shares


def _loss(option: Option, units: int) -> float:
    """What the last unit is worth."""
    return option.late(units - 1) - option.late(units) if units > option.least else math.inf


def _gain(option: Option, units: int) -> float:
    """What one unit more is worth."""
    return option.late(units) - option.late(units + 1) if units < option.most else 0.0


def total(chosen: Sequence[Option], shares: Sequence[int]) -> float:
    """Returns the cost of all together."""
    found = 0.0
    for one, u in zip(chosen, shares, strict=True):
        found += one.base + one.late(u)
    return found
