"""Finds the `benchmark_model` that fits a device, in the file or folder that the user gives.

A file is taken as it is. In a folder, and in the folders directly inside it, every file with
`benchmark_model` in its name counts. The rest of the name does not matter: the ABI is read from
the file, and the dialect from its `--help` on the device. So downloads may keep their names:

    tools/android_aarch64_benchmark_model        classic, 64 bits
    tools/android_arm_benchmark_model            classic, 32 bits
    tools/android_arm64/benchmark_model          LiteRT's
    tools/android_arm64/libLiteRtDispatch_*.so   pushed too, for the NPU

All `*.so` files beside a binary are pushed with it.
"""

import dataclasses
import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from fr_bench.benchmark.android._tool import ToolError

_NAME = "benchmark_model"
_ELF = b"\x7fELF"
_MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86", 243: "riscv64"}
INSTRUCTIONS = (
    "Get LiteRT's (CPU, GPU, NPU) from https://ai.google.dev/edge/litert/next/benchmark and the "
    "classic one (CPU with and without XNNPACK, GPU, NNAPI) from "
    "https://ai.google.dev/edge/litert/models/measurement: the command-line binary for Android on "
    "arm64, not the app. Give the file, or a folder that holds both"
)


@dataclasses.dataclass(frozen=True)
class Binary:
    """A `benchmark_model` on this machine.

    Attributes:
        path: Its path.
        abi: The ABI that it is made for, as Android names it; `None` if the file does not say.
    """

    path: Path
    abi: str | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:8]

    @property
    def libraries(self) -> list[Path]:
        """The shared libraries that go with it."""
        return sorted(self.path.parent.glob("*.so"))


def find(given: str | os.PathLike) -> list[Binary]:
    """Returns all binaries that a file or folder offers.

    Raises:
        ToolError: If there is none.
    """
    path = Path(given)
    if path.is_dir():
        paths = [*path.glob(f"*{_NAME}*"), *path.glob(f"*/*{_NAME}*")]
        paths = sorted(one for one in paths if one.is_file() and one.suffix != ".apk")
    else:
        paths = [path] if path.is_file() else []
    if not paths:
        raise ToolError(
            f"`tool` must be a benchmark_model for Android, or a folder of files whose names "
            f"contain '{_NAME}'. {INSTRUCTIONS}. Received: '{given}'"
        )
    return [Binary(one, _abi(one)) for one in paths]


def fitting(found: Sequence[Binary], abis: Sequence[str]) -> list[Binary]:
    """Returns the binaries that run on a device, those for its first ABI first.

    Raises:
        ToolError: If there is none.
    """
    fit = [one for one in found if one.abi is None or one.abi in abis]
    if not fit:
        known = ", ".join(f"'{one.path.name}' ({one.abi})" for one in found)
        raise ToolError(
            f"`tool` must be for an ABI of the device: {', '.join(abis)}. {INSTRUCTIONS}. "
            f"Received: {known}"
        )
    return sorted(fit, key=lambda one: -1 if one.abi is None else abis.index(one.abi))


def _abi(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != _ELF:
        return None
    order = ">" if head[5] == 2 else "<"
    (machine,) = struct.unpack(f"{order}H", head[18:20])
    return _MACHINES.get(machine, f"machine {machine}")
