"""The command `doctor`."""

import json

import pytest
from environment import environment
from test_cli import call

from fr_bench import benchmark
from fr_bench.benchmark import devices, doctor, gpu, host, processor
from fr_bench.report import benchmark_page


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """As on a machine without one; a real probe starts LiteRT."""

    def missing():
        raise devices.MissingDevice("no Vulkan")

    monkeypatch.setattr(gpu, "adapter", missing)


def test_what_is_missing_and_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv(devices.VARIABLE, str(tmp_path))
    done = call("doctor", "--adb", "no-such-adb", "--json")
    assert done.exit_code == 0
    found = {one["target"]: one for one in json.loads(done.stdout)}
    assert {name: one["ready"] for name, one in found.items()} == {
        "host": True,
        "arm64": False,
        "gpu": False,
        "android": False,
    }
    assert devices.command("arm64") in found["arm64"]["text"]
    assert found["gpu"]["text"] == "no Vulkan"
    assert "platform tools" in found["android"]["text"]
    shown = call("doctor", "--adb", "no-such-adb").stdout
    assert all(name in shown for name in found)


def test_what_is_there(monkeypatch, tmp_path):
    (tmp_path / "arm64").mkdir()
    stamp = {
        "format": devices.FORMAT,
        "version": devices.VERSION,
        "versions": {"qemu-user:amd64": "10.0"},
        "programs": {},
        "environment": {},
    }
    (tmp_path / "arm64" / "target.json").write_text(json.dumps(stamp))
    monkeypatch.setenv(devices.VARIABLE, str(tmp_path))
    monkeypatch.setattr(gpu, "adapter", lambda: gpu.Adapter("llvmpipe", True, {}))
    adb = tmp_path / "adb"
    adb.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "devices) printf 'List of devices attached\\nabc\\tdevice\\n';;\n"
        "*) printf '[ro.product.model]: [Pixel 9]\\n\\nfr_keras-end 0\\n';;\n"
        "esac\n"
    )
    adb.chmod(0o755)
    found = {one.target: one for one in doctor.examine(str(adb))}
    assert all(one.ready for one in found.values())
    assert found["arm64"].text == "qemu-user 10.0: no times"
    assert found["gpu"].text == "llvmpipe: no times"
    assert found["android"].text.startswith("Pixel 9. ")


CORE = "processor\t: {}\nmodel name\t: {}\nflags\t\t: fpu {}\n"
ARM = "processor\t: {}\nFeatures\t: fp {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n"


@pytest.mark.parametrize(
    ("blocks", "name", "sets"),
    [
        ([CORE.format(0, "Zen", "avx2 fma")], "Zen", "AVX2, FMA"),
        (
            [CORE.format(0, "Xeon", "avx2 avx512f avx512_vnni avx_vnni amx_tile amx_int8")],
            "Xeon",
            "AVX2, AVX-VNNI, AVX-512 F, AVX-512 VNNI, AMX INT8",
        ),
        # What only some cores have, code cannot rely on.
        (
            [ARM.format(0, "asimd asimddp", "0xd05"), ARM.format(1, "asimd asimddp sve", "0xd44")],
            "implementer 0x41 part 0xd05 and implementer 0x41 part 0xd44",
            "NEON, NEON dot product",
        ),
        (
            [ARM.format(0, "asimd asimdhp asimddp i8mm bf16 sve sve2", "0xd4f")],
            "implementer 0x41 part 0xd4f",
            "NEON, NEON FP16, NEON dot product, NEON i8mm, NEON BF16, SVE, SVE2",
        ),
        ([CORE.format(0, "Old", "sse2")], "Old", None),
        (["hart\t: 0\nisa\t: rv64gcv"], "unknown", None),
        ([], "unknown", None),
    ],
)
def test_a_processor_with_its_instruction_sets(blocks, name, sets):
    found = processor.describe("\n".join(blocks))
    assert found == {"processor": name, **({"instruction_sets": sets} if sets else {})}


def test_every_place_that_names_this_machine_has_them(monkeypatch, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CORE.format(0, "Xeon Example", "avx2 avx512f avx512_vnni amx_int8"))
    monkeypatch.setattr(processor, "_CPUINFO", cpuinfo)
    sets = "AVX2, AVX-512 F, AVX-512 VNNI, AMX INT8"
    for found in (host.device(), environment()):
        assert (found["processor"], found["instruction_sets"]) == ("Xeon Example", sets)
    assert f"Xeon Example, {host.cores()} cores, {sets}" == doctor.examine("no-such-adb")[0].text
    one = benchmark.Result("m", 1, "0", "host", host.device(), "LiteRT", "none")
    assert f"instruction sets: {sets}" in benchmark_page([one])
    cpuinfo.unlink()
    assert host.device()["processor"]
    assert "instruction sets unknown" in doctor.examine("no-such-adb")[0].text
