"""Set-ups of targets without hardware: found, made from packages, and errors that say what to do.

The packages here are small ones made on the spot, behind an `apt-get` that hands them out; the
real ones are in `test_arm64.py` and `test_gpu.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import contents
import pytest
import setup
from device_setups import SETUP
from packages import SetupError
from wheels import pinned

from fr_bench.benchmark import devices


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    folder = tmp_path / "devices"
    monkeypatch.setenv(devices.VARIABLE, str(folder))
    return folder


def stamped(root: Path, target: str = "gpu", **changes) -> Path:
    """A set-up whose one program is this Python."""
    folder = root / target
    folder.mkdir(parents=True)
    parts = {"versions": {"qemu-user:amd64": "1:10"}, "programs": {"python": [sys.executable]}}
    parts |= {"environment": {"A": "b"}}
    setup.write_stamp(folder, contents.TARGETS[target], **parts)
    stamp = folder / "target.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | changes))
    return stamp


def test_what_the_tool_writes_is_found(root):
    stamped(root)
    found = devices.find("gpu")
    assert found.programs == {"python": [sys.executable]}
    assert (found.folder, found.environment) == (root / "gpu", {"A": "b"})
    assert found.version("qemu-user") == "1:10"


def test_tool_and_package_know_the_same_targets_and_folder(monkeypatch):
    assert set(contents.TARGETS) == set(devices.TARGETS)
    assert setup.folder() == devices.root()
    monkeypatch.delenv(devices.VARIABLE)
    assert setup.folder() == devices.root()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda stamp: stamp.unlink(), "there is none in"),
        (lambda stamp: stamp.write_text("{"), "is damaged"),
        (lambda stamp: stamp.write_text('{"version": 2}'), "another version of fr_keras"),
    ],
)
def test_a_set_up_that_cannot_be_used_says_how_to_get_one(root, spoil, why):
    spoil(stamped(root))
    with pytest.raises(devices.MissingDevice, match=why) as error:
        devices.find("gpu")
    assert devices.command("gpu") in str(error.value)


def test_a_program_that_is_gone_is_missed(root):
    stamped(root, programs={"python": ["/no/such/python"]})
    with pytest.raises(devices.MissingDevice, match="'/no/such/python' is gone"):
        devices.find("gpu")


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match=r"`target` must be one of arm64, gpu, adb\. .*'riscv'"):
        devices.find("riscv")


def test_wheels_have_the_versions_of_this_environment():
    """So that both run the same LiteRT."""
    from importlib.metadata import version

    for name in contents.TARGETS["arm64"].wheels:
        assert pinned(name) == version(name)
    with pytest.raises(SetupError, match="`no-such-wheel` must be pinned"):
        pinned("no-such-wheel")


def run(*targets: str, path: str | None = None) -> subprocess.CompletedProcess:
    environment = os.environ | ({} if path is None else {"PATH": path})
    command = [sys.executable, SETUP, *targets]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_without_apt_it_says_so(tmp_path):
    done = run("adb", path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: `apt-get` is missing:")
    assert "Debian 12" in done.stderr


@pytest.fixture
def apt(tmp_path):
    """An `apt-get` that hands out packages of programs named adb and adbd; `touch` changes it."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb: packages are made on Debian only")
    programs = {"adb": "usr/lib/android-sdk/platform-tools/adb", "adbd": "usr/sbin/adbd"}
    handed = tmp_path / "handed"
    handed.mkdir()
    for name, place in programs.items():
        tree = tmp_path / name
        program = tree / place
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1:2\nArchitecture: all\nMaintainer: a\nDescription: b\n"
        )
        subprocess.run(["dpkg-deb", "--build", tree, handed / f"{name}_1%3a2_all.deb"], check=True)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apt-get").write_text(_APT.replace("FOLDER", str(tmp_path)))
    (folder / "apt-config").write_text("#!/bin/sh\necho 'Acquire::Retries \"1\";'\n")
    for program in folder.iterdir():
        program.chmod(0o755)
    return tmp_path, f"{folder}:{os.environ['PATH']}"


_APT = """#!/bin/sh
echo "$@" >> FOLDER/calls
case "$*" in
  *indextargets*) [ -e FOLDER/ubuntu ] && echo "noble http://u" || echo "bookworm http://d";;
  *update*) [ ! -e FOLDER/offline ] || { echo "Temporary failure resolving 'd'" >&2; exit 100; };;
  *--simulate*) [ ! -e FOLDER/absent ] || { echo "E: Unable to locate package" >&2; exit 100; }
    echo "Inst adb (1:2 Debian:12 [all])"; echo "Inst adbd (1:2 Debian:12 [all])"
    echo "Inst libc6 (2.36 Debian:12 [$(dpkg --print-architecture)])";;
  *download*) cp FOLDER/handed/adb_*.deb .
    [ -e FOLDER/half ] && exit 100; cp FOLDER/handed/adbd_*.deb .;;
esac
"""


def test_a_target_is_made_once(apt, root):
    folder, path = apt
    first = run("adb", path=path)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines()[-1] == f"adb: set up in {root / 'adb'}"
    found = devices.find("adb")
    # This machine's C library serves; everything else is of the packages.
    assert found.versions == {"adb:all": "1:2", "adbd:all": "1:2"}
    assert subprocess.run(found.programs["adbd"], check=True).returncode == 0
    calls = (folder / "calls").read_text()
    again = run("adb", path=path)
    assert (again.returncode, again.stdout) == (0, f"adb: is set up in {root / 'adb'}\n")
    assert (folder / "calls").read_text() == calls


def test_a_target_that_stopped_half_way_is_made_anew(apt, root):
    folder, path = apt
    (folder / "half").touch()
    assert run("adb", path=path).returncode == 1
    with pytest.raises(devices.MissingDevice, match="there is none"):
        devices.find("adb")
    stale = root / "adb" / "host" / "stale"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()
    (folder / "half").unlink()
    assert run("adb", path=path).returncode == 0
    assert devices.find("adb").programs
    assert not stale.exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("offline", "The network and this machine's Debian mirror are needed"),
        ("absent", "The mirror must have adb adbd in bookworm"),
        ("ubuntu", "apt on this machine knows no Debian archive"),
    ],
)
def test_an_error_says_what_is_needed(apt, root, fault, said):
    folder, path = apt
    (folder / fault).touch()
    done = run("adb", path=path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {said}")
    assert not (root / "adb" / "target.json").exists()


def test_a_program_that_does_not_work_gives_no_set_up(apt, root):
    folder, path = apt
    tree = folder / "adbd"
    (tree / "usr/sbin/adbd").write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    target = folder / "handed" / "adbd_1%3a2_all.deb"
    subprocess.run(["dpkg-deb", "--build", tree, target], check=True)
    done = run("adb", path=path)
    assert done.returncode == 1
    assert "`adbd` must work on this machine" in done.stderr
    assert "broken" in done.stderr
    assert not (root / "adb" / "target.json").exists()
