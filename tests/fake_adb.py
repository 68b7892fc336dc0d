"""A program that answers as `adb` does, with a folder as the device, and with faults on demand.

    python fake_adb.py FOLDER [-s SERIAL] devices | shell LINE | push FILE FILE | pull FILE FILE

FOLDER holds `state.json`: `devices`, a serial number -> its state, and `faults`, a list of objects
with `verb`, `call` (the number of that verb's call), and what happens then: `say` and `code`, and
`gone`, for how many calls of `devices` the device is away afterwards (-1: for good), or `sleep`.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ON_DEVICE = ("/data/local/tmp", "/sys/class/power_supply", "/sdcard")


def here(text: str, root: Path) -> str:
    """The same with paths of the device as paths in the folder."""
    for path in ON_DEVICE:
        text = text.replace(path, f"{root}{path}")
    return text


def main() -> int:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    root, held = folder / "root", json.loads((folder / "state.json").read_text())
    if words[0] == "-s":
        words = words[2:]
    verb = words[0]
    calls = held.setdefault("calls", {})
    calls[verb] = calls.get(verb, 0) + 1
    away = held.get("away", 0)
    found = [f for f in held["faults"] if (f["verb"], f["call"]) == (verb, calls[verb])]
    if found:
        held["away"] = found[0].get("gone", 0)
    elif verb == "devices" and away > 0:
        held["away"] = away - 1
    (folder / "state.json").write_text(json.dumps(held))
    if found:
        time.sleep(found[0].get("sleep", 0))
        print(found[0].get("say", ""), file=sys.stderr)
        return found[0].get("code", 1)
    if verb == "devices":
        print("* daemon started successfully\nList of devices attached")
        lines = [] if away else [f"{name}\t{state}" for name, state in held["devices"].items()]
        print("\n".join(lines) + "\n")
        return 0
    if away:
        print("error: device 'fake' not found", file=sys.stderr)
        return 1
    if verb == "shell":
        environment = {**os.environ, "PATH": f"{root}/system/bin:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", here(words[1], root)], env=environment).returncode
    source, target = (here(word, root) for word in words[1:])
    shutil.copyfile(source, target)
    print(f"{source}: 1 file pushed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
