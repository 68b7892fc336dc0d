"""The app of `android_demo` through `adb`, with a stand-in that answers as the app does."""

import dataclasses
import functools
import importlib
import json
import re
import shlex
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import device_setups
import loopback_app
import loopback_system as system
import pytest
from test_adb import Device, lost
from test_cli import call

from fr_bench import benchmark, data
from fr_bench.benchmark import android
from fr_bench.benchmark._subject import subject
from fr_bench.benchmark.android import app
from fr_bench.benchmark.android.adb import Adb, AdbError, DeviceLost

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "tflite_models" / "digits_fr_int8.tflite", ROOT / "android_demo/models/digits.fr"]
#: What the app says of a failure, or of a delegate.
OPTIONAL = {"message", "notes"}
PACE = android.Pace(rest=0, cool=0, run=60, back=0.5)
slow = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def apk(tmp_path_factory) -> Path:
    """A package with two files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools" / "android"))
        models = importlib.import_module("models")
    x = data.load("digits").test.inputs(slice(models.ROWS))
    references = [models.reference(subject(file).content, x) for file in FILES]
    return loopback_app.package(tmp_path_factory.mktemp("apk") / "base.apk", FILES, references)


@pytest.fixture
def device(tmp_path, apk) -> Iterator[Device]:
    found = Device(tmp_path)
    # The phone looks for a result each second; this one need not wait so long.
    found.program("sleep", "#!/bin/sh\nexec /bin/sleep 0.1\n")
    install(found, apk)
    yield found
    # It ends without its file, also where the phone was gone when it should be closed.
    (found.root / "system/app/pid").unlink(missing_ok=True)


def install(device: Device, apk: Path, **settings) -> None:
    system = device.root / "system"
    folder = f"{device.root}{app.FOLDER}"
    loopback_app.install(system, apk, [sys.executable], folder, **settings)


def measured(device: Device, delegates, files=(), **settings) -> list[benchmark.Result]:
    options = {"adb": device.adb, "runs": 3, "warmup": 1, "pace": PACE, **settings}
    return list(app.measure([subject(one, rows=1) for one in files], delegates, **options))


@pytest.fixture
def _at_once(monkeypatch):
    """The command lets a phone rest before each measurement, which this one need not."""
    monkeypatch.setitem(app.measure.__kwdefaults__, "pace", PACE)


def left(device: Device) -> list[Path]:
    return [one for one in (device.root / "sdcard").rglob("*") if one.is_file()]


def test_every_bundled_file_is_measured(device, apk):
    install(device, apk, refused=["gpu"])
    found = measured(device, ["xnnpack", "gpu"])
    assert [(one.file, one.delegate, one.status) for one in found] == [
        ("digits_fr_int8.tflite", "xnnpack", "done"),
        ("digits_fr_int8.tflite", "gpu", "refused"),
        ("digits.fr", "xnnpack", "done"),
        ("digits.fr", "gpu", "refused"),
    ]
    assert found[1].message == "no gpu here"
    for one, file in zip(found[::2], FILES, strict=True):
        assert one.bytes == file.stat().st_size
        assert one.sha256 == subject(file).sha256
        (agreement,) = one.agreement.values()
        assert (agreement.rows, agreement.largest) == (4, 0.0)  # this computer's own kernels
        assert (one.times.runs, one.threads) == (3, 1)
        assert one.state.battery_percent == (81, 81)
        assert one.device["name"] == "Loopback One"
    assert left(device) == []
    assert not (device.root / "system/app/pid").exists()


def test_the_stand_in_answers_as_the_app_does(device, tmp_path):
    """Its result has the fields that Kotlin writes; the intents are tested in Kotlin itself."""
    logic = ROOT / "android_demo/app/src/main/kotlin/org/frkeras/demo/logic/Result.kt"
    written = {*re.findall(r'"(\w+)" to ', logic.read_text())}
    output = tmp_path / "answer.json"
    folder = device.root / app.FOLDER[1:]
    intent = shlex.join(app.intent(output.name, "digits.fr", "gpu", 1, 1, 0))
    start = f"am start -S -W {intent}"
    subprocess.run([device.adb, "-s", "fake", "shell", start], check=True)
    end = time.monotonic() + 60
    while not (folder / output.name).exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    held = json.loads((folder / output.name).read_text())
    (said,) = held["results"]
    inner = {name for one in said["agreement"].values() for name in one}
    assert {*held, *said, *said["times"], *said["device"], *inner} == written - OPTIONAL


@pytest.mark.usefixtures("_at_once")
def test_the_command_and_the_report(device, tmp_path):
    words = ("benchmark", "--on", "android", "--app", "--adb", device.adb, "--runs", 2)
    out = tmp_path / "app.json"
    done = call(*words, FILES[0], "--delegate", "none", "--threads", 2, "--out", out)
    assert done.exit_code == 0, done.output
    (kept,) = benchmark.load(out)
    assert (kept.file, kept.delegate, kept.threads) == ("digits_fr_int8.tflite", "none", 2)
    page = tmp_path / "report.html"
    assert call("report", out, "--out", page).exit_code == 0
    text = page.read_text()
    assert "Loopback One" in text
    assert "org.frkeras.demo 1.0" in text


def test_each_number_of_threads_is_asked_for(device):
    found = measured(device, ["none"], FILES[:1], threads=(1, 2))
    assert [one.threads for one in found] == [1, 2]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash", "the app ended before it was done"),
        slow("left", "The app was left before the end."),
        slow("garbage", "the result of the app must be a result file"),
        slow("other", "the app measured something else: other.tflite on none"),
        ("full", "No space left on device"),
    ],
)
def test_what_goes_wrong_is_a_result_and_the_next_follows(device, apk, fault, message):
    install(device, apk, fault=fault)
    first, second = measured(device, ["none"], FILES[::-1])
    assert (first.file, second.file) == ("digits.fr", "digits_fr_int8.tflite")
    for found in (first, second):
        assert found.status == "failed"
        assert message.replace("other.tflite on none", "other.tflite") in found.message
        assert found.sha256 == subject(FILES[0] if found is second else FILES[1]).sha256
    assert left(device) == []


def test_an_app_that_hangs_is_closed(device, apk):
    install(device, apk, fault="hang")
    pace = dataclasses.replace(PACE, run=1)
    results = app.measure([], ["none"], adb=device.adb, pace=pace)
    for found in (next(results), next(results)):
        assert (found.status, "more than 1 seconds" in found.message) == ("failed", True)
        # Before the next one rests.
        assert not (device.root / "system/app/pid").exists()


def test_a_screen_that_is_off(device):
    device.service("power", "Display Power: state=OFF\n")
    (found,) = measured(device, ["none"], FILES[:1])
    assert (found.status, "the screen is off" in found.message) == ("failed", True)


def test_no_activity_of_that_name(device):
    program = device.root / "system/bin/am"
    program.write_text(program.read_text().replace("/.BenchmarkActivity", "/.Another"))
    (found,) = measured(device, ["none"], FILES[:1])
    assert found.status == "failed"
    activity = f"Error: Activity class {{{app.ACTIVITY}}} does not exist."
    assert f"`am start` failed: {activity}" in found.message


def test_a_phone_without_the_app(device):
    (device.root / "system/app/base.apk").unlink()
    with pytest.raises(AdbError, match="not on the phone: build it with `make android`"):
        measured(device, ["none"])


def written(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as apk:
        for name, text in members.items():
            apk.writestr(f"assets/models/{name}", text)
    return path


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"index.json": "{"},
        {"index.json": "[1]"},
        {"index.json": '{"files": [{"file": "none.tflite"}]}'},
        {"index.json": '{"files": [{"file": "../../x"}]}', "../../x": "x"},
        {"index.json": '{"files": [{"file": "x.tflite"}]}', "x.tflite": "no flatbuffer"},
    ],
)
def test_another_app_of_that_name(device, tmp_path, members):
    install(device, written(tmp_path / "other.apk", members))
    with pytest.raises(AdbError, match="is not that of android_demo"):
        app.bundled(Adb(device.adb))


def test_files_that_the_app_does_not_bundle(device, tmp_path):
    other = ROOT / "tflite_models" / "digits_fr_float32.tflite"
    with pytest.raises(
        ValueError, match=r"bundles: digits_fr_int8\.tflite, digits\.fr\. .*no such"
    ):
        measured(device, ["none"], [other])
    same_name = tmp_path / FILES[0].name
    same_name.write_bytes(other.read_bytes())
    with pytest.raises(ValueError, match="the app has another file of that name"):
        measured(device, ["none"], [same_name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delegates": ["npu"]}, "must be some of none, xnnpack, gpu, nnapi. Received: npu"),
        ({"threads": [1, 65]}, "`threads` must be 1 to 64 for the app. Received: 65"),
        ({"warmup": -1}, "`warmup` must be 0 to 10,000 for the app. Received: -1"),
        ({"runs": 10_001}, "`runs` must be 1 to 10,000 for the app. Received: 10001"),
    ],
)
def test_what_the_app_does_not_take(device, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        measured(device, **{"delegates": ["none"], **settings})


def test_results_so_far_are_kept_when_the_phone_goes(device):
    results = app.measure([], ["none"], adb=device.adb, runs=1, warmup=0, pace=PACE)
    assert next(results).status == "done"
    device.set({"fake": "device"}, lost("shell", 1, -1))
    assert next(results).status == "failed"
    with pytest.raises(DeviceLost, match="disconnected"):
        next(results)


def test_closing_closes_the_app(device):
    results = app.measure([], ["none"], adb=device.adb, runs=1, warmup=0, pace=PACE)
    next(results)
    assert (device.root / "system/app/pid").exists()
    results.close()
    assert not (device.root / "system/app/pid").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--app"], "Received: --on host"),
        (["--app", "--on", "android", "--tool", "."], "Received: --on android --tool ."),
        (["--on", "android", FILES[0]], "needs --tool or --app"),
        (["--app", "--on", "android", "--on", "host"], "Missing argument"),
        (["--app", "--on", "android", "--data", "digits", FILES[0]], "--data must not be given"),
        (["--app", "--on", "android", "--delegate", "npu"], "must be some of none, xnnpack"),
    ],
)
def test_wrong_usage(words, message, tmp_path):
    done = call("benchmark", *words, "--out", tmp_path / "r.json")
    assert done.exit_code == (1 if "must be some" in message else 2)
    assert message in done.output


@pytest.mark.usefixtures("_at_once")
def test_a_failure_is_the_exit_code(device, apk, tmp_path):
    install(device, apk, fault="left")
    words = ("benchmark", "--on", "android", "--app", "--adb", device.adb, FILES[0], "--json")
    done = call(*words, "--delegate", "none", "--out", tmp_path / "r.json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["results"][0]["status"] == "failed"


@pytest.mark.slow
def test_on_a_loopback_device(tmp_path, apk):
    """The real adb and adbd, and the app's files on ARM64 kernels."""
    with device_setups.network(tmp_path) as network:
        phone = network.phone()
        phone.install(apk, refused=["gpu"])
        out = tmp_path / "app.json"
        words = ("--on", "android", "--app", "--adb", network.adb, "--runs", 2, "--out", out)
        done = call("benchmark", *words, "--delegate", "xnnpack", "--delegate", "gpu")
        assert done.exit_code == 0, done.output
        found = benchmark.load(out)
        assert [(one.file, one.delegate, one.status) for one in found] == [
            (file.name, delegate, status)
            for file in FILES
            for delegate, status in (("xnnpack", "done"), ("gpu", "refused"))
        ]
        for one in found[::2]:
            (agreement,) = one.agreement.values()
            # With XNNPACK on this computer: int8 on ARM64 rounds as that does.
            assert (agreement.rows, agreement.steps) == (4, 0)
            assert one.device["name"] == "Loopback One"
            assert one.state.milliwatts == 1000.0
        assert system.PROPERTIES["ro.serialno"] not in out.read_text()
        assert phone.serial not in out.read_text()
        assert device_setups.is_idle(phone)
        assert list((phone.data / "media").rglob("*.json*")) == []
        assert call("report", out, "--out", tmp_path / "report.html").exit_code == 0


