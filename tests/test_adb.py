"""The adb client and the target `android` on a program that answers as `adb` does."""

import contextlib
import json
import marshal
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import fake_adb
import loopback
import loopback_system as system
import pytest

from fr_bench.benchmark import android, processor
from fr_bench.benchmark._subject import Subject, subject
from fr_bench.benchmark.android import _binaries, _folder, _phone
from fr_bench.benchmark.android.adb import Adb, AdbError, Answer, DeviceLost, TookTooLong, complaint
from fr_bench.benchmark.result import State

MODEL = Path(__file__).parents[1] / "tflite_models" / "digits_fr_int8.tflite"
PACE = android.Pace(rest=0, cool=0.05, run=60, back=0.5)


class Device:
    """A folder that the program takes for a device."""

    def __init__(self, folder: Path):
        self.folder, self.root = folder, folder / "root"
        for path in (*fake_adb.ON_DEVICE, "/system/bin"):
            (self.root / path[1:]).mkdir(parents=True)
        self.properties()
        self.program("dumpsys", "#!/bin/sh\ncat " + str(self.root) + "/system/$1 2>/dev/null\n")
        self.service("battery", "  AC powered: false\n  level: 81\n  voltage: 4000\n")
        self.service("power", "  mWakefulness=Awake\n")
        self.service("thermalservice", "Thermal Status: 0\n")
        self.set({"fake": "device"})
        self.adb = str(folder / "adb")
        words = shlex.join([sys.executable, "-S", "-E", fake_adb.__file__, str(folder)])
        Path(self.adb).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        Path(self.adb).chmod(0o755)

    def set(self, devices: dict[str, str], *faults: dict) -> None:
        state = {"devices": devices, "faults": faults}
        (self.folder / "state").write_bytes(marshal.dumps(state))

    def program(self, name: str, text: str) -> None:
        path = self.root / "system" / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def properties(self, **changes: str) -> None:
        held = {**system.PROPERTIES, **{k.replace("_", "."): v for k, v in changes.items()}}
        text = "".join(f"[{name}]: [{value}]\n" for name, value in held.items())
        self.program("getprop", f"#!/bin/sh\ncat <<'EOF'\n{text}EOF\n")

    def service(self, name: str, text: str) -> None:
        (self.root / "system" / name).write_text(text)

    def files(self) -> list[str]:
        return os.listdir(self.root / "data" / "local" / "tmp")


@pytest.fixture
def device(tmp_path) -> Device:
    return Device(tmp_path)


@pytest.fixture(scope="module")
def one() -> Subject:
    return subject(MODEL, rows=1)


def tool(folder: Path, name: str = "benchmark_model", **settings: str) -> Path:
    """The program of the loopback device, on this machine's Python."""
    path = loopback.tool(folder / "tools" / name, **settings)
    path.write_text(path.read_text().replace("#!/system/bin/arm64-python", f"#!{sys.executable}"))
    return path


def measured(device: Device, one, delegates, **settings) -> list:
    """All results, and a folder on the device that is gone afterwards."""
    given = settings.pop("tool", None) or tool(device.folder, **settings)
    with contextlib.closing(
        android.measure([one], delegates, tool=given, adb=device.adb, runs=3, warmup=1, pace=PACE)
    ) as results:
        found = list(results)
    assert device.files() == []
    return found


def test_no_adb(tmp_path):
    with pytest.raises(AdbError, match=r"`adb` must be a program on PATH.*Received: .*missing"):
        Adb(str(tmp_path / "missing"))
    (tmp_path / "file").write_text("")
    with pytest.raises(AdbError, match="`adb` must be executable"):
        Adb(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("devices", "serial", "message"),
    [
        ({}, None, "adb sees no device: plug one in"),
        ({"fake": "unauthorized"}, None, "unauthorized: unlock it and allow USB debugging"),
        ({"fake": "offline"}, None, "offline: plug it in again"),
        (
            {"fake": "no permissions (missing udev rules?)"},
            None,
            "this user may not use the device",
        ),
        ({"fake": "recovery"}, None, "gives its state as 'recovery'"),
        ({"a": "device", "b": "offline"}, None, r"several: a \(device\), b \(offline\)"),
        ({"a": "device", "b": "device"}, "c", "sees: a, b. Received: c"),
        ({"a": "device", "b": "unauthorized"}, "b", "unauthorized"),
    ],
)
def test_devices_that_cannot_be_used(device, devices, serial, message):
    device.set(devices)
    with pytest.raises(AdbError, match=message):
        Adb(device.adb, serial)


