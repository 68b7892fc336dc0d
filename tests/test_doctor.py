"""The command `doctor`."""

import json

import pytest
from test_cli import call

from fr_keras.benchmark import devices, doctor, gpu


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
