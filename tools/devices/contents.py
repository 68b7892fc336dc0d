"""Lists the parts of each target, and the commands that start its programs."""

import dataclasses
import platform
from collections.abc import Callable
from pathlib import Path

#: Programs (name -> command line) and the environment that they need.
Use = tuple[dict[str, list[str]], dict[str, str]]


@dataclasses.dataclass(frozen=True)
class Target:
    """A target.

    Attributes:
        name: Its name and folder.
        packages: Folder in it -> Debian packages that are unpacked there with what they need.
        finish: Its folder -> how it is used.
        wheels: Python packages for AArch64.
        checks: Program -> arguments with which it must end well.
    """

    name: str
    packages: dict[str, list[str]]
    finish: Callable[[Path], Use]
    wheels: tuple[str, ...] = ()
    checks: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def _arm64(folder: Path) -> Use:
    emulators = folder / "host" / "usr" / "bin"
    for other in emulators.glob("qemu-*"):
        if other.name != "qemu-aarch64":  # 350 MB of other processors
            other.unlink()
    sysroot = folder / "sysroot"
    emulator = [str(emulators / "qemu-aarch64"), "-cpu", "cortex-a76", "-L", str(sysroot)]
    python = [*emulator, str(sysroot / "usr" / "bin" / "python3.11")]
    environment = {
        "PYTHONPATH": str(folder / "wheels"),
        # To compile every module anew takes seconds here, so keep the bytecode.
        "PYTHONDONTWRITEBYTECODE": "",
    }
    return {"python": python, "emulator": emulator}, environment


def _adb(folder: Path) -> Use:
    programs = {"adb": "usr/lib/android-sdk/platform-tools/adb", "adbd": "usr/sbin/adbd"}
    return (
        {name: [str(folder / "host" / path)] for name, path in programs.items()},
        {"LD_LIBRARY_PATH": libraries(folder / "host")},
    )


def _gpu(folder: Path) -> Use:
    host = folder / "host"
    driver = next((host / "usr" / "share" / "vulkan" / "icd.d").glob("lvp_icd*.json"))
    return {}, {
        "LD_LIBRARY_PATH": libraries(host),
        "VK_ICD_FILENAMES": str(driver),
        "MESA_SHADER_CACHE_DIR": str(folder / "shaders"),
    }


def libraries(folder: Path) -> str:
    """The library path of packages unpacked in a folder."""
    triplet = f"{platform.machine()}-linux-gnu"
    inner = [f"usr/lib/{triplet}/android", f"usr/lib/{triplet}", f"lib/{triplet}"]
    return ":".join(str(folder / one) for one in inner if (folder / one).is_dir())


TARGETS = {
    target.name: target
    for target in (
        Target(
            "arm64",
            {
                # Of backports: LiteRT segfaults under the 7.2 of the release.
                "host": ["qemu-user"],
                "sysroot": ["python3.11:arm64", "libstdc++6:arm64"],
            },
            _arm64,
            ("ai-edge-litert", "numpy"),
            {"python": ["-c", "import numpy, ai_edge_litert.interpreter"]},
        ),
        Target("gpu", {"host": ["mesa-vulkan-drivers", "libvulkan1"]}, _gpu),
        Target(
            "adb",
            {"host": ["adb", "adbd"]},
            _adb,
            checks={"adb": ["version"], "adbd": ["--version"]},
        ),
    )
}
