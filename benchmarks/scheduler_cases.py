"""Random small cases for the scheduler, brute force over them, and the published greedy.

Used by `scheduler.py` and by the tests. Nothing here uses the code that it judges: costs are
computed anew, from the formula of `docs/scheduler.md`.
"""

import random
from dataclasses import dataclass

import numpy as np

from fr_bench.scheduling import Application, Capacity

UNITS = 100


@dataclass(frozen=True)
class Case:
    """Applications that run at once, and what there is for them."""

    applications: tuple[Application, ...]
    memory: int
    units: int


def case(seed: int, applications: int | None = None, capacities: int | None = None) -> Case:
    """Returns a random case: by default of 2 to 4 applications with 1 to 4 capacities each."""
    rng = random.Random(seed)
    count = applications or rng.randint(2, 4)
    found = tuple(
        _application(rng, f"app{place}", capacities or rng.randint(1, 4)) for place in range(count)
    )
    least = sum(min(one.memory for one in app.capacities) for app in found)
    most = sum(max(one.memory for one in app.capacities) for app in found)
    memory = int(least + (most - least) * rng.uniform(0, 1.1))
    return Case(found, memory, rng.choice((100, 100, 70, 40)))


def _application(rng: random.Random, name: str, count: int) -> Application:
    top, latency, memory = rng.uniform(0.6, 0.98), rng.uniform(5, 200), rng.uniform(5e6, 2e8)
    found = []
    for place in range(count):
        size = 0.25 + 0.75 * (place + rng.random()) / count
        drop = 0.3 * (1 - size) ** 2 * rng.uniform(0.5, 1.5)
        held = int(memory * size ** rng.uniform(0.5, 1.5))
        found.append(Capacity(round(top - drop, 4), held, round(latency * size * size, 2)))
    rng.shuffle(found)
    goal, bound = round(rng.uniform(0.6, 0.95), 3), round(rng.uniform(20, 300), 1)
    priority, late = rng.choice((0.5, 1.0, 1.0, 1.0, 2.0)), rng.choice((0.01, 0.001))
    return Application(name, tuple(found), goal, bound, priority, late)


def costs(application: Application, units: int) -> np.ndarray:
    """Returns the cost of each capacity with 0 to `units` units; infinite with none."""
    share = np.arange(1, units + 1) / UNITS
    found = np.full((len(application.capacities), units + 1), np.inf)
    for row, one in zip(found, application.capacities, strict=True):
        late = np.maximum(0, one.latency_ms / share - application.bound_ms)
        row[1:] = application.goal - one.accuracy + application.late * late
    return found


def weighed(application: Application, cost: np.ndarray, policy: str) -> np.ndarray:
    """Returns what costs weigh with the priority."""
    if policy == "total":
        return cost * application.priority
    return np.where(cost > 0, cost * application.priority, cost / application.priority)


def brute_force(given: Case, policy: str) -> float:
    """Returns the least total, or the least largest, of all capacities and all splits."""
    tables = [weighed(app, costs(app, given.units), policy) for app in given.applications]
    join = np.add if policy == "total" else np.maximum
    numbers = np.arange(given.units + 1)
    left = numbers[:, None] - numbers
    start = np.full(given.units + 1, 0.0 if policy == "total" else -np.inf)

    def least(place: int, spent: np.ndarray, memory: int) -> float:
        """`spent`: the best of the applications so far, by the units that they have."""
        if place == len(tables):
            return spent.min()
        found = np.inf
        for one, row in zip(given.applications[place].capacities, tables[place], strict=True):
            if one.memory <= memory:
                both = np.where(left >= 0, join(spent[np.maximum(left, 0)], row), np.inf)
                found = min(found, least(place + 1, both.min(axis=1), memory - one.memory))
        return found

    return float(least(0, start, given.memory))


def greedy(given: Case, policy: str) -> float:
    """Returns what the published greedy comes to: 1 % at a time, each time to the application
    whose cost falls most (total) or is largest (worst), which then takes its best capacity."""
    tables = [weighed(app, costs(app, given.units), policy) for app in given.applications]
    memory = [[one.memory for one in app.capacities] for app in given.applications]
    count = len(tables)
    chosen = [int(np.argmin(row)) for row in memory]
    shares = [1] * count
    for _ in range(given.units - count):
        held = [memory[i][chosen[i]] for i in range(count)]
        best = []
        for i in range(count):
            free = given.memory - sum(held) + held[i]
            fits = [m for m in range(len(memory[i])) if memory[i][m] <= free]
            best.append(min(fits, key=lambda m, i=i: tables[i][m, shares[i] + 1]))
        now = [tables[i][chosen[i], shares[i]] for i in range(count)]
        after = [tables[i][best[i], shares[i] + 1] for i in range(count)]
        if policy == "total":
            place = int(np.argmax(np.subtract(now, after)))
        else:
            place = int(np.argmax(now))
        shares[place] += 1
        chosen[place] = best[place]
    found = [tables[i][chosen[i], shares[i]] for i in range(count)]
    return float(sum(found) if policy == "total" else max(found))
