"""Puts a stand-in for the app of `android_demo` on a loopback device.

`pm` and `am` answer like Android's, as far as `fr-keras benchmark --on android --app` uses them.
Behind them is the process of `demo_app.py`.
"""

import hashlib
import json
import shlex
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "org.frkeras.demo"
FOLDER = f"/sdcard/Android/media/{PACKAGE}"
_PROCESS = Path(__file__).with_name("demo_app.py")
# The programs find the folder of the app from where they are themselves.
_HERE = """#!/bin/sh
system=$(cd "$(dirname "$0")/.." && pwd)
app=$system/app
"""
_PM = f"""{_HERE}
[ "$1 $2" = "path {PACKAGE}" ] && [ -f $app/base.apk ] || exit 1
echo package:$app/base.apk
"""
_PIDOF = f"""{_HERE}
[ "$1" = {PACKAGE} ] && [ -f $app/pid ] && cat $app/pid
"""
_AM = f"""{_HERE}
stop() {{ [ -f $app/pid ] && kill -9 $(cat $app/pid) 2>/dev/null; rm -f $app/pid; }}
if [ "$*" = "force-stop {PACKAGE}" ]; then stop; exit 0; fi
[ "$1" = start ] || exit 1
shift
[ "$1 $2" = "-S -W" ] || exit 1
stop
shift 2
[ "$1 $2" = "-n {PACKAGE}/.BenchmarkActivity" ] || {{
  echo "Error type 3"
  echo "Error: Activity class {{$2}} does not exist."
  exit 0
}}
shift 2
echo "Starting: Intent {{ cmp={PACKAGE}/.BenchmarkActivity }}"
PROGRAM $system "$@" > $app/log 2>&1 &
echo $! > $app/pid
echo "Status: ok"
echo "Complete"
"""


def package(path: Path, files: Sequence[Path], references: Sequence[bytes]) -> Path:
    """Writes what of an APK the stand-in reads: files, each with rows and reference outputs."""
    entries = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as apk:
        for file, reference in zip(files, references, strict=True):
            content = file.read_bytes()
            apk.writestr(f"assets/models/{file.name}", content)
            apk.writestr(f"assets/models/{file.name}.rows", reference)
            entry = {"file": file.name, "bytes": len(content), "reference": f"{file.name}.rows"}
            entries.append({**entry, "sha256": hashlib.sha256(content).hexdigest()})
        apk.writestr("assets/models/index.json", json.dumps({"files": entries}))
    return path


def install(
    system: Path,
    apk: Path,
    python: Sequence[str],
    folder: str,
    refused: Sequence[str] = (),
    fault: str = "",
) -> None:
    """Installs it.

    Args:
        system: The `/system` of the device, from outside.
        apk: The package: one of `package`, or the real one.
        python: A Python with LiteRT, on the device.
        folder: Where the app leaves its results.
        refused: Delegates that it refuses.
        fault: "crash", "hang", "left", "full", "garbage" or "other".
    """
    app = system / "app"
    app.mkdir(exist_ok=True)
    shutil.copyfile(apk, app / "base.apk")
    settings = {"folder": folder, "refused": list(refused), "fault": fault}
    (app / "settings.json").write_text(json.dumps(settings))
    process = shlex.join([*python, str(_PROCESS)])
    for name, text in (("pm", _PM), ("pidof", _PIDOF), ("am", _AM.replace("PROGRAM", process))):
        program = system / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
