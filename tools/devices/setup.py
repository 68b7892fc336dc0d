"""Sets up the targets that need no hardware, in a private folder and without root.

    python tools/devices/setup.py arm64 gpu adb

The folder is `~/.cache/fr_keras/devices`, or that of the variable FR_KERAS_DEVICES. A target that
is there already is left as it is, and one that is half there is made anew, of the packages that
have come. Needs Debian 12 or newer, its package archive and PyPI; it changes nothing outside its
folder.
"""

import argparse
import fcntl
import json
import os
import shutil
import sys
from pathlib import Path

import recipes
import wheels
from packages import HOST, Archive, Package, SetupError, run, unpack

#: Goes up when the steps below give another folder from the same recipe.
LAYOUT = 1


def folder() -> Path:
    """The folder of all set-ups, as `fr_bench.benchmark.devices` has it."""
    given = os.environ.get("FR_KERAS_DEVICES")
    return Path(given) if given else Path.home() / ".cache" / "fr_keras" / "devices"


def set_up(recipe: recipes.Recipe, root: Path) -> None:
    """Makes a target, unless its stamp says that it is there."""
    final = root / recipe.target
    if _stamp(final).get("recipe") == _wanted(recipe):
        print(f"{recipe.target}: is set up in {final}")
        return
    archive = Archive(root / "apt")
    print(f"{recipe.target}: reading the package lists", flush=True)
    archive.update()
    found = {part: archive.resolve(names) for part, names in recipe.packages.items()}
    # Only now that the packages are known to be there: an older set-up may still be of use.
    shutil.rmtree(final, ignore_errors=True)
    versions = {}
    for part, packages in found.items():
        private = [one for one in packages if _belongs(one, part, archive.native)]
        print(f"{recipe.target}: {len(private)} packages for {part}/", flush=True)
        unpack(archive.download(private), final / part)
        versions |= {f"{one.name}:{one.architecture}": one.version for one in private}
    for name in recipe.wheels:
        versions[name] = wheels.pinned(name)
    if recipe.wheels:
        print(f"{recipe.target}: wheels {', '.join(recipe.wheels)}", flush=True)
        wheels.install(recipe.wheels, final / "wheels")
    programs, environment = recipe.finish(final)
    for name, arguments in recipe.checks.items():
        run([*programs[name], *arguments], f"`{name}` must work on this machine", environment)
    write_stamp(final, recipe, versions, programs, environment)
    print(f"{recipe.target}: set up in {final}")


def write_stamp(
    final: Path,
    recipe: recipes.Recipe,
    versions: dict[str, str],
    programs: dict[str, list[str]],
    environment: dict[str, str],
) -> None:
    """Writes what `fr_bench.benchmark.devices` reads."""
    stamp = {
        "format": "fr-keras-device",
        "version": 1,
        "target": recipe.target,
        "recipe": _wanted(recipe),
        "versions": versions,
        "programs": programs,
        "environment": environment,
    }
    # In one step: a folder with a stamp is whole.
    partial = final / "target.json.partial"
    partial.write_text(json.dumps(stamp, indent=1) + "\n")
    partial.rename(final / "target.json")


def _wanted(recipe: recipes.Recipe) -> dict:
    """What a set-up is made of: another recipe or pin makes it anew."""
    return {
        "layout": LAYOUT,
        "packages": recipe.packages,
        "wheels": {name: wheels.pinned(name) for name in recipe.wheels},
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
    parser.add_argument("targets", nargs="+", choices=list(recipes.RECIPES), metavar="TARGET")
    targets = dict.fromkeys(parser.parse_args().targets)
    root = folder().resolve()
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w") as lock:
        # Tests that run side by side may want the same target.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            for target in targets:
                set_up(recipes.RECIPES[target], root)
        except SetupError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        # All is unpacked. Where a set-up failed, the packages stay for the next try.
        shutil.rmtree(root / "apt", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
