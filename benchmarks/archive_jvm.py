"""Measures how `android_demo/frarchive` expands archives on the JVM, compared with Python.

    make android
    python benchmarks/archive_jvm.py

LeNet-5 and the paper's U-Net of 31 million weights, both with random coefficients, are packed with
their skeletons and expanded to .tflite files, which must be the same in both languages. A process
does this once or several times. Time covers reading, decoding, expanding and writing, without the
start of the process. Memory is the largest resident size of the process, compared with a process
that expands nothing, and for the JVM also the smallest heap with which it succeeds. The results
say nothing about the time on a phone.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from environment import environment

ROOT = Path(__file__).resolve().parents[1]
RUNS = 20
LENET_KEEP = {"conv1": 100, "conv2": 250, "hidden": 300, "classifier": 126}
LARGEST_HEAP = 256
_PYTHON = """
import sys, time
from pathlib import Path
import fr_archive
for _ in range(int(sys.argv[3])):
    begin = time.perf_counter()
    archive = fr_archive.decode(Path(sys.argv[1]).read_bytes())
    Path(sys.argv[2]).write_bytes(fr_archive.expand(archive))
    print((time.perf_counter() - begin) * 1e3)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def archives(folder: Path) -> dict[str, Path]:
    """The archives of the two networks, packed unless they are there."""
    paths = {name: folder / f"{name}.fr" for name in ("lenet5", "unet")}
    if not all(path.exists() for path in paths.values()):
        # Not in this process: what it once held would count as memory of those that it starts.
        packing = multiprocessing.get_context("spawn").Process(target=pack, args=(paths,))
        packing.start()
        packing.join()
    return paths


def pack(paths: dict[str, Path]) -> None:
    """Packs the two networks."""
    import keras
    from archive_unet import network

    from fr_keras import regularize, save_archive, zoo

    keras.utils.set_random_seed(0)
    lenet = regularize(zoo.lenet5(classifier_activation=None))
    for name, kept in LENET_KEEP.items():
        lenet.get_layer(name).truncate(kept)
    for name, model in (("lenet5", lenet), ("unet", network())):
        shape = (8, *model.inputs[0].shape[1:])
        rows = np.random.default_rng(1).random(shape, np.float32)
        save_archive(
            model, paths[name], 0.005, 0.01, calibration=rows, skeleton={"calibration": rows}
        )


def run(command: list[str], path: Path, runs: int) -> tuple[list[float], float]:
    """Expands a file so many times: milliseconds of each, and the largest resident size in MB."""
    arguments = [str(path), str(path.with_suffix(".tflite")), str(runs)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, check=True, capture_output=True)
    *times, kilobytes = map(float, done.stdout.split())
    return times, kilobytes / 1024


def measured(command: list[str], path: Path) -> dict:
    """What a command takes that expands a file."""
    _, idle = run(command, path, 0)
    _, once = run(command, path, 1)
    times, often = run(command, path, RUNS)
    return {
        "first_ms": round(times[0], 1),
        "median_ms": round(statistics.median(times[1:]), 1),
        "idle_mb": round(idle, 1),
        "once_mb": round(once, 1),
        f"peak_mb_of_{RUNS}": round(often, 1),
        "sha256": hashlib.sha256(path.with_suffix(".tflite").read_bytes()).hexdigest(),
    }


def smallest_heap(command: list[str], path: Path) -> int:
    """The smallest heap in MB, an even number as the JVM rounds it, that expands a file once."""
    low, high = 0, LARGEST_HEAP  # fails, succeeds
    while high - low > 2:
        middle = (low + high) // 4 * 2
        try:
            run([command[0], f"-Xmx{middle}m", *command[1:]], path, 1)
            high = middle
        except subprocess.CalledProcessError:
            low = middle
    return high


def java_command() -> list[str]:
    """The command line of `Measure`, with what `make android` compiled."""
    sys.path.append(str(ROOT / "tools" / "android"))
    import jars
    import jvm

    library = [jars.folder() / "jars" / jar.file for jar in jars.listed() if jar.use == "library"]
    classes = [jvm.BUILD / "main", jvm.BUILD / "test", *library]
    classpath = os.pathsep.join(map(str, classes))
    return [jvm.java(), "-XX:+UseSerialGC", "-cp", classpath, "org.frkeras.archive.Measure"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archives", type=Path, default=ROOT / "build" / "android" / "benchmark")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    arguments.archives.mkdir(parents=True, exist_ok=True)
    java = java_command()
    result = {"benchmark": "archive_jvm", "environment": environment(), "runs": RUNS}
    version = subprocess.run([java[0], "-version"], capture_output=True, text=True, check=True)
    result["environment"]["java"] = version.stderr.split('"')[1]
    for name, path in archives(arguments.archives).items():
        python = measured([sys.executable, "-c", _PYTHON], path)
        jvm = measured(java, path)
        if python["sha256"] != jvm["sha256"]:
            raise SystemExit(f"error: the two files of {name} differ")
        jvm["smallest_heap_mb"] = smallest_heap(java, path)
        result[name] = {
            "archive_bytes": path.stat().st_size,
            "tflite_bytes": path.with_suffix(".tflite").stat().st_size,
            "python": python,
            "jvm": jvm,
        }
    print(json.dumps(result, indent=1))
    (arguments.out / "archive_jvm.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
