"""Extreme learning machines on MNIST: accuracy, seconds, memory and bytes by the number of neurons.

    python benchmarks/elm.py --data mnist.npz

The last 5,000 training rows choose the penalty; the test rows are only looked at once, at the end.
Each number of neurons is a process of its own. `fit` is the method alone: its seconds, and the peak
resident set of the process above what it has after its imports and the data. `resident_megabytes`
is the whole peak. `steps` is what the method says and when; the last one has the penalty that was
chosen. The archive is that of `save_archive` with its defaults, with the bytes of its sections.

A row that is in the JSON is not measured again: delete it to begin anew.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import environment

NEURONS = (1_000, 5_000, 19_000)
VALIDATION = 5_000
CALIBRATION = 512  # training rows
SEED = 0


def worker(path: str, neurons: int) -> dict:
    """Measures in this process."""
    import numpy as np

    from fr_keras.methods import elm

    with np.load(path) as file:
        x, y = file["x_train"] / np.float32(255), file["y_train"]
        x_test, y_test = file["x_test"] / np.float32(255), file["y_test"]
    fitted, chooses = slice(None, -VALIDATION), slice(-VALIDATION, None)
    before, begin, busy, steps = _status("VmRSS"), time.perf_counter(), time.process_time(), []
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far

    def step(text: str, share: float | None) -> None:
        steps.append({"seconds": round(time.perf_counter() - begin, 2), "text": text})

    data, validation = (x[fitted], y[fitted]), (x[chooses], y[chooses])
    model = elm(data, neurons, validation, seed=SEED, progress=step)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    peak = _status("VmHWM")
    return {
        "neurons": neurons,
        "parameters": model.count_params(),
        "fit": {
            "seconds": round(seconds, 2),
            "processor_seconds": round(busy, 2),
            "peak_megabytes": round((peak - before) / 1e6, 1),
            "resident_megabytes": round(peak / 1e6, 1),
            "steps": steps,
        },
        "validation_accuracy": _accuracy(_answers(model, x[chooses]), y[chooses]),
        "test_accuracy": _accuracy(_answers(model, x_test), y_test),
        **_files(model, x[fitted][:CALIBRATION], x_test, y_test),
    }


def _files(model, calibration, x_test, y_test) -> dict:
    """The bytes and the accuracy of the int8 file and of the archive."""
    import fr_archive
    from fr_keras import load_archive, save_archive, tflite

    int8 = tflite.convert(model, quantize="int8", calibration=calibration).content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "elm.fr"
        save_archive(model, path)
        content, loaded = path.read_bytes(), load_archive(path)
    return {
        "int8": {
            "bytes": len(int8),
            "gzipped": len(gzip.compress(int8)),
            "test_accuracy": _accuracy(tflite.Runner(int8).run(x_test), y_test),
        },
        "archive": {
            "bytes": len(content),
            "sections": dict(fr_archive.sizes(content).sections),
            "test_accuracy": _accuracy(_answers(loaded, x_test), y_test),
        },
    }


def _answers(model, x):
    return model.predict(x, batch_size=500, verbose=0)


def _accuracy(answers, y) -> float:
    return round(float((answers.argmax(1) == y).mean()), 4)


def _status(field: str) -> int:
    """A field of the state of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def measured(path: str, neurons: int) -> dict:
    """Measures in a process of its own."""
    command = [sys.executable, __file__, "--data", path, "--worker", str(neurons)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--neurons", type=int, nargs="+", default=NEURONS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--worker", type=int, metavar="NEURONS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(worker(arguments.data, arguments.worker)))
        return
    path = arguments.out / "elm.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for neurons in arguments.neurons:
        if neurons not in {row["neurons"] for row in rows}:
            rows.append(measured(arguments.data, neurons))
            print(rows[-1], flush=True)
            result = {"benchmark": "elm", "environment": environment(), "seed": SEED, "rows": rows}
            path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
