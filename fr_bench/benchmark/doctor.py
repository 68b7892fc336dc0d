"""Finds which targets work on this machine, and how to get the others."""

import dataclasses

from fr_bench.benchmark import android, devices, gpu, host, processor
from fr_bench.benchmark.android import adb


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """One target on this machine.

    Attributes:
        target: One of `result.TARGETS`.
        ready: Whether `benchmark --on` would work there now.
        text: The device that it would run on, or what is missing and how to get it.
    """

    target: str
    ready: bool
    text: str


def examine(program: str = "adb") -> list[Diagnosis]:
    """Returns a diagnosis for each target.

    Args:
        program: The `adb` program.
    """
    return [
        _host(),
        _arm64(),
        _gpu(),
        _android(program),
    ]


def _host() -> Diagnosis:
    found = processor.describe()
    sets = found.get("instruction_sets", "instruction sets unknown")
    return Diagnosis("host", True, f"{found['processor']}, {host.cores()} cores, {sets}")


def _arm64() -> Diagnosis:
    try:
        setup = devices.find("arm64")
    except devices.MissingDevice as error:
        return Diagnosis("arm64", False, str(error))
    return Diagnosis("arm64", True, f"qemu-user {setup.version('qemu-user')}: no times")


def _gpu() -> Diagnosis:
    try:
        found = gpu.adapter()
    except devices.MissingDevice as error:
        return Diagnosis("gpu", False, str(error))
    return Diagnosis("gpu", True, f"{found.name}{': no times' if found.software else ''}")


def _android(program: str) -> Diagnosis:
    try:
        phone = adb.Adb(program)
        model = phone.properties().get("ro.product.model", "a device")
    except adb.AdbError as error:
        return Diagnosis("android", False, str(error))
    return Diagnosis("android", True, f"{model}. {android.INSTRUCTIONS}")
