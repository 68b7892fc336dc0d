"""From the results of a benchmark to the profile that the scheduler reads."""

import dataclasses
import json

import pytest

from fr_bench.benchmark import Metric, Result, Times, capacity_profile, load, save
from fr_bench.scheduling import Application, Capacity, Scheduler, capacities


def result(file: str, score: float, memory: int, median_us: float) -> Result:
    return Result(
        file, 900, "0" * 64, "host", {"name": "host", "cores": 2}, "LiteRT 2.3", "xnnpack",
        threads=1, times=Times(50, mean_us=2 * median_us, median_us=median_us),
        metric=Metric("dice", score, 40), peak_memory_bytes=memory,
    )  # fmt: skip


LARGE = result("large.tflite", 0.93, 6_000_000, 20_000.0)
SMALL = result("small.tflite", 0.84, 1_000_000, 4_000.0)


def test_the_scheduler_takes_what_was_measured(tmp_path):
    save([LARGE, SMALL], tmp_path / "results.json")
    profile = json.loads(json.dumps(capacity_profile(load(tmp_path / "results.json"))))
    assert [one["file"] for one in profile] == ["large.tflite", "small.tflite"]
    found = capacities(profile)
    assert found == (Capacity(0.93, 6_000_000, 20.0), Capacity(0.84, 1_000_000, 4.0))
    camera = Application("camera", found, goal=0.9, bound_ms=50.0)
    assert Scheduler(5_000_000).start(camera, 0.0).shares["camera"].capacity == 1


def other(**changes) -> list[Result]:
    return [LARGE, dataclasses.replace(SMALL, **changes)]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "a result for each capacity. Received: none"),
        ([LARGE, LARGE], r"each file once. Received: \['large.tflite'\]"),
        (other(metric=None), "`metric` for 'small.tflite'.*status 'done'"),
        (other(times=None), "`times.median_us` for 'small.tflite'"),
        (other(times=Times(50, mean_us=1.0)), "`times.median_us` for 'small.tflite'"),
        (other(peak_memory_bytes=None), "`peak_memory_bytes` for 'small.tflite'"),
        (other(status="failed", message="no kernel", times=None), "status 'failed', no kernel"),
        (other(target="gpu"), r"the same `target`. Received: \['host', 'gpu'\]"),
        (other(device={"name": "host", "cores": 4}), "the same `device`"),
        (other(tool="LiteRT 2.4"), "the same `tool`"),
        (other(delegate="none"), "the same `delegate`"),
        (other(threads=2), r"the same `threads`. Received: \[1, 2\]"),
        (other(precision="float16"), "the same `precision`"),
        (other(metric=Metric("accuracy", 0.9, 40)), "the same `metric`"),
        (other(metric=Metric("dice", 0.9, 41)), r"the same `metric`. Received: .*40.*41"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(results, message):
    with pytest.raises(ValueError, match=message):
        capacity_profile(results)
