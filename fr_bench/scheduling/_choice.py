"""A capacity and a share of the processor for each application, within the memory that there is."""

import dataclasses
from collections.abc import Mapping, Sequence

from fr_bench.scheduling._applications import WHOLE, Application
from fr_bench.scheduling._options import Option, options, total
from fr_bench.scheduling._total import least_total
from fr_bench.scheduling._worst import least_worst

_SOLVERS = {"total": least_total, "worst": least_worst}
#: NestDNN's MinTotalCost and MinMaxCost.
POLICIES = tuple(_SOLVERS)


@dataclasses.dataclass(frozen=True)
class Share:
    """What an application gets: the place of its capacity, and its percent of the processor."""

    capacity: int
    units: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all applications get.

    Attributes:
        shares: The share of each that runs, by name.
        waiting: Why each other one cannot run, by name: "memory" or "processor".
        cost: The sum of the costs of those that run, each times its priority.
        worst: The largest urgency: the cost of one times its priority, or divided by it below 0.
    """

    shares: Mapping[str, Share]
    waiting: Mapping[str, str]
    cost: float
    worst: float


def choose(
    applications: Sequence[Application],
    memory: int,
    units: int = WHOLE,
    policy: str = "total",
    held: Mapping[str, int] | None = None,
) -> Plan:
    """Returns the best plan for applications that run at the same time.

    Args:
        applications: The applications, the one that started first at the front.
        memory: The bytes that all together may take; never exceeded.
        units: The percent of the processor that all together may take.
        policy: "total" for the least sum of the costs, which is met to a thousandth unless the
            search for it gets too long; "worst" for the least largest urgency, which is exact, and
            of such plans the least sum.
        held: The capacities that applications must keep, by name.

    Where not even the smallest capacities fit, those of a higher priority run, and of the same
    priority those that started first. The plan says which cannot.

    Raises:
        ValueError: If an argument is not what it must be.

    Example:

    >>> from fr_bench.scheduling import Application, Capacity, choose
    >>> large, small = Capacity(0.9, 4_000_000, 20.0), Capacity(0.8, 1_000_000, 5.0)
    >>> apps = [Application(name, (large, small), goal=0.9, bound_ms=40.0) for name in "ab"]
    >>> choose(apps, memory=8_000_000).shares
    {'a': Share(capacity=0, units=50), 'b': Share(capacity=0, units=50)}
    >>> choose(apps, memory=6_000_000).shares
    {'a': Share(capacity=0, units=50), 'b': Share(capacity=1, units=13)}
    >>> choose(apps, memory=1_000_000).waiting
    {'b': 'memory'}
    """
    _check(applications, memory, units, policy)
    rows = {one.name: _row(one, units, held or {}) for one in applications}
    waiting = _refused(applications, rows, memory, units)
    names = [one.name for one in applications if one.name not in waiting]
    if not names:
        return Plan({}, waiting, 0.0, float("-inf"))
    taken = [rows[name] for name in names]
    # The least memory is a choice that fits.
    start = [min(range(len(row)), key=lambda i, row=row: row[i].memory) for row in taken]
    chosen, shares = _SOLVERS[policy](taken, units, memory, start)
    return Plan(
        {
            name: Share(one.place, share)
            for name, one, share in zip(names, chosen, shares, strict=True)
        },
        waiting,
        total(chosen, shares),
        max(one.urgency(share) for one, share in zip(chosen, shares, strict=True)),
    )


def _row(application: Application, units: int, held: Mapping[str, int]) -> list[Option]:
    found = options(application, max(units, 1))
    place = held.get(application.name)
    return found if place is None else [one for one in found if one.place == place]


def _refused(
    applications: Sequence[Application],
    rows: Mapping[str, Sequence[Option]],
    memory: int,
    units: int,
) -> dict[str, str]:
    """Which applications cannot run, and for want of what."""
    waiting = {}
    for one in sorted(applications, key=lambda one: -one.priority):
        least = min(option.memory for option in rows[one.name])
        if least > memory:
            waiting[one.name] = "memory"
        elif units < 1:
            waiting[one.name] = "processor"
        else:
            memory -= least
            units -= 1
    return waiting


def _check(applications: Sequence[Application], memory: int, units: int, policy: str) -> None:
    names = [one.name for one in applications]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"`applications` must have names of their own: rename one. Received: '{twice[0]}' twice"
        )
    if not isinstance(memory, int) or memory < 0:
        raise ValueError(f"`memory` must be whole bytes, 0 or more. Received: memory={memory!r}")
    if not isinstance(units, int) or not 0 <= units <= WHOLE:
        raise ValueError(f"`units` must be whole percent, 0 to 100. Received: units={units!r}")
    if policy not in POLICIES:
        raise ValueError(f"`policy` must be one of {POLICIES}. Received: policy={policy!r}")
