"""The power of a computer's processor, by its own counters."""

import dataclasses

import pytest

from fr_bench.benchmark import host, process
from fr_bench.benchmark._worker import energies, milliwatts


@pytest.fixture
def counters(tmp_path):
    """Counters as Linux shows them, of two packages and of parts that are in them."""

    def add(folder, name, energy, most=1000):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "name").write_text(f"{name}\n")
        (tmp_path / folder / "energy_uj").write_text(f"{energy}\n")
        (tmp_path / folder / "max_energy_range_uj").write_text(f"{most}\n")

    add("intel-rapl:0", "package-0", 7)
    add("intel-rapl:0:0", "core", 3)
    add("intel-rapl:1", "package-1", 8, 2000)
    add("intel-rapl:2", "psys", 99)
    add("intel-rapl-mmio:0", "package-0", 7)
    return tmp_path


def test_each_package_is_counted_once(counters):
    assert energies(counters) == {"intel-rapl:0": (7, 1000), "intel-rapl:1": (8, 2000)}


@pytest.mark.parametrize("held", [None, "", "x"])
def test_without_one_counter_nothing_is_told(counters, held):
    path = counters / "intel-rapl:1" / "energy_uj"
    path.unlink() if held is None else path.write_text(held)
    assert energies(counters) == {}


def test_a_machine_without_counters_tells_nothing(tmp_path):
    assert energies(tmp_path / "powercap") == {}


FIRST = {"a": (100, 1_000_000), "b": (900_000, 1_000_000)}


@pytest.mark.parametrize(
    ("after", "seconds", "expected"),
    [
        ((200_100, 910_000), 2.0, 105.0),  # 210,000 microjoules
        ((200_100, 10_000), 2.0, 155.0),  # the second began again: 110,000
        ((200_100, 900_000), 2.0, None),  # one stood still
        ((100, 900_000), 2.0, None),
        ((200_100, 910_000), 0.01, None),  # too short for counters of a millisecond
    ],
)
def test_the_power_between_two_readings(after, seconds, expected):
    after = {name: (energy, 1_000_000) for name, energy in zip("ab", after, strict=True)}
    assert milliwatts(FIRST, after, seconds) == expected


def test_a_counter_that_comes_or_goes_tells_nothing():
    assert milliwatts({}, FIRST, 1.0) is milliwatts(FIRST, {}, 1.0) is None
    assert milliwatts(FIRST, {"a": (200, 1_000_000)}, 1.0) is None


@pytest.mark.parametrize(("power", "told"), [(None, None), (0.0, None), (1500.0, 1500.0)])
def test_a_result_has_the_power_or_none(monkeypatch, power, told):
    facts = {
        "init_us": 1.0, "first_us": 2.0, "times_us": [3.0], "cpu_use": 1.9, "milliwatts": power,
        "peak_memory_bytes": 9,
    }  # fmt: skip
    monkeypatch.setattr(process, "work", lambda *_, **__: process.Answer(facts, [], ""))
    monkeypatch.setattr(host, "profile", lambda *_: (None, ()))
    found = host.measure(_Subject(), "xnnpack", threads=2, runs=1, warmup=0)
    assert (found.state and found.state.milliwatts) == told
    assert found.times.cpu_use == 1.9


@dataclasses.dataclass
class _Subject:
    content: bytes = b""
    inputs: tuple = ()

    @property
    def facts(self):
        return {"file": "a.tflite", "bytes": 1, "sha256": "0"}

    def scores(self, outputs, notes):
        return {}
