"""The target `android` on loopback devices: the real adb, the real adbd, and ARM64 kernels."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import device_setups
import loopback
import loopback_system as system
import numpy as np
import pytest

from fr_bench import benchmark
from fr_bench.benchmark import android, devices
from fr_bench.benchmark._subject import Subject, subject
from fr_bench.benchmark.android.adb import Adb, AdbError, DeviceLost

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[1] / "tflite_models"
PACE = android.Pace(rest=0.1, cool=30, run=120, back=20)
FOLDER = "fr_keras-benchmark"


@pytest.fixture
def network(tmp_path):
    with device_setups.network(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def one() -> Subject:
    return subject(MODELS / "digits_fr_int8.tflite", rows=2)


@pytest.fixture
def phone(network) -> loopback.Phone:
    return network.phone()


def measure(network, subjects, delegates, tool, pace=PACE, serial=None):
    return android.measure(
        subjects,
        delegates,
        tool=tool,
        adb=str(network.adb),
        serial=serial,
        runs=2,
        warmup=1,
        pace=pace,
    )


def is_clean(phone: loopback.Phone) -> bool:
    """Nothing lies there, and nothing runs."""
    return device_setups.is_idle(phone) and phone.files() == ""


@contextlib.contextmanager
def meanwhile(step):
    """Runs a step beside what is inside."""
    thread = threading.Thread(target=step)
    thread.start()
    yield
    thread.join()


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0


def wait_for(phone: loopback.Phone, file: str, new: bool = False) -> Path:
    """Waits until a file, or another than there is now, is in the folder; returns where it is."""
    path = phone.data / "local" / "tmp" / FOLDER / file
    begin = time.time() if new else 0
    end = time.monotonic() + 60
    while _written(path) <= begin:
        assert time.monotonic() < end, f"{file} never came"
        time.sleep(0.002)
    return path


def test_both_dialects_run_on_arm64_kernels(network, phone, one, tmp_path):
    loopback.tool(tmp_path / "tools/classic_benchmark_model", prefix="INFO")
    loopback.tool(
        tmp_path / "tools/arm64/benchmark_model",
        dialect="litert",
        delegation="partial",
        prefix="INFO",
    )
    xnnpack, npu, nnapi = measure(network, [one], ["xnnpack", "npu", "nnapi"], tmp_path / "tools")
    assert [xnnpack.status, npu.status, nnapi.status] == ["done"] * 3
    xnnpack.device.pop("instruction_sets", None)  # of the machine that plays phone
    assert xnnpack.device == {
        "name": "Loopback One",
        "abi": "arm64-v8a",
        "os": "Android 14",
        "api": 34,
        "soc": "QEMU cortex-a76",
        "cores": len(os.sched_getaffinity(0)),
    }
    text = json.dumps([one.to_dict() for one in (xnnpack, npu, nnapi)])
    assert system.PROPERTIES["ro.serialno"] not in text
    assert phone.serial not in text
    (agreement,) = xnnpack.agreement.values()
    assert agreement.rows == 2
    assert agreement.steps <= 1  # XNNPACK's int8 kernels round otherwise
    assert xnnpack.ops.delegated == xnnpack.ops.total
    assert npu.ops.refused == {"SOFTMAX": 1}
    assert npu.agreement is None
    assert {row.op for row in nnapi.profile} == {"TfLiteNnapiDelegate"}
    assert xnnpack.state.milliwatts == 1000.0  # 250 mA of 4 V
    assert is_clean(phone)


def test_float_outputs_of_arm64_agree(network, phone, tmp_path):
    rows = np.random.default_rng(0).random((2, 28, 28, 1))
    float32 = subject(MODELS / "digits_fr_float32.tflite", rows)
    (result,) = measure(network, [float32], ["none"], loopback.tool(tmp_path / "benchmark_model"))
    (agreement,) = result.agreement.values()
    assert agreement.relative < 1e-5  # sums in another order
    assert is_clean(phone)


def test_unplugged_during_push(network, phone, one, tmp_path):
    content = np.random.default_rng(0).bytes(50 * 2**20)
    large = dataclasses.replace(one, content=content)
    tool = loopback.tool(tmp_path / "benchmark_model", build="old")
    sizes = []

    def unplug():
        path = wait_for(phone, "model.tflite")
        phone.unplug()
        sizes.append(path.stat().st_size)

    results = measure(network, [large], ["none"], tool, dataclasses.replace(PACE, back=1))
    with meanwhile(unplug):
        result = next(results)
    assert sizes[0] < len(content)
    assert result.status == "failed"
    assert "disconnected" in result.message
    assert "Check the cable and the power" in result.message
    with pytest.raises(DeviceLost):
        next(results)
    phone.plug()
    assert phone.files() == f"{FOLDER}\n"  # nobody could remove it
    (again,) = measure(network, [one], ["npu"], tool)
    assert again.status == "refused"
    assert is_clean(phone)


def test_unplugged_during_a_run_and_plugged_in_again(network, phone, one, tmp_path):
    tool = loopback.tool(tmp_path / "benchmark_model", build="old")

    def drop():
        wait_for(phone, "pid")
        time.sleep(0.5)
        phone.unplug()
        time.sleep(1)
        phone.plug()

    with meanwhile(drop):
        (result,) = measure(network, [one], ["none"], tool)
    assert result.status == "done"
    assert is_clean(phone)


@contextlib.contextmanager
def command(network, tool, out, *delegates):
    """The command in a process of its own, after its first result."""
    words = [sys.executable, "-m", "fr_keras_cli", "benchmark", MODELS / "digits_fr_int8.tflite"]
    words += ["--on", "android", "--adb", network.adb, "--tool", tool, "--runs", "2", "--rows", "1"]
    words += ["--out", out, *(word for one in delegates for word in ("--delegate", one))]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        end = time.monotonic() + 120
        while not out.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)
        yield process


def statuses(out: Path) -> list[str]:
    return [result.status for result in benchmark.load(out)]


def test_unplugged_during_a_run_for_good(network, phone, one, tmp_path):
    tool = loopback.tool(tmp_path / "benchmark_model", build="old")
    out = tmp_path / "out.json"
    with command(network, tool, out, "none", "xnnpack", "gpu") as process:
        wait_for(phone, "pid", new=True)
        phone.unplug()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Check the cable and the power" in errors
    assert statuses(out) == ["done", "failed"]
    # What went on without us is ended by the next measurement.
    phone.plug()
    assert FOLDER in phone.files()
    (again,) = measure(network, [one], ["npu"], tool)
    assert again.status == "refused"
    assert is_clean(phone)


def test_two_devices_without_a_serial(network, phone, one, tmp_path):
    other = network.phone()
    tool = loopback.tool(tmp_path / "benchmark_model")
    message = f"must name one of the devices.*{phone.serial}.*{other.serial}"
    with pytest.raises(AdbError, match=message):
        next(measure(network, [one], ["npu"], tool))
    (result,) = measure(network, [one], ["npu"], tool, serial=other.serial)
    assert result.status == "refused"
    assert is_clean(phone)
    assert is_clean(other)


def test_unauthorized(network):
    """adbd asks for nothing here, so this device speaks only the beginning of the protocol."""
    serial = network.stranger()
    with pytest.raises(AdbError, match="the device is unauthorized: unlock it"):
        Adb(str(network.adb), serial)


def test_no_space(network, one, tmp_path):
    phone = network.phone(size="1m")
    large = dataclasses.replace(one, content=np.random.default_rng(0).bytes(2 * 2**20))
    tool = loopback.tool(tmp_path / "benchmark_model", build="old")
    first, second = measure(network, [large, one], ["none"], tool)
    assert (first.status, second.status) == ("failed", "done")
    assert "no space left on the device" in first.message
    assert is_clean(phone)


def test_no_execute_permission(network, one, tmp_path):
    phone = network.phone(options=["noexec"])
    tool = loopback.tool(tmp_path / "benchmark_model")
    with pytest.raises(AdbError, match=r"did not run: the device does not permit it.*denied"):
        next(measure(network, [one], ["none"], tool))
    assert is_clean(phone)


def test_wrong_abi(network, phone, one, tmp_path):
    """A real program for ARM64, which the device claims to be; its processor is this machine's."""
    python = devices.find("arm64").programs["python"][-1]
    tool = shutil.copy(Path(python).resolve(), tmp_path / "benchmark_model")
    with pytest.raises(AdbError, match="did not run: the device cannot execute it"):
        next(measure(network, [one], ["none"], tool))
    assert is_clean(phone)
    # And one that is not for the ABI that it claims is not even pushed.
    with pytest.raises(android.ToolError, match="for an ABI of the device: arm64-v8a"):
        next(measure(network, [one], ["none"], sys.executable))
    assert is_clean(phone)


