"""NestDNN's online stage: against brute force, and what it does with odd input."""

import dataclasses
import itertools
import math
import random
import re

import pytest
import scheduler_vectors as vectors
from scheduler_cases import brute_force, case, costs
from scheduler_vectors import LARGE, MIDDLE, SMALL, plain
from test_capacity_profile import LARGE as LARGE_FILE
from test_capacity_profile import SMALL as SMALL_FILE

from fr_bench.benchmark import save
from fr_bench.scheduling import POLICIES, Application, Capacity, Scheduler, capacities, choose


def value(plan, policy):
    return plan.cost if policy == "total" else plan.worst


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(60))
def test_the_choice_is_that_of_brute_force(seed, policy):
    given = case(seed)
    best = brute_force(given, policy)
    plan = choose(given.applications, given.memory, given.units, policy)
    assert not plan.waiting
    # The search for the least total ends a thousandth from it.
    assert value(plan, policy) <= best + 1.001e-3 * abs(best) + 1e-12
    assert value(plan, policy) >= best - 1e-9 * max(1, abs(best))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(20))
def test_a_plan_keeps_within_memory_and_processor_and_tells_its_cost(seed, policy):
    given = case(seed, applications=6, capacities=5)
    plan = choose(given.applications, given.memory, given.units, policy)
    taken = [(app, plan.shares[app.name]) for app in given.applications]
    assert sum(app.capacities[one.capacity].memory for app, one in taken) <= given.memory
    assert sum(one.units for _, one in taken) <= given.units
    assert min(one.units for _, one in taken) >= 1
    found = [app.priority * costs(app, 100)[one.capacity, one.units] for app, one in taken]
    assert plan.cost == pytest.approx(sum(found))
    for app, one in taken:
        assert app.cost(one.capacity, one.units) == pytest.approx(
            costs(app, 100)[one.capacity, one.units]
        )


def test_the_total_is_the_least_of_those_with_the_least_worst():
    """An application that nothing helps must not let the others go without."""
    hopeless = Application("hopeless", (SMALL,), goal=5.0, bound_ms=40.0)
    plan = choose([hopeless, plain("a")], memory=5_000_000, policy="worst")
    assert plan.shares["a"].capacity == 0
    assert plan.worst == pytest.approx(4.2)


@pytest.mark.parametrize("policy", POLICIES)
def test_priority_decides_who_gets_the_memory(policy):
    for first, second in ((1.0, 3.0), (3.0, 1.0)):
        apps = [plain("a", priority=first), plain("b", priority=second)]
        shares = choose(apps, memory=5_000_000, policy=policy).shares
        large = {name for name, one in shares.items() if one.capacity == 0}
        assert large == {"b" if second > first else "a"}


def test_capacities_that_coincide_or_are_worse_are_never_chosen():
    worse = Capacity(0.85, 2_500_000, 10.0)
    app = plain("a", worse, MIDDLE, MIDDLE, LARGE, LARGE, SMALL, SMALL)
    assert app.useful == (1, 3, 5)
    assert choose([app], memory=9_000_000).shares["a"].capacity == 3


@pytest.mark.parametrize(
    ("memory", "units", "waiting"),
    [
        (2_500_000, 100, {"c": "memory"}),
        (999_999, 100, {"a": "memory", "b": "memory", "c": "memory"}),
        (9_000_000, 2, {"c": "processor"}),
        (9_000_000, 0, {"a": "processor", "b": "processor", "c": "processor"}),
    ],
)
@pytest.mark.parametrize("policy", POLICIES)
def test_it_says_who_cannot_run(memory, units, waiting, policy):
    apps = [plain("a"), plain("c", priority=0.5), plain("b")]
    plan = choose(apps, memory, units, policy)
    assert plan.waiting == waiting
    assert set(plan.shares) == {"a", "b", "c"} - set(waiting)


