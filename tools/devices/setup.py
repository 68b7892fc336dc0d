"""Sets up the targets that need no hardware, in a private folder and without root.

    python tools/devices/setup.py arm64 gpu adb

The folder is `~/.cache/fr_keras/devices`, or the one that the variable FR_KERAS_DEVICES names. A
target that exists is left as it is, and an unfinished one is made again from the packages that have
already been downloaded. Needs Debian 12 or newer, its package archive and PyPI; changes nothing
outside its folder.
"""

import argparse
import fcntl
import json
import os
import shutil
import sys
from pathlib import Path

import contents
import wheels
from packages import HOST, Archive, Package, SetupError, run, unpack

#: Goes up when the steps below give another folder for the same target.
LAYOUT = 1


def folder() -> Path:
    """The folder of all set-ups, as `fr_bench.benchmark.devices` has it."""
    given = os.environ.get("FR_KERAS_DEVICES")
    return Path(given) if given else Path.home() / ".cache" / "fr_keras" / "devices"


def set_up(target: contents.Target, root: Path) -> None:
    """Makes a target, unless its stamp says that it is there."""
    final = root / target.name
    if _stamp(final).get("made_of") == _wanted(target):
        print(f"{target.name}: is set up in {final}")
        return
    archive = Archive(root / "apt")
    print(f"{target.name}: reading the package lists", flush=True)
    archive.update()
    found = {part: archive.resolve(names) for part, names in target.packages.items()}
    # Only now that the packages are known to be there: an older set-up may still be of use.
    shutil.rmtree(final, ignore_errors=True)
    versions = {}
    for part, packages in found.items():
        private = [one for one in packages if _belongs(one, part, archive.native)]
        print(f"{target.name}: {len(private)} packages for {part}/", flush=True)
        unpack(archive.download(private), final / part)
        versions |= {f"{one.name}:{one.architecture}": one.version for one in private}
    for name in target.wheels:
        versions[name] = wheels.pinned(name)
    if target.wheels:
        print(f"{target.name}: wheels {', '.join(target.wheels)}", flush=True)
        wheels.install(target.wheels, final / "wheels")
    programs, environment = target.finish(final)
    for name, arguments in target.checks.items():
        run([*programs[name], *arguments], f"`{name}` must work on this machine", environment)
    write_stamp(final, target, versions, programs, environment)
    print(f"{target.name}: set up in {final}")


def write_stamp(
    final: Path,
    target: contents.Target,
    versions: dict[str, str],
    programs: dict[str, list[str]],
    environment: dict[str, str],
) -> None:
    """Writes what `fr_bench.benchmark.devices` reads."""
    stamp = {
        "format": "fr-keras-device",
        "version": 1,
        "target": target.name,
        "made_of": _wanted(target),
        "versions": versions,
        "programs": programs,
        "environment": environment,
    }
    # In one step: a folder with a stamp is whole.
    partial = final / "target.json.partial"
    partial.write_text(json.dumps(stamp, indent=1) + "\n")
    partial.rename(final / "target.json")


def _wanted(target: contents.Target) -> dict:
    """What a set-up is made of: where that changes, it is made anew."""
    return {
        "layout": LAYOUT,
        "packages": target.packages,
        "wheels": {name: wheels.pinned(name) for name in target.wheels},
    }


def _stamp(final: Path) -> dict:
    try:
        return json.loads((final / "target.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _belongs(package: Package, part: str, native: str) -> bool:
    """Whether a package that was resolved is unpacked: `host` runs on this machine's C library."""
    if part == "host":
        return package.architecture in (native, "all") and package.name not in HOST
    return package.architecture in ("arm64", "all")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+", choices=list(contents.TARGETS), metavar="TARGET")
    names = dict.fromkeys(parser.parse_args().targets)
    root = folder().resolve()
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w") as lock:
        # Tests that run side by side may want the same target.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            for name in names:
                set_up(contents.TARGETS[name], root)
        except SetupError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        # All is unpacked. Where a set-up failed, the packages stay for the next try.
        shutil.rmtree(root / "apt", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
