"""The scheduler while the phone works: events come in, and capacities do not flap."""

import dataclasses
import math
from collections.abc import Mapping

from fr_bench.scheduling._applications import WHOLE, Application
from fr_bench.scheduling._choice import Plan, choose

#: Percent of the memory from each level of Android's `onTrimMemory` on. Chosen by us.
TRIM = {0: 100, 5: 80, 10: 60, 15: 40, 20: 80, 40: 60, 60: 40, 80: 20}
#: Percent of the processor at each of Android's thermal statuses, none to shutdown. Chosen by us.
HEAT = (100, 100, 80, 60, 40, 20, 0)


class Scheduler:
    """Chooses again after each event, and changes capacities only where it must or it pays.

    A change that nothing forces must save more than `margin`, and comes at least `hold_s` seconds
    after the last change. What every application keeps its capacity for, a new split of the
    processor, is free. Times are seconds of a clock of the caller. If the clock jumps back, the
    wait begins again.

    Args:
        memory: The bytes that all applications together may take.
        policy: "total" or "worst", as for `choose`.
        hold_s: The seconds between changes that nothing forces.
        margin: What such a change must save, in the cost of all or of the most urgent one.

    Attributes:
        plan: What all applications have now.
        due: When `update` should be called, because a change is waiting; `None` if none is.
        units_now: The percent of the processor that all applications together may take now.

    Raises:
        ValueError: If an argument is not what it must be.

    Example:

    >>> from fr_bench.scheduling import Application, Capacity, Scheduler
    >>> large, small = Capacity(0.9, 4_000_000, 20.0), Capacity(0.8, 1_000_000, 5.0)
    >>> scheduler = Scheduler(memory=4_000_000)
    >>> camera = Application("camera", (large, small), goal=0.9, bound_ms=40.0)
    >>> scheduler.start(camera, now=0.0).shares
    {'camera': Share(capacity=0, units=50)}
    >>> scheduler.trim(10, now=1.0).shares    # memory runs low: at once
    {'camera': Share(capacity=1, units=13)}
    >>> scheduler.trim(0, now=1.5).shares     # and comes back: only later
    {'camera': Share(capacity=1, units=13)}
    >>> scheduler.update(now=scheduler.due).shares
    {'camera': Share(capacity=0, units=50)}
    """

    def __init__(
        self, memory: int, policy: str = "total", hold_s: float = 2.0, margin: float = 0.01
    ):
        for name, value in (("hold_s", hold_s), ("margin", margin)):
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"`{name}` must be a finite number, 0 or more. Received: {name}={value!r}"
                )
        self.plan = choose((), memory, policy=policy)
        self.due: float | None = None
        self._memory, self._policy = memory, policy
        self._hold, self._margin = hold_s, margin
        self._applications: dict[str, Application] = {}
        self._memory_percent = self.units_now = WHOLE
        self._changed = -math.inf

    @property
    def memory_now(self) -> int:
        """The bytes that all applications together may take now: the memory, less what trims
        take."""
        return self._memory * self._memory_percent // WHOLE

    def start(self, application: Application, now: float) -> Plan:
        """An application starts."""
        if application.name in self._applications:
            raise ValueError(
                "`application` must have a name that none has yet: end the other one first. "
                f"Received: '{application.name}'"
            )
        _check_clock(now)
        self._applications[application.name] = application
        return self.update(now)

    def end(self, name: str, now: float) -> Plan:
        """An application ends."""
        known = self._known(name)
        _check_clock(now)
        del self._applications[known.name]
        return self.update(now)

    def prioritize(self, name: str, priority: float, now: float) -> Plan:
        """The priority of an application changes."""
        changed = dataclasses.replace(self._known(name), priority=priority)
        _check_clock(now)
        self._applications[name] = changed
        return self.update(now)

    def bound(self, bounds_ms: Mapping[str, float], now: float) -> Plan:
        """The latencies that applications ask for change, by name: of all of them at once."""
        changed = {
            name: dataclasses.replace(self._known(name), bound_ms=bound_ms)
            for name, bound_ms in bounds_ms.items()
        }
        _check_clock(now)
        self._applications |= changed
        return self.update(now)

    def allow(self, memory: int, now: float) -> Plan:
        """The memory that all together may take changes; what `trim` said stays."""
        choose((), memory)
        _check_clock(now)
        self._memory = memory
        return self.update(now)

    def trim(self, level: int, now: float) -> Plan:
        """Android says how short memory is: the level of `onTrimMemory`. It never says that memory
        is back: give 0 when it is."""
        if not isinstance(level, int) or level < 0:
            raise ValueError(
                "`level` must be a whole number, 0 (memory is back) or more. "
                f"Received: level={level!r}"
            )
        _check_clock(now)
        self._memory_percent = TRIM[max(one for one in TRIM if one <= level)]
        return self.update(now)

    def heat(self, status: int, now: float) -> Plan:
        """Android says how hot the phone is: the thermal status, 0 (none) to 6 (shutdown)."""
        if not isinstance(status, int) or not 0 <= status < len(HEAT):
            raise ValueError(f"`status` must be 0 to 6. Received: status={status!r}")
        _check_clock(now)
        self.units_now = HEAT[status]
        return self.update(now)

    def update(self, now: float) -> Plan:
        """Chooses again: when a change is `due`."""
        _check_clock(now)
        self._changed = min(self._changed, now)
        best, stay = self._choose({}), self._choose(self._held())
        if stay.waiting != best.waiting:
            return self._take(best, now, None)
        if not self._pays(best, stay):
            return self._take(stay, now, None)
        free = self._changed + self._hold
        return self._take(stay, now, free) if now < free else self._take(best, now, None)

    def _take(self, plan: Plan, now: float, due: float | None) -> Plan:
        held = self._held()
        if any(held.get(name, one.capacity) != one.capacity for name, one in plan.shares.items()):
            self._changed = now
        self.plan, self.due = plan, due
        return plan

    def _pays(self, best: Plan, stay: Plan) -> bool:
        saved = stay.cost - best.cost
        if self._policy == "worst":
            saved = max(saved, stay.worst - best.worst)
        return saved > self._margin

    def _choose(self, held: dict[str, int]) -> Plan:
        running = list(self._applications.values())
        return choose(running, self.memory_now, self.units_now, self._policy, held)

    def _held(self) -> dict[str, int]:
        """The capacities of the applications that run and have not ended."""
        shares = self.plan.shares.items()
        return {name: one.capacity for name, one in shares if name in self._applications}

    def _known(self, name: str) -> Application:
        if name not in self._applications:
            known = ", ".join(self._applications) or "none"
            raise ValueError(
                f"`name` must be that of an application that has started: {known}. "
                f"Received: {name!r}"
            )
        return self._applications[name]


def _check_clock(now: float) -> None:
    if not (isinstance(now, int | float) and math.isfinite(now)):
        raise ValueError(f"`now` must be a finite number of seconds. Received: now={now!r}")
