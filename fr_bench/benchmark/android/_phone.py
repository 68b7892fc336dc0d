"""Describes a phone, and its state while it measures: battery, heat, screen, load and power."""

import dataclasses
import re
import time
from collections.abc import Sequence

from fr_bench.benchmark import processor
from fr_bench.benchmark.android.adb import Adb
from fr_bench.benchmark.result import State

#: Android's thermal status from which a phone slows itself down: 1 is light, 2 moderate.
WARM = 1
#: The command that prints the instruction sets.
CPUINFO = "cat /proc/cpuinfo"
#: The file with the battery's current, in microamperes.
CURRENT = "/sys/class/power_supply/battery/current_now"
_LOOK = 5.0
_WAKEFUL = re.compile(r"mWakefulness=(\w+)|Display Power: state=(\w+)")
# Some kernels give the current in milliamperes: no phone that computes draws less than 10 mA.
_LEAST_MICROAMPERES = 10_000
# /proc/stat counts in hundredths of a second; a shorter run says little.
_LEAST_TICKS = 50


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A phone at one moment; values that it does not tell are `None`."""

    percent: int | None = None
    celsius: float | None = None
    millivolts: int | None = None
    charging: bool | None = None
    thermal: int | None = None
    awake: bool | None = None


def device(properties: dict[str, str], cores: str, cpuinfo: str) -> dict[str, str | int]:
    """Describes the phone, without its serial number.

    Args:
        properties: The properties that `getprop` lists.
        cores: The output of `nproc`.
        cpuinfo: The text of `/proc/cpuinfo`.
    """

    def first(*names: str) -> str:
        return next((properties[name] for name in names if properties.get(name)), "")

    maker, model = first("ro.product.manufacturer"), first("ro.product.model")
    chip = [first("ro.soc.manufacturer"), first("ro.soc.model")]
    found = {
        "name": model if model.startswith(maker) else f"{maker} {model}",
        "abi": first("ro.product.cpu.abi"),
        "os": f"Android {first('ro.build.version.release')}".strip(),
        "api": api(properties),
        "soc": " ".join(filter(None, chip)) or first("ro.board.platform", "ro.hardware"),
        "cores": int(cores) if cores.strip().isdigit() else None,
        "instruction_sets": processor.describe(cpuinfo).get("instruction_sets"),
    }
    return {name: value for name, value in found.items() if value}


def abis(properties: dict[str, str]) -> list[str]:
    """Returns the ABIs that the phone runs, the preferred one first."""
    names = ("ro.product.cpu.abilist", "ro.product.cpu.abi")
    listed = next((properties[name] for name in names if properties.get(name)), "")
    return [one for one in listed.split(",") if one]


def api(properties: dict[str, str]) -> int | None:
    """Returns Android's API level."""
    level = properties.get("ro.build.version.sdk", "")
    return int(level) if level.isdigit() else None


def look(adb: Adb) -> Snapshot:
    """Returns the present state of the phone."""
    said = {
        name: adb.shell(["dumpsys", name]).text for name in ("battery", "thermalservice", "power")
    }
    battery = said["battery"]
    percent, tenths = _number(battery, "level"), _number(battery, "temperature")
    plugs = re.findall(r"^\s*(?:AC|USB|Wireless|Dock) powered: (\w+)", battery, re.MULTILINE)
    awake = _WAKEFUL.search(said["power"])
    return Snapshot(
        percent=percent,
        celsius=None if tenths is None else tenths / 10,
        millivolts=_number(battery, "voltage"),
        charging="true" in plugs if plugs else None,
        thermal=_number(said["thermalservice"], "Thermal Status"),
        awake=None if awake is None else (awake.group(1) or awake.group(2)) in ("Awake", "ON"),
    )


def _number(text: str, name: str) -> int | None:
    found = re.search(rf"^\s*{name}: (-?\d+)\s*$", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def cool(adb: Adb, rest: float, limit: float) -> tuple[Snapshot, tuple[str, ...]]:
    """Waits until the phone has rested and does not slow itself down because of heat.

    Args:
        adb: The phone.
        rest: Seconds that it rests in any case.
        limit: Seconds to wait beyond that for a warm phone to cool down.

    Returns:
        The state of the phone after that, and notes for the reader of the measurement.
    """
    time.sleep(rest)
    end = time.monotonic() + limit
    now = look(adb)
    while now.thermal is not None and now.thermal >= WARM and time.monotonic() < end:
        time.sleep(min(_LOOK, max(limit / 4, 0.01)))
        now = look(adb)
    notes = []
    if now.thermal is not None and now.thermal >= WARM:
        notes.append(
            f"the phone was still too warm after {limit:g} seconds of waiting: thermal status "
            f"{now.thermal}, so it slows itself down"
        )
    if now.awake is False:
        notes.append("the screen was off: Android may slow an idle phone down")
    return now, tuple(notes)


def watched(text: str) -> tuple[list[str], list[float]]:
    """Returns the lines of /proc/stat and of `CURRENT` in the output of a script."""
    lines = text.splitlines()
    stats = [line for line in lines if line.startswith("cpu ")]
    return stats, [float(line) for line in lines if line.lstrip("-").isdigit()]


def state(
    before: Snapshot, after: Snapshot, stats: Sequence[str], microamperes: Sequence[float]
) -> State:
    """Returns the state of a phone during a measurement.

    Args:
        before: The phone before the measurement.
        after: The phone after it.
        stats: The first line of /proc/stat before and after.
        microamperes: The current of the battery during the measurement.
    """
    return State(
        battery_percent=_both(before.percent, after.percent),
        battery_celsius=_both(before.celsius, after.celsius),
        charging=before.charging,
        thermal_status=_both(before.thermal, after.thermal),
        cpu_load=_load(stats),
        milliwatts=_power(microamperes, before),
    )


def _both(first, second):
    return None if first is None or second is None else (first, second)


def _load(stats: Sequence[str]) -> float | None:
    """The fraction of the time of all cores in which they did not idle or wait for a disk."""
    if len(stats) != 2:
        return None
    first, second = ([int(word) for word in line.split()[1:9]] for line in stats)
    spent = [b - a for a, b in zip(first, second, strict=True)]
    if len(spent) < 5 or sum(spent) < _LEAST_TICKS:
        return None
    return round(1 - (spent[3] + spent[4]) / sum(spent), 3)


def _power(microamperes: Sequence[float], before: Snapshot) -> float | None:
    """The power; `None` while the phone charges, because the battery's current is not its own."""
    if not microamperes or before.millivolts is None or before.charging is not False:
        return None
    mean = abs(sum(microamperes) / len(microamperes))
    if mean < _LEAST_MICROAMPERES:
        mean *= 1000
    return round(mean * before.millivolts / 1e6, 1)