def test_a_small_one_runs_where_a_large_one_before_it_does_not_fit():
    apps = [plain("large", LARGE, priority=2.0), plain("small")]
    plan = choose(apps, memory=3_000_000)
    assert plan.waiting == {"large": "memory"}
    assert plan.shares["small"].capacity == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_a_hundred_applications(policy):
    apps = [plain(f"app{place}") for place in range(101)]
    plan = choose(apps, memory=10**9, policy=policy)
    assert plan.waiting == {"app100": "processor"}
    assert all(one.units == 1 for one in plan.shares.values())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Capacity(None, 1, 1.0), "`accuracy` of a capacity.*measure it.*None"),
        (lambda: Capacity(0.9, 1, math.nan), "`latency_ms` of a capacity.*nan"),
        (lambda: Capacity(0.9, -1, 1.0), "`memory`.*-1"),
        (lambda: Capacity(0.9, 1.5, 1.0), "`memory`.*1.5"),
        (lambda: Capacity(0.9, 1, 0.0), "`latency_ms`.*0.0"),
        (lambda: capacities([{"accuracy": 1, "memory": 2}]), "entry 0 without latency_ms"),
        (lambda: Application("a", (), 0.9, 40.0), "`capacities` of 'a'"),
        (lambda: Application("a", (SMALL,), math.inf, 40.0), "`goal` of 'a'.*inf"),
        (lambda: Application("a", (SMALL,), 0.9, 0.0), "`bound_ms` of 'a'.*0.0"),
        (lambda: plain("a", priority=-1.0), "`priority` of 'a'.*-1.0"),
        (lambda: choose([plain("a"), plain("a")], 1), "names of their own.*'a' twice"),
        (lambda: choose([], -1), "`memory`.*-1"),
        (lambda: choose([], 1, 101), "`units`.*101"),
        (lambda: choose([], 1, policy="best"), "`policy`.*'best'"),
        (lambda: Scheduler(1, policy="best"), "`policy`.*'best'"),
        (lambda: Scheduler(1, hold_s=-1.0), "`hold_s`.*-1.0"),
        (lambda: Scheduler(1, margin=math.nan), "`margin`.*nan"),
        (lambda: Scheduler(1).end("a", 0.0), "`name`.*has started: none.*'a'"),
        (lambda: Scheduler(1).bound({"a": 1.0}, 0.0), "`name`.*has started: none.*'a'"),
        (lambda: Scheduler(1).heat(7, 0.0), "`status`.*7"),
        (lambda: Scheduler(1).trim(-1, 0.0), "`level`.*-1"),
        (lambda: Scheduler(1).update(math.nan), "`now`.*nan"),
        (lambda: Scheduler(1).allow(-1, 0.0), "`memory`.*-1"),
    ],
)
def test_errors_say_what_is_wrong(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_name_starts_once_and_a_refusal_changes_nothing():
    scheduler = Scheduler(8_000_000)
    before = scheduler.start(plain("a"), 0.0)
    with pytest.raises(ValueError, match=r"end the other one first.*'a'"):
        scheduler.start(plain("a", SMALL), 1.0)
    for event, given in (
        ("end", ["a"]),
        ("prioritize", ["a", 2.0]),
        ("bound", [{"a": 1.0}]),
        ("heat", [6]),
        ("trim", [80]),
    ):
        with pytest.raises(ValueError, match="`now`"):
            getattr(scheduler, event)(*given, math.inf)
    assert scheduler.plan == before == scheduler.update(2.0)


def changes(plans):
    """How often a network that goes on running gets another capacity."""
    return sum(
        name in after.shares and after.shares[name].capacity != one.capacity
        for before, after in itertools.pairwise(plans)
        for name, one in before.shares.items()
    )


def test_what_is_forced_happens_at_once_and_the_rest_waits():
    scheduler = Scheduler(8_000_000, hold_s=2.0)
    scheduler.start(plain("a"), 0.0)
    assert scheduler.start(plain("b"), 0.1).shares["b"].capacity == 0
    assert scheduler.allow(6_000_000, 0.2).shares["b"].capacity == 1
    assert scheduler.allow(8_000_000, 0.3).shares["b"].capacity == 1
    assert scheduler.due == 2.2
    assert scheduler.update(2.1).shares["b"].capacity == 1
    assert scheduler.update(2.2).shares["b"].capacity == 0
    assert scheduler.due is None


def test_memory_that_comes_and_goes_does_not_make_capacities_flap():
    def run(hold):
        scheduler = Scheduler(8_000_000, hold_s=hold)
        plans = [scheduler.start(plain("a"), 0.0), scheduler.start(plain("b"), 0.0)]
        for step in range(100):
            plans.append(scheduler.trim(0 if step % 2 else 10, 0.1 * step))
        return changes(plans)

    assert run(0.0) == 200
    # Down, and up again after each 2 of the 10 seconds.
    assert run(2.0) <= 2 * 2 * 6


def test_a_change_that_saves_little_is_left_out():
    near = (Capacity(0.9, 2_000_000, 10.0), Capacity(0.895, 1_000_000, 10.0))
    scheduler = Scheduler(2_000_000, margin=0.01)
    scheduler.start(plain("a", *near), 0.0)
    assert scheduler.allow(1_000_000, 10.0).shares["a"].capacity == 1
    assert scheduler.allow(2_000_000, 20.0).shares["a"].capacity == 1
    assert scheduler.due is None


def test_a_clock_that_jumps_back_begins_the_wait_again_and_never_ends_it_for_good():
    scheduler = Scheduler(4_000_000, hold_s=2.0)
    scheduler.start(plain("a"), 1000.0)
    scheduler.trim(15, 1001.0)
    assert scheduler.trim(0, 5.0).shares["a"].capacity == 2
    assert scheduler.due == 7.0
    assert scheduler.update(7.0).shares["a"].capacity == 0


def test_the_processor_is_split_anew_at_once():
    """A new split reloads no network, so it waits for nothing."""
    scheduler = Scheduler(2_000_000, hold_s=100.0)
    assert scheduler.start(plain("a", SMALL), 0.0).shares["a"].units == 13
    assert scheduler.heat(5, 0.1).shares["a"].units == 13
    scheduler.start(plain("b", SMALL), 0.2)
    assert [one.units for one in scheduler.plan.shares.values()] == [10, 10]
    assert scheduler.heat(0, 0.3).shares["a"].units == 13


def test_bounds_of_several_change_at_once():
    """One after the other, the first would change capacities, and the others would wait."""
    scheduler = Scheduler(8_000_000, hold_s=2.0)
    for name in ("a", "b"):
        scheduler.start(plain(name), 0.0)
    asked = [dataclasses.replace(plain(name), bound_ms=20.0) for name in ("a", "b")]
    assert scheduler.bound({"a": 20.0, "b": 20.0}, 1.0) == choose(asked, 8_000_000)
    assert {one.capacity for one in scheduler.plan.shares.values()} == {1}
    assert {one.capacity for one in scheduler.bound({"b": 40.0}, 1.5).shares.values()} == {1}
    assert scheduler.due == 3.0
    with pytest.raises(ValueError, match=r"`bound_ms` of 'b'.*0\.0"):
        scheduler.bound({"a": 40.0, "b": 0.0}, 3.0)
    asked[1] = plain("b")
    assert scheduler.update(3.0) == choose(asked, 8_000_000)


def test_what_there_is_now():
    scheduler = Scheduler(4_000_001)
    scheduler.trim(10, 0.0)
    scheduler.heat(3, 0.0)
    assert (scheduler.memory_now, scheduler.units_now) == (2_400_000, 60)


def test_heat_shrinks_and_a_shutdown_stops_all():
    scheduler = Scheduler(40_000_000)
    scheduler.start(plain("a"), 0.0)
    assert scheduler.plan.shares["a"] == dataclasses.replace(
        scheduler.plan.shares["a"], capacity=0, units=50
    )
    assert scheduler.heat(5, 10.0).shares["a"].capacity != 0
    assert scheduler.heat(6, 10.1).waiting == {"a": "processor"}
    assert scheduler.heat(0, 20.0).shares["a"].capacity == 0


def test_an_application_that_starts_makes_room_for_itself():
    scheduler = Scheduler(4_500_000, hold_s=100.0)
    scheduler.start(plain("a"), 0.0)
    plan = scheduler.start(plain("b"), 0.1)
    assert not plan.waiting
    assert plan.shares["a"].capacity > 0
    assert scheduler.end("a", 0.2).shares.keys() == {"b"}


@pytest.mark.parametrize("seed", range(6))
def test_no_event_breaks_the_limits(seed):
    rng = random.Random(seed)
    for step in vectors.trace(seed)["steps"]:
        assert sum(units for _, units in step["shares"].values()) <= 100
        assert not set(step["shares"]) & set(step["waiting"])
    scheduler = Scheduler(400_000_000, rng.choice(POLICIES))
    apps = case(seed, applications=5, capacities=4).applications
    for now, app in enumerate(apps):
        scheduler.start(app, now)
    for now in range(30):
        allowed = rng.randint(100, 400) * 1_000_000
        plan = scheduler.allow(allowed, 10.0 + now)
        named = {app.name: app for app in apps}
        held = [named[name].capacities[one.capacity].memory for name, one in plan.shares.items()]
        assert sum(held) <= allowed


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    """The first asserts what it shows; the second reads what `fr-keras benchmark` wrote."""
    page = (vectors.FILE.parents[1] / "docs" / "scheduler.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "assert" in first
    exec(first, {})
    monkeypatch.chdir(tmp_path)
    save([LARGE_FILE, SMALL_FILE], "results.json")
    exec(second, names := {})
    assert [one["file"] for one in names["profile"]] == ["large.tflite", "small.tflite"]


def test_the_vectors_are_what_python_chooses():
    """Kotlin's tests read the same file."""
    assert vectors.FILE.read_text() == vectors.text(), "python tests/scheduler_vectors.py"