def test_a_program_that_is_no_benchmark_model(network, phone, one, tmp_path):
    tool = tmp_path / "benchmark_model"
    tool.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(android.ToolError, match=r"--help lists --graph.*hello"):
        next(measure(network, [one], ["none"], tool))
    assert is_clean(phone)


@pytest.mark.parametrize(
    ("settings", "status", "message"),
    [
        ({"fault": "hang"}, "failed", "it took more than 25 seconds and was stopped"),
        ({"fault": "crash"}, "failed", "it was stopped by signal 6"),
        ({"fault": "garbage"}, "failed", "the tool printed no times"),
        ({"delegation": "refuse", "prefix": "INFO"}, "refused", "Failed to apply GPU delegate."),
        ({"delegation": "silent", "prefix": "logcat"}, "done", "fallen back to the CPU"),
    ],
)
def test_tools_that_misbehave(network, phone, one, tmp_path, settings, status, message):
    tool = loopback.tool(tmp_path / "benchmark_model", build="old", **settings)
    pace = dataclasses.replace(PACE, run=25)
    first, second = measure(network, [one], ["gpu", "npu"], tool, pace)
    assert first.status == status
    assert message in (first.message or " ".join(first.notes))
    assert (first.times is None) == (status != "done")
    assert second.status == "refused"  # it went on
    assert is_clean(phone)


def test_ctrl_c(network, phone, tmp_path):
    tool = loopback.tool(tmp_path / "benchmark_model", build="old")
    out = tmp_path / "out.json"
    delegates = ("none", "xnnpack", "gpu", "nnapi")  # enough to be in the middle of them
    with command(network, tool, out, *delegates) as process:
        wait_for(phone, "pid", new=True)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Aborted!" in errors
    assert 0 < len(statuses(out)) < len(delegates)
    assert is_clean(phone)


def test_a_warm_phone_cools_down_first(network, phone, one, tmp_path):
    tool = loopback.tool(tmp_path / "benchmark_model", build="old")
    phone.heat(3)
    phone.battery(USB_powered="true")
    results = measure(network, [one], ["none"], tool)

    def cool():
        wait_for(phone, "model.tflite")
        time.sleep(2)
        assert not (phone.data / "local" / "tmp" / FOLDER / "log").exists()  # it waits
        phone.heat(0)

    with meanwhile(cool):
        (result,) = results
    assert result.notes == ()
    assert result.state.thermal_status == (0, 0)
    assert result.state.charging
    assert result.state.milliwatts is None  # what charges says nothing of what it draws
    assert is_clean(phone)