@pytest.mark.slow
def test_the_package_that_is_installed(tmp_path):
    """What `make android` makes, and its two archives."""
    package = ROOT / "build/android/app/app.apk"
    if not package.exists():
        pytest.skip("no app.apk: run `make android`")
    archives = [subject(ROOT / "android_demo/models" / f"{one}.fr") for one in ("digits", "shapes")]
    with device_setups.network(tmp_path) as network:
        phone = network.phone()
        phone.install(package)
        options = {"adb": str(network.adb), "runs": 1, "warmup": 0, "pace": PACE}
        found = list(app.measure(archives, ["xnnpack"], **options))
    assert [one.file for one in found] == ["digits.fr", "shapes.fr"]
    for one in found:
        assert one.status == "done", one.message
        assert [agreement.steps for agreement in one.agreement.values()] == [0]


@pytest.mark.slow
def test_a_phone_that_is_unplugged_while_the_app_works(tmp_path, apk):
    with device_setups.network(tmp_path) as network:
        phone = network.phone()
        phone.install(apk, fault="hang")
        pace = dataclasses.replace(PACE, back=1)
        results = app.measure([], ["none"], adb=str(network.adb), pace=pace)

        def unplug():
            end = time.monotonic() + 60
            while not (phone.system / "app/pid").exists():
                assert time.monotonic() < end
                time.sleep(0.1)
            time.sleep(1)
            phone.unplug()

        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(unplug)
            found = next(results)
            waiting.result()
        assert (found.status, "Check the cable and the power" in found.message) == ("failed", True)
        with pytest.raises(DeviceLost):
            next(results)
        phone.plug()
        phone.install(apk)
        (again,) = app.measure(
            [subject(FILES[0])], ["none"], adb=str(network.adb), runs=1, pace=PACE
        )
        assert again.status == "done"
        assert device_setups.is_idle(phone)
