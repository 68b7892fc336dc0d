"""`scheduler_vectors.json`: choices that Python and Kotlin must share.

To write it anew: `PYTHONPATH=.:benchmarks python tests/scheduler_vectors.py`.
"""

import dataclasses
import json
import random
from pathlib import Path

from scheduler_cases import Case, case

from fr_bench.scheduling import POLICIES, Application, Capacity, Plan, Scheduler, choose

FILE = Path(__file__).with_name("scheduler_vectors.json")
#: Events of applications that run.
_OF_RUNNING = ("end", "prioritize", "bound", "start")
LARGE, MIDDLE, SMALL = (
    Capacity(0.9, 4_000_000, 20.0),
    Capacity(0.86, 2_000_000, 10.0),
    Capacity(0.8, 1_000_000, 5.0),
)


def plain(name: str, *capacities: Capacity, priority: float = 1.0) -> Application:
    """An application that asks for 90 % within 40 ms."""
    return Application(name, capacities or (LARGE, MIDDLE, SMALL), 0.9, 40.0, priority)


def odd_cases() -> list[Case]:
    """Equal capacities and applications, memory or processor too small, and a hundred at once."""
    many = [plain(f"app{place}", MIDDLE, SMALL) for place in range(100)]
    return [
        Case((plain("a", SMALL, LARGE, SMALL, LARGE),), 8_000_000, 100),
        Case((plain("a"), plain("b"), plain("c")), 6_000_000, 60),
        Case((plain("a"), plain("b", priority=2.0), plain("c")), 2_500_000, 100),
        Case((plain("a", LARGE), plain("b"), plain("c", LARGE)), 5_000_000, 100),
        Case((plain("a"), plain("b"), plain("c")), 9_000_000, 2),
        Case((plain("a"), plain("b")), 9_000_000, 0),
        Case((plain("a"),), 999_999, 100),
        Case(tuple(many), 120_000_000, 100),
        Case(tuple(many), 99_000_000, 60),
        Case((), 1, 100),
    ]


def outcome(plan: Plan) -> dict:
    return {
        "shares": {name: [one.capacity, one.units] for name, one in plan.shares.items()},
        "waiting": dict(plan.waiting),
    }


def choices() -> list[dict]:
    """Cases with what is chosen."""
    found = []
    cases = odd_cases() + [case(seed) for seed in range(24)]
    cases += [case(seed, applications=6, capacities=5) for seed in range(6)]
    for one in cases:
        for policy in POLICIES:
            plan = choose(one.applications, one.memory, one.units, policy)
            numbers = {"cost": plan.cost, "worst": plan.worst} if plan.shares else {}
            given = dataclasses.asdict(one)
            found.append({**given, "policy": policy, **outcome(plan), **numbers})
    return found


def trace(seed: int) -> dict:
    """Random events of a scheduler, with clocks that jump, and what it does after each."""
    rng = random.Random(seed)
    policy, memory = rng.choice(POLICIES), rng.randint(100, 600) * 1_000_000
    scheduler = Scheduler(memory, policy)
    now, steps, running = 0.0, [], []
    for number in range(40):
        now = round(now + rng.choice((0.1, 0.5, 1.0, 2.5, -30.0, 1000.0)), 3)
        kinds = ["start", "trim", "heat", "update", "allow"]
        event = rng.choice(kinds if not running else [*kinds, *_OF_RUNNING])
        if event == "start":
            app = case(1000 * seed + number, 1, 5).applications[0]
            app = dataclasses.replace(app, name=f"app{number}")
            running.append(app.name)
            given = [app]
        elif event == "end":
            given = [running.pop(rng.randrange(len(running)))]
        elif event == "prioritize":
            given = [rng.choice(running), rng.choice((0.5, 1.0, 3.0))]
        elif event == "bound":
            some = rng.sample(running, rng.randint(1, len(running)))
            given = [{name: rng.choice((10.0, 33.3, 250.0)) for name in some}]
        else:
            numbers = {
                "trim": [rng.choice((0, 5, 10, 15, 20, 47, 80, 200))],
                "heat": [rng.randrange(7)],
                "allow": [rng.randint(50, 600) * 1_000_000],
            }
            given = numbers.get(event, [])
        plan = getattr(scheduler, event)(*given, now)
        said = [dataclasses.asdict(x) if isinstance(x, Application) else x for x in given]
        step = {"event": event, "given": said, "now": now, **outcome(plan), "due": scheduler.due}
        steps.append({**step, "memory": scheduler.memory_now, "units": scheduler.units_now})
    return {"memory": memory, "policy": policy, "steps": steps}


def text() -> str:
    """The file; a line for each case, so that a change shows which."""
    parts = {"choices": choices(), "traces": [trace(seed) for seed in range(6)]}
    lists = (
        f'"{name}": [\n' + ",\n".join(map(json.dumps, found)) + "\n]"
        for name, found in parts.items()
    )
    return "{" + ",\n".join(lists) + "}\n"


if __name__ == "__main__":
    FILE.write_text(text())
