"""A program that answers as `adb` does, with a folder as the device, and with faults on demand.

    python fake_adb.py FOLDER [-s SERIAL] devices | shell LINE | push FILE FILE | pull FILE FILE

FOLDER holds `state`, which `marshal` reads: `devices`, a serial number -> its state, and `faults`,
dicts with `verb`, `call` (the number of that verb's call), and what happens then: `say` and
`code`, and `gone`, for how many calls of `devices` the device is away afterwards (-1: for good), or
`sleep`. A measurement calls this a hundred times, so it imports only what Python itself has loaded.
"""

import marshal
import os
import sys
import time

ON_DEVICE = ("/data/local/tmp", "/sys/class/power_supply", "/sdcard")


def here(text: str, root: str) -> str:
    """The same with paths of the device as paths in the folder."""
    for path in ON_DEVICE:
        text = text.replace(path, f"{root}{path}")
    return text


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def main() -> int:
    folder, words = sys.argv[1], sys.argv[2:]
    root, held = f"{folder}/root", marshal.loads(read(f"{folder}/state"))
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
    write(f"{folder}/state", marshal.dumps(held))
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
        os.execvpe("sh", ["sh", "-c", here(words[1], root)], environment)
    source, target = (here(word, root) for word in words[1:])
    write(target, read(source))
    print(f"{source}: 1 file pushed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
