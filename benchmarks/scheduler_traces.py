"""A phone that is simulated: made-up networks, random arrivals, and what all get on it.

Used by `scheduler.py`. Nothing here was measured on a phone. The networks have the shape of a
family of nested ones: smaller capacities lose little accuracy at first, and then more.
"""

import dataclasses
import random
from collections.abc import Iterator, Mapping

from fr_bench.scheduling import Application, Capacity, Plan, Scheduler, Share, choose

SECONDS, FEWEST, MOST = 60.0, 2, 6
#: What each application asks for.
FRAMES = 10.0
GOAL = 0.9
SHARES = (1.0, 0.7, 0.5, 0.35, 0.2)
#: Of the whole network: accuracy, what the smallest one loses, latency in ms, memory in MB.
NETWORKS = (
    (0.93, 0.06, 60, 110),
    (0.91, 0.10, 80, 130),
    (0.88, 0.08, 40, 90),
    (0.95, 0.04, 30, 70),
    (0.90, 0.12, 70, 150),
    (0.86, 0.09, 50, 100),
)


def capacities(network: int) -> tuple[Capacity, ...]:
    """Returns the capacities of a made-up network, the whole one first.

    Latency falls with the share of the multiply-adds. Half of the memory is for activations, which
    fall with the width, the root of the share.
    """
    accuracy, loss, latency, memory = NETWORKS[network]
    return tuple(
        Capacity(
            accuracy - loss * ((1 - share) / (1 - SHARES[-1])) ** 2,
            round(1e6 * memory * (share + share**0.5) / 2),
            latency * share,
        )
        for share in SHARES
    )


def applications(late: float) -> list[Application]:
    """Returns an application for each network, which asks for frames and accuracy."""
    return [
        Application(f"app{place}", capacities(place), GOAL, 1000 / FRAMES, late=late)
        for place in range(len(NETWORKS))
    ]


def trace(seed: int) -> list[tuple[float, set[int]]]:
    """Returns when something changes in a minute, and which networks run from then on: 2 at the
    start, then an arrival or a departure every 4 seconds on average, and never fewer or more than
    `FEWEST` and `MOST`."""
    rng = random.Random(seed)
    running = set(rng.sample(range(len(NETWORKS)), FEWEST))
    found, now = [(0.0, set(running))], rng.expovariate(0.25)
    while now < SECONDS:
        waiting = set(range(len(NETWORKS))) - running
        arrives = len(running) == FEWEST or (len(running) < MOST and rng.random() < 0.5)
        if arrives:
            running.add(rng.choice(sorted(waiting)))
        else:
            running.remove(rng.choice(sorted(running)))
        found.append((now, set(running)))
        now += rng.expovariate(0.25)
    return found


@dataclasses.dataclass
class Tally:
    """Sums over the seconds of all applications. One that waits has no accuracy and no frames."""

    seconds: float = 0.0
    accuracy: float = 0.0
    frames: float = 0.0
    waiting: float = 0.0
    changes: int = 0

    def add(self, apps: list[Application], shares: Mapping[str, Share], seconds: float) -> None:
        """Adds what applications got for so long."""
        for app in apps:
            self.seconds += seconds
            if app.name not in shares:
                self.waiting += seconds
                continue
            one = app.capacities[shares[app.name].capacity]
            self.accuracy += seconds * one.accuracy
            rate = shares[app.name].units / 100 * 1000 / one.latency_ms
            self.frames += seconds * min(FRAMES, rate)

    def means(self) -> dict:
        """Returns what an application has on average."""
        return {
            "accuracy": round(self.accuracy / self.seconds, 5),
            "frames_per_second": round(self.frames / self.seconds, 4),
            "waiting": round(self.waiting / self.seconds, 5),
            "changes": self.changes,
        }


def spans(events: list[tuple[float, set[int]]]) -> Iterator[tuple[float, float, set[int]]]:
    """The spans of a trace in which the same applications run: begin, end, and which."""
    ends = [begin for begin, _ in events[1:]] + [SECONDS]
    for (begin, running), end in zip(events, ends, strict=True):
        yield begin, end, running


def joined(tallies: list[Tally]) -> Tally:
    """Returns the sums of all."""
    names = [field.name for field in dataclasses.fields(Tally)]
    return Tally(*(sum(getattr(one, name) for one in tallies) for name in names))


def fixed(share: float, split: str, memory: int, events: list[tuple[float, set[int]]]) -> Tally:
    """Each network has one capacity.

    Args:
        share: Of the multiply-adds; one of `SHARES`.
        split: "equal": the processor is shared equally. "chosen": as the scheduler would.
        memory: The bytes that there are.
        events: A trace.
    """
    tally, capacity = Tally(), SHARES.index(share)
    only = [
        dataclasses.replace(app, capacities=(app.capacities[capacity],))
        for app in applications(late=0.001)
    ]
    for begin, end, running in spans(events):
        apps = [only[place] for place in sorted(running)]
        shares = choose(apps, memory).shares
        if split == "equal":
            shares = {name: Share(0, 100 // len(shares)) for name in shares}
        tally.add(apps, shares, end - begin)
    return tally


def scheduled(policy: str, late: float, memory: int, events: list[tuple[float, set[int]]]) -> Tally:
    """The scheduler chooses, with its usual wait and margin."""
    tally, scheduler = Tally(), Scheduler(memory, policy)
    apps, before = applications(late), set()
    for begin, end, running in spans(events):
        old = scheduler.plan
        for place in sorted(before - running):
            scheduler.end(apps[place].name, begin)
        for place in sorted(running - before):
            scheduler.start(apps[place], begin)
        tally.changes += changed(old, scheduler.plan)
        now, here = begin, [apps[place] for place in sorted(running)]
        while scheduler.due is not None and scheduler.due < end:
            due, old = scheduler.due, scheduler.plan
            tally.add(here, old.shares, due - now)
            now = due
            tally.changes += changed(old, scheduler.update(now))
        tally.add(here, scheduler.plan.shares, end - now)
        before = running
    return tally


def changed(before: Plan, after: Plan) -> int:
    """Returns how many networks that go on running have another capacity."""
    return sum(
        name in after.shares and after.shares[name].capacity != one.capacity
        for name, one in before.shares.items()
    )