def test_one_of_several(device):
    device.set({"a": "offline", "b": "device"})
    assert Adb(device.adb, "b").serial == "b"


def test_an_adb_that_fails(device):
    device.set({}, {"verb": "devices", "call": 1, "say": "cannot bind", "code": 1})
    with pytest.raises(AdbError, match="devices` failed: cannot bind"):
        Adb(device.adb)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("echo a; exit 3", None),
        ("(echo a; exit 3)", Answer(3, "a")),
        ("printf a", Answer(0, "a")),
        (["printf", "%s\n", "a b", "$HOME;'"], Answer(0, "a b\n$HOME;'")),
        ("echo b >&2; false", Answer(1, "b")),
        ("true", Answer(0, "")),
    ],
)
def test_shell(device, command, answer):
    if answer is None:  # the shell ends before it says its exit code, as if the device were lost
        with pytest.raises(DeviceLost, match="without an exit code"):
            Adb(device.adb).shell(command)
    else:
        assert Adb(device.adb).shell(command) == answer


def test_shell_has_a_time_limit(device):
    with pytest.raises(TookTooLong, match=r"more than 0\.3 seconds"):
        Adb(device.adb).shell("sleep 2", limit=0.3)


def test_files_go_there_and_back(device, tmp_path):
    adb, content = Adb(device.adb), bytes(range(256))
    (tmp_path / "a").write_bytes(content)
    adb.push(tmp_path / "a", "/data/local/tmp/b")
    adb.pull("/data/local/tmp/b", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == content
    with pytest.raises(AdbError, match="adb pull failed"):
        adb.pull("/data/local/tmp/none", tmp_path / "c")


def lost(verb: str, call: int, gone: int) -> dict:
    return {"verb": verb, "call": call, "say": "adb: error: device 'fake' not found", "gone": gone}


def test_a_device_that_drops_off_and_comes_back(device, tmp_path):
    (tmp_path / "a").write_text("a")
    device.set({"fake": "device"}, lost("push", 1, 1), lost("shell", 1, 0))
    adb = Adb(device.adb, back=5)
    adb.push(tmp_path / "a", "/data/local/tmp/b")
    assert adb.check("echo x") == "x"
    assert device.files() == ["b"]


@pytest.mark.parametrize("verb", ["push", "shell"])
def test_a_device_that_stays_away(device, tmp_path, verb):
    (tmp_path / "a").write_text("a")
    device.set({"fake": "device"}, lost(verb, 1, -1))
    adb = Adb(device.adb, back=0.2)
    with pytest.raises(
        DeviceLost, match=r"disconnected: .*not found\. Check the cable and the power"
    ):
        adb.push(tmp_path / "a", "/data/local/tmp/b") if verb == "push" else adb.shell("true")


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (1, "write: No space left on device", "no space left on the device: free some"),
        (126, "sh: ./x: Permission denied", "does not permit it: sh: ./x: Permission denied"),
        (126, "sh: ./x: not executable: 64-bit ELF file", "it is for another ABI"),
        (126, "sh: 1: ./x: Exec format error", "it is for another ABI"),
        (127, "sh: ./x: inaccessible or not found", "it is for another ABI"),
        (134, "Aborted", "it was stopped by signal 6: Aborted"),
        (3, "a\n\nb\nc\nd\n", r"^b / c / d \(exit code 3\)$"),
        (3, "", "it printed nothing"),
    ],
)
def test_what_a_failure_means(code, text, message):
    with pytest.raises(AdbError, match=message):
        raise AdbError(complaint(Answer(code, text)))


