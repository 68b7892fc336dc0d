"""What the scheduler knows of an application: its capacities, its goals, and what they cost."""

import dataclasses
import functools
import math
import numbers
from collections.abc import Iterable, Mapping

#: The processor in the steps in which it is given away: percent.
WHOLE = 100


@dataclasses.dataclass(frozen=True)
class Capacity:
    """The profile of one capacity of a network.

    Attributes:
        accuracy: Its score, where more is better; from 0 to 1 for a share.
        memory: What it needs while it runs, in bytes.
        latency_ms: What an inference takes with the whole processor, in milliseconds.

    Raises:
        ValueError: If a figure is missing, or is not one that a network can have.
    """

    accuracy: float
    memory: int
    latency_ms: float

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _is_number(value):
                raise ValueError(
                    f"`{field.name}` of a capacity must be a finite number: measure it, or leave "
                    f"the capacity out. Received: {field.name}={value!r}"
                )
        if self.memory < 0 or self.memory != int(self.memory):
            raise ValueError(f"`memory` must be whole bytes. Received: memory={self.memory!r}")
        if self.latency_ms <= 0:
            raise ValueError(
                "`latency_ms` must be above 0: the time of an inference with the whole processor. "
                f"Received: latency_ms={self.latency_ms!r}"
            )


@dataclasses.dataclass(frozen=True)
class Application:
    """An application with a network of several capacities, and what it asks for.

    Its cost at a capacity and a share `u` of the processor is `goal - accuracy + late *
    max(0, latency_ms / u - bound_ms)`.

    Attributes:
        name: What it is called; no two that run have the same name.
        capacities: What its network can be, in any order.
        goal: The accuracy that it asks for. More than that is worth as much as it is above.
        bound_ms: The latency that it asks for, in milliseconds; less is worth nothing.
        priority: What its cost is multiplied by. 1 is usual.
        late: The cost of a millisecond above `bound_ms`: by default that of a point of accuracy.

    Raises:
        ValueError: If an attribute is not what it must be; says how to put it right.

    Example:

    >>> large, small = Capacity(0.9, 4_000_000, 20.0), Capacity(0.8, 1_000_000, 5.0)
    >>> camera = Application("camera", (large, small), goal=0.9, bound_ms=40.0)
    >>> round(camera.cost(0, 50), 3), round(camera.cost(0, 40), 3), round(camera.cost(1, 40), 3)
    (0.0, 0.1, 0.1)
    """

    name: str
    capacities: tuple[Capacity, ...]
    goal: float
    bound_ms: float
    priority: float = 1.0
    late: float = 0.01

    def __post_init__(self):
        if not self.capacities:
            raise ValueError(f"`capacities` of '{self.name}' must hold at least one. Received: ()")
        if not _is_number(self.goal):
            raise ValueError(
                f"`goal` of '{self.name}' must be a finite number. Received: goal={self.goal!r}"
            )
        for name in ("bound_ms", "priority", "late"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ValueError(
                    f"`{name}` of '{self.name}' must be a finite number above 0. "
                    f"Received: {name}={value!r}"
                )

    @functools.cached_property
    def useful(self) -> tuple[int, ...]:
        """The capacities that no other is as good as in all three figures; the first of equals."""
        return tuple(
            place
            for place, one in enumerate(self.capacities)
            if not any(
                _as_good(other, one) and (earlier < place or not _as_good(one, other))
                for earlier, other in enumerate(self.capacities)
                if earlier != place
            )
        )

    def cost(self, capacity: int, units: int) -> float:
        """Returns the cost at a capacity with a share of the processor, in percent."""
        one = self.capacities[capacity]
        over = self.late * (WHOLE * one.latency_ms / units) - self.late * self.bound_ms
        return self.goal - one.accuracy + max(0.0, over)


def capacities(entries: Iterable[Mapping[str, float]]) -> tuple[Capacity, ...]:
    """Returns capacities from a profile in JSON: `accuracy`, `memory` and `latency_ms` of each.

    Raises:
        ValueError: If a capacity lacks a figure; says which.

    Example:

    >>> capacities([{"accuracy": 0.9, "memory": 4000000, "latency_ms": 20.0}])
    (Capacity(accuracy=0.9, memory=4000000, latency_ms=20.0),)
    """
    names = [field.name for field in dataclasses.fields(Capacity)]
    found = []
    for place, entry in enumerate(entries):
        missing = [name for name in names if entry.get(name) is None]
        if missing:
            raise ValueError(
                f"A profile must have {', '.join(names)} for each capacity: measure the capacity, "
                f"or leave it out. Received: entry {place} without {', '.join(missing)}"
            )
        found.append(Capacity(*(entry[name] for name in names)))
    return tuple(found)


def _as_good(one: Capacity, other: Capacity) -> bool:
    return (
        one.accuracy >= other.accuracy
        and one.memory <= other.memory
        and one.latency_ms <= other.latency_ms
    )


def _is_number(value) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)
