"""How good and how fast the scheduler's choices are, and what it gains on a simulated phone.

    python benchmarks/scheduler.py
    python tools/android/scheduler.py
    python benchmarks/scheduler.py --parts jvm --jars kotlin-stdlib-2.1.21.jar

Part "cases": random small cases against brute force, beside the greedy that NestDNN publishes.
Part "times": choices for 6 applications of 5 capacities, and for more. Times are those of the
process, because other programs run on the machine. Part "jvm": the same cases in Kotlin; needs what
`tools/android/scheduler.py` compiles. Part "traces": a hundred simulated minutes, see
`scheduler_traces.py`; networks and arrivals are made up, and nothing runs on a phone. A part that
is run again replaces its old results.
"""

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import scheduler_traces as simulated
from environment import environment
from scheduler_cases import brute_force, case, greedy

from fr_bench.scheduling import POLICIES, Plan, choose

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results"
CASES, TRACES = 1000, 100
#: That of the published simulation.
MEMORY = 400_000_000
SPLITS = ("equal", "chosen")
#: Costs nearer to 0 count as this one, so that rounding does not count as a difference.
LEAST = 1e-6
LATES = (1e-4, 3e-4, 5e-4, 7e-4, 1e-3, 3e-3, 1e-2)


def cases(_: argparse.Namespace) -> dict:
    """How far from brute force choices are, as a part of its cost."""
    found = {}
    for policy in POLICIES:
        off = {"scheduler": [], "greedy": []}
        for seed in range(CASES):
            given = case(seed)
            best = brute_force(given, policy)
            size = max(abs(best), LEAST)
            plan = choose(given.applications, given.memory, given.units, policy)
            off["scheduler"].append((worth(plan, policy) - best) / size)
            off["greedy"].append((greedy(given, policy) - best) / size)
        found[policy] = {"cases": CASES} | {
            name: {
                "above_1_percent": sum(one > 0.01 for one in parts),
                "largest": round(max(parts), 6),
            }
            for name, parts in off.items()
        }
    return found


def worth(plan: Plan, policy: str) -> float:
    return plan.cost if policy == "total" else plan.worst


def times(_: argparse.Namespace) -> dict:
    """Milliseconds of a choice."""
    found = {}
    for applications, count in ((6, CASES), (20, 50), (100, 10)):
        given = [case(seed, applications, 5) for seed in range(count)]
        for policy in POLICIES:
            took = []
            for one in given:
                begin = time.process_time()
                choose(one.applications, one.memory, one.units, policy)
                took.append(1e3 * (time.process_time() - begin))
            found[f"{applications} applications, {policy}"] = summary(took)
    return found


def summary(took: list[float]) -> dict:
    return {
        "choices": len(took),
        "median_ms": round(statistics.median(took), 4),
        "p99_ms": round(sorted(took)[int(0.99 * len(took))], 4),
    }


def jvm(given: argparse.Namespace) -> dict:
    """The same in Kotlin, after a warm-up, from what `tools/android/scheduler.py` compiles."""
    folder = ROOT / "build" / "android" / "scheduler"
    asked = folder / "cases.json"
    some = [dataclasses.asdict(case(seed, 6, 5)) for seed in range(CASES)]
    asked.write_text(json.dumps(some))
    jars = os.pathsep.join(map(str, [folder / "main", folder / "test", *given.jars]))
    command = ["java", "-Xmx256m", "-cp", jars, "org.frkeras.scheduler.Measure", str(asked)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took = {policy: [] for policy in POLICIES}
    for line in said.splitlines():
        policy, milliseconds = line.split()
        took[policy].append(float(milliseconds))
    return {f"6 applications, {policy}": summary(some) for policy, some in took.items()}


def traces(_: argparse.Namespace) -> dict:
    """What an application has on average: with fixed networks, and with the scheduler."""
    events = [simulated.trace(seed) for seed in range(TRACES)]
    rows = []
    for split, share in itertools.product(SPLITS, simulated.SHARES):
        row = {"way": "fixed", "split": split, "share": share}
        tallies = [simulated.fixed(share, split, MEMORY, one) for one in events]
        rows.append(row | simulated.joined(tallies).means())
    for policy, late in itertools.product(POLICIES, LATES):
        row = {"way": "scheduled", "policy": policy, "late": late}
        tallies = [simulated.scheduled(policy, late, MEMORY, one) for one in events]
        rows.append(row | simulated.joined(tallies).means())
    return {"traces": TRACES, "memory": MEMORY, "rows": rows, "gains": gains(rows)}


def gains(rows: list[dict]) -> list[dict]:
    """Against each fixed capacity with equal shares: the accuracy of the scheduler where it makes
    as many frames, and its frames where it is as accurate."""
    found = []
    for one in (row for row in rows if row.get("split") == "equal"):
        for policy in POLICIES:
            others = [row for row in rows if row.get("policy") == policy]
            rate, accuracy = one["frames_per_second"], one["accuracy"]
            as_fast = [row["accuracy"] for row in others if row["frames_per_second"] >= rate]
            as_good = [row["frames_per_second"] for row in others if row["accuracy"] >= accuracy]
            found.append(
                {
                    "share": one["share"],
                    "policy": policy,
                    "accuracy": round(max(as_fast) - accuracy, 5) if as_fast else None,
                    "frames": round(max(as_good) / rate, 3) if as_good else None,
                }
            )
    return found


def plot(found: dict, path: Path) -> None:
    """Accuracy against frames."""
    from matplotlib.figure import Figure

    from fr_bench.report.plots import COLORS, MARKERS

    lines = {
        "fixed, equal shares": ("split", "equal"),
        "fixed, chosen shares": ("split", "chosen"),
        "scheduler, least total": ("policy", "total"),
        "scheduler, least worst": ("policy", "worst"),
    }
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, (key, value)), color, marker in zip(lines.items(), COLORS, MARKERS, strict=False):
        rows = [row for row in found["rows"] if row.get(key) == value]
        x = [row["frames_per_second"] for row in rows]
        y = [row["accuracy"] for row in rows]
        axes.plot(x, y, marker=marker, color=color, label=name, linewidth=1, markersize=4)
    axes.set(xlabel="frames per second, of 10 asked for", ylabel="accuracy, simulated")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parts = {"cases": cases, "times": times, "traces": traces, "jvm": jvm}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=parts, default=["cases", "times", "traces"])
    parser.add_argument("--jars", nargs="*", default=[], help="Kotlin's library, for `jvm`")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    path = given.out / "scheduler.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    for name in given.parts:
        result[name] = parts[name](given)
        result |= {"benchmark": "scheduler", "environment": environment()}
        path.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
        print(name, json.dumps(result[name], indent=1)[:3000], flush=True)
    if "traces" in given.parts:
        plot(result["traces"], given.out / "scheduler.png")


if __name__ == "__main__":
    main()