def test_a_measurement(device, one):
    (result,) = measured(device, one, ["none"])
    assert (result.status, result.message, result.notes) == ("done", None, ())
    sets = result.device.pop("instruction_sets", None)
    assert sets == processor.describe().get("instruction_sets")
    assert result.device == {
        "name": "Loopback One",
        "abi": "arm64-v8a",
        "os": "Android 14",
        "api": 34,
        "soc": "QEMU cortex-a76",
        # What the device's shell says; here it is this machine's, which heeds OMP_NUM_THREADS.
        "cores": int(subprocess.run(["nproc"], capture_output=True, text=True).stdout),
    }
    assert system.PROPERTIES["ro.serialno"] not in json.dumps(result.to_dict())
    assert result.tool.startswith("benchmark_model (classic), sha256 ")
    assert result.times.runs == 3
    assert result.times.median_us > 0
    assert result.peak_memory_bytes == 4096 * 1024
    assert {row.op for row in result.profile} >= {"CONV_2D", "SOFTMAX"}
    (agreement,) = result.agreement.values()
    # The program runs the reference's own kernels.
    assert (agreement.rows, agreement.largest) == (1, 0.0)
    assert result.state.battery_percent == (81, 81)
    assert result.state.thermal_status == (0, 0)


def test_old_builds_and_new_dialects(device, one):
    (old,) = measured(device, one, ["gpu"], build="old", delegation="partial", prefix="INFO")
    assert (old.ops.delegated, old.ops.total, old.ops.refused) == (10, 11, {"SOFTMAX": 1})
    assert old.agreement is None
    assert old.times.median_us is None
    assert old.times.mean_us > 0
    npu, none = measured(
        device, one, ["npu", "none"], dialect="litert", delegation="partial", prefix="INFO"
    )
    assert (npu.status, npu.ops.refused, npu.agreement) == ("done", {"SOFTMAX": 1}, None)
    assert npu.times.median_us > 0  # which the text does not say, and the proto does
    assert (none.status, none.times) == ("refused", None)
    assert "always runs the CPU with XNNPACK" in none.message


def test_a_folder_of_tools_gives_each_delegate_its_dialect(device, one):
    tool(device.folder, "android_arm64/benchmark_model", dialect="litert")
    classic = tool(device.folder, "android_aarch64_benchmark_model")
    none, npu = measured(device, one, ["none", "npu"], tool=classic.parent)
    assert ("(classic)" in none.tool, "(litert)" in npu.tool) == (True, True)
    assert [none.status, npu.status] == ["done", "done"]


@pytest.mark.parametrize(
    ("settings", "status", "message"),
    [
        ({"fault": "crash"}, "failed", "stopped by signal 6"),
        ({"fault": "garbage"}, "failed", "the tool printed no times"),
        ({"delegation": "refuse", "prefix": "INFO"}, "refused", "Failed to apply GPU delegate"),
    ],
)
def test_tools_that_give_no_times(device, one, settings, status, message):
    first, second = measured(device, one, ["gpu", "npu"], **settings)
    assert (first.status, first.times) == (status, None)
    assert message in first.message
    assert second.status == "refused"  # the next one is asked for all the same


def test_a_silent_fallback_to_the_cpu_is_noted(device, one):
    (result,) = measured(device, one, ["gpu"], build="old", delegation="silent")
    assert result.status == "done"
    assert result.ops is None
    assert "may have fallen back to the CPU" in result.notes[0]


def test_a_tool_that_hangs_is_ended(device, one):
    pace = android.Pace(rest=0, cool=0, run=2, back=1)
    given = tool(device.folder, fault="hang")
    (result,) = android.measure([one], ["none"], tool=given, adb=device.adb, pace=pace)
    assert result.status == "failed"
    assert "more than 2 seconds" in result.message
    assert device.files() == []
    # The shell around the tool ends by itself once the tool is gone.
    end = time.monotonic() + 60
    while running(device) and time.monotonic() < end:
        time.sleep(0.1)
    assert not running(device)


def test_a_folder_into_which_something_still_writes_is_removed_at_the_second_try(tmp_path):
    calls = tmp_path / "calls"
    program = tmp_path / "rm"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n[ "$(wc -l < {calls})" -gt 1 ]\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", _folder._REMOVE], env={"PATH": path}, check=True)
    assert calls.read_text() == f"-rf {_folder.PATH}\n" * 2


