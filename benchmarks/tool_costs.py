"""Measures what the tools themselves take, in time and memory, as networks grow.

    python benchmarks/tool_costs.py

The networks have random weights. Each measurement is a process of its own: it makes the network,
does one thing and ends. The seconds are those of that thing; the memory is the peak resident set of
the process above what it has after its imports, so the network itself counts. `converter` is
TensorFlow's TFLiteConverter by itself. Archives hold 1 % of the coefficients.

What the JSON file has is not measured again: delete it, or give `--out`, to begin anew.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import environment

NETWORKS = ("lenet5", "resnet20", "mobilenet_v2", "efficientnet_v2_m", "vgg16")
TOOLS = ("network", "regularize", "converter", "convert", "save_archive", "load_archive")
KEPT = 0.01


def network(name: str):
    import keras

    from fr_keras import zoo

    makers = {
        "lenet5": zoo.lenet5,
        "resnet20": zoo.resnet20,
        "mobilenet_v2": lambda: keras.applications.MobileNetV2(weights=None),
        "efficientnet_v2_m": lambda: keras.applications.EfficientNetV2M(weights=None),
        "vgg16": lambda: keras.applications.VGG16(weights=None),
    }
    keras.utils.set_random_seed(0)
    return makers[name]()


def prepared(tool: str, model, file: Path):
    """What the tool is to do, and what must be done before."""
    import tensorflow as tf

    import fr_keras

    if tool in ("save_archive", "load_archive"):
        twin = fr_keras.regularize(model, start=KEPT)
        if tool == "save_archive":
            return lambda: fr_keras.save_archive(twin, file)
        fr_keras.save_archive(twin, file)
        return lambda: fr_keras.load_archive(file)
    return {
        "network": lambda: None,
        "regularize": lambda: fr_keras.regularize(model),
        "converter": lambda: tf.lite.TFLiteConverter.from_keras_model(model).convert(),
        "convert": lambda: fr_keras.tflite.convert(model),
    }[tool]


def worker(name: str, tool: str) -> dict:
    """Measures in this process."""
    import tensorflow as tf  # noqa: F401

    import fr_keras  # noqa: F401

    before = _status("VmRSS")
    model = network(name)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run = prepared(tool, model, Path(folder) / "network.fr")
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        started, begin, busy = _status("VmRSS"), time.perf_counter(), time.process_time()
        run()
        seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    return {
        "parameters": model.count_params(),
        "weights_megabytes": sum(w.value.numpy().nbytes for w in model.weights) / 1e6,
        "seconds": seconds,
        "processor_seconds": busy,
        "start_megabytes": (started - before) / 1e6,
        "peak_megabytes": (_status("VmHWM") - before) / 1e6,
    }


def _status(field: str) -> int:
    """A field of the state of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def measured(name: str, tool: str) -> dict:
    """Measures in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--worker", name, tool],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tool_costs.json"))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--worker", nargs=2, metavar=("NETWORK", "TOOL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(worker(*arguments.worker)))
        return
    found = {"environment": environment(), "kept": KEPT, "rows": []}
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text())
    known = {(row["network"], row["tool"]) for row in found["rows"]}
    for name in arguments.networks:
        for tool in TOOLS:
            if (name, tool) not in known:
                row = {"network": name, "tool": tool, **measured(name, tool)}
                found["rows"].append(row)
                print(row, flush=True)
                arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
