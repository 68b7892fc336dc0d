"""Describes a processor, with the instruction sets that decide the speed of kernels.

A ratio of int8 times says little without them, because the same file is many times faster with dot
product or matrix instructions.
"""

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
#: Instruction sets that kernels look for -> their names in `/proc/cpuinfo`, on x86 and on ARM.
SETS = {
    "AVX2": ("avx2",),
    "FMA": ("fma",),
    "AVX-VNNI": ("avx_vnni",),
    "AVX-VNNI-INT8": ("avx_vnni_int8",),
    "AVX-512 F": ("avx512f",),
    "AVX-512 VNNI": ("avx512_vnni",),
    "AVX-512 BF16": ("avx512_bf16",),
    "AVX-512 FP16": ("avx512_fp16",),
    "AMX INT8": ("amx_int8",),
    "AMX BF16": ("amx_bf16",),
    "NEON": ("asimd", "neon"),
    "NEON FP16": ("asimdhp",),
    "NEON dot product": ("asimddp",),
    "NEON i8mm": ("i8mm",),
    "NEON BF16": ("bf16",),
    "SVE": ("sve",),
    "SVE2": ("sve2",),
    "SME": ("sme",),
}


def describe(cpuinfo: str | None = None) -> dict[str, str]:
    """Returns the `processor` and its `instruction_sets`, if the machine lists them.

    Args:
        cpuinfo: The text of `/proc/cpuinfo`; `None` reads this machine's.
    """
    here = cpuinfo is None
    if here:
        try:
            cpuinfo = _CPUINFO.read_text(encoding="utf-8", errors="replace")
        except OSError:
            cpuinfo = ""
    cores = [_fields(block) for block in cpuinfo.split("\n\n")]
    name = _name(cores) or (here and platform.processor()) or "unknown"
    sets = [name for name, flags in SETS.items() if _has(cores, flags)]
    return {"processor": name, **({"instruction_sets": ", ".join(sets)} if sets else {})}


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): text.strip() for name, _, text in pairs}


def _has(cores: list[dict[str, str]], flags: tuple[str, ...]) -> bool:
    """Whether all cores have it: code runs on any of them."""
    said = [one.get("flags", one.get("Features")) for one in cores]
    listed = [text.split() for text in said if text is not None]
    return bool(listed) and all(any(flag in words for flag in flags) for words in listed)


def _name(cores: list[dict[str, str]]) -> str:
    """The model; on ARM, the numbers of maker and part of the big and little cores."""
    names = [one["model name"] for one in cores if "model name" in one]
    names += [one["Hardware"] for one in cores if "Hardware" in one]
    parts = dict.fromkeys(
        f"implementer {one['CPU implementer']} part {one['CPU part']}"
        for one in cores
        if {"CPU implementer", "CPU part"} <= one.keys()
    )
    return next(iter(names), " and ".join(parts))