def running(device: Device) -> list[str]:
    """Command lines of what runs in the device's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return [line for line in found if f"{device.root}/data" in line]


def test_results_so_far_are_kept_when_the_device_goes(device, one):
    given = tool(device.folder, build="old")
    results = android.measure(
        [one], ["none", "xnnpack", "gpu"], tool=given, adb=device.adb, runs=1, pace=PACE
    )
    found = [next(results)]
    device.set({"fake": "device"}, lost("shell", 1, -1))
    found.append(next(results))
    with pytest.raises(DeviceLost, match="disconnected"):
        next(results)
    assert [result.status for result in found] == ["done", "failed"]
    assert "device 'SERIAL' not found. Check the cable and the power" in found[1].message


def test_closing_leaves_nothing_behind(device, one):
    results = android.measure(
        [one], ["none"] * 2, tool=tool(device.folder, build="old"), adb=device.adb, pace=PACE
    )
    assert next(results).status == "done"
    assert device.files() == ["fr_keras-benchmark"]
    results.close()
    assert device.files() == []


def test_what_an_earlier_measurement_left_is_removed(device, one):
    left = device.root / "data/local/tmp/fr_keras-benchmark"
    left.mkdir()
    (left / "model.tflite").write_text("old")
    (left / "pid").write_text(str(os.getpid()))  # of another program by now
    measured(device, one, ["npu"])


def test_no_space_for_a_file_fails_it_and_not_the_next(device, one):
    space = "adb: error: failed to copy 'a' to 'b': remote couldn't write: No space left on device"
    device.set({"fake": "device"}, {"verb": "push", "call": 2, "say": space})
    given = tool(device.folder, build="old")
    first, second = android.measure(
        [one, one], ["none"], tool=given, adb=device.adb, runs=1, pace=PACE
    )
    assert (first.status, second.status) == ("failed", "done")
    assert "no space left on the device" in first.message
    assert device.files() == []


def test_a_warm_phone_is_waited_for_and_noted(device, one):
    device.service("thermalservice", "Thermal Status: 2\n")
    device.service("power", "Display Power: state=OFF\n")
    (result,) = measured(device, one, ["none"])
    assert "too warm after 0.05 seconds of waiting: thermal status 2" in (result.notes[0])
    assert "the screen was off" in result.notes[1]
    assert result.state.thermal_status == (2, 2)


@pytest.mark.parametrize(("level", "noted"), [("34", False), ("35", True)])
def test_nnapi_is_deprecated_since_android_15(device, one, level, noted):
    device.properties(ro_build_version_sdk=level)
    (result,) = measured(device, one, ["nnapi"], build="old")
    assert any("NNAPI is deprecated" in note for note in result.notes) == noted


def test_a_state_says_only_what_is_known():
    empty = _phone.Snapshot()
    assert _phone.state(empty, empty, [], []) == State()
    before = _phone.Snapshot(80, 30.0, 4000, False, 0, True)
    stats = ["cpu  100 0 0 100 0 0 0 0 0 0", "cpu  250 0 0 150 0 0 0 0 0 0"]
    found = _phone.state(before, _phone.Snapshot(79, 31.5, 4000, False, 1), stats, [-5e5, -7e5])
    assert found == State((80, 79), (30.0, 31.5), False, (0, 1), 0.75, 2400.0)
    # Some kernels give milliamperes.
    assert _phone.state(before, empty, [], [600.0]).milliwatts == 2400.0
    # Of a phone that charges, or may charge, the battery does not say what it draws.
    for charging in (True, None):
        plugged = _phone.Snapshot(millivolts=4000, charging=charging)
        assert _phone.state(plugged, empty, stats[:1], [6e5]) == State(charging=charging)


def elf(path: Path, machine: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + machine.to_bytes(2, "little") + bytes(44))
    return path


def test_binaries_are_chosen_by_abi(tmp_path):
    small = elf(tmp_path / "android_arm_benchmark_model", 40)
    large = elf(tmp_path / "android_arm64" / "benchmark_model", 183)
    elf(tmp_path / "linux" / "benchmark_model", 62)
    (tmp_path / "benchmark_model.apk").write_text("")
    library = tmp_path / "android_arm64" / "libLiteRtDispatch_X.so"
    library.write_text("")
    found = _binaries.find(tmp_path)
    assert len(found) == 3
    fit = _binaries.fitting(found, ["arm64-v8a", "armeabi-v7a"])
    assert [(one.path, one.abi) for one in fit] == [(large, "arm64-v8a"), (small, "armeabi-v7a")]
    assert [one.libraries for one in fit] == [[library], []]
    with pytest.raises(android.ToolError, match=r"ABI of the device: riscv64.*\(x86_64\)"):
        _binaries.fitting(found, ["riscv64"])
    with pytest.raises(android.ToolError, match=r"Get LiteRT's .*Received: '.*none'"):
        _binaries.find(tmp_path / "none")
