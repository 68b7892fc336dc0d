"""Replaces the process of the app of `android_demo` on a loopback device.

    python demo_app.py SYSTEM --es NAME VALUE ...

SYSTEM/app contains `base.apk` with the bundled files, and `settings.json` with the behaviour of the
app: `folder` for the results, `refused` delegates, and a `fault`. When it is done, it stays as long
as its file `pid` exists. The files really run, on the CPU kernels of LiteRT, and archives are
really expanded; GPU and NNAPI use the same CPU. The times mean nothing.
"""

import hashlib
import json
import os
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = "org.frkeras.demo 1.0, a stand-in"
#: As `Result.kt` has them; the driver knows better what the phone is.
DEVICE = {
    "name": "Loopback",
    "abi": "arm64-v8a",
    "os": "Android 14",
    "api": 34,
    "soc": "QEMU",
    "cores": 1,
}


class Bundle:
    """The files in the app's package."""

    def __init__(self, path: Path):
        self._apk = zipfile.ZipFile(path)
        self.entries = {one["file"]: one for one in json.loads(self.read("index.json"))["files"]}

    def read(self, name: str) -> bytes:
        return self._apk.read(f"assets/models/{name}")

    def flatbuffer(self, name: str) -> bytes:
        content = self.read(name)
        if not name.endswith(".fr"):
            return content
        sys.path.insert(0, str(ROOT))
        import fr_archive

        return fr_archive.expand(fr_archive.decode(content))


class Network:
    """A file in LiteRT's interpreter."""

    def __init__(self, content: bytes, delegate: str, threads: int):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolvers = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        self._interpreter = Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=resolvers[delegate == "none"],
        )
        self._interpreter.allocate_tensors()
        (self.input,) = self._interpreter.get_input_details()
        (self.output,) = self._interpreter.get_output_details()
        (signature,) = self._interpreter.get_signature_list().values()
        (self.name,) = signature["outputs"]

    def run(self, row) -> float:
        """Microseconds."""
        self._interpreter.set_tensor(self.input["index"], row)
        begin = time.perf_counter()
        self._interpreter.invoke()
        return (time.perf_counter() - begin) * 1e6

    def read(self):
        return self._interpreter.get_tensor(self.output["index"])


def result(bundle: Bundle, extras: dict, settings: dict) -> dict:
    """What the app says of one file."""
    name, delegate = extras["files"], extras["delegates"]
    entry, content = bundle.entries[name], bundle.flatbuffer(name)
    found = {
        "file": name,
        "bytes": entry["bytes"],
        "sha256": hashlib.sha256(content).hexdigest(),
        "target": "android",
        "device": DEVICE,
        "tool": TOOL,
        "delegate": delegate,
        "status": "done",
        "threads": int(extras["threads"]),
    }
    if delegate == "gpu":
        found["precision"] = "float16"
    if delegate in settings["refused"]:
        return {**found, "status": "refused", "message": f"no {delegate} here"}
    if settings["fault"] == "full":
        # An archive that is not expanded has no other hash than its own.
        message = "No space left on device"
        return {**found, "sha256": entry["sha256"], "status": "failed", "message": message}
    return {**found, **measured(content, bundle.read(entry["reference"]), extras)}


def measured(content: bytes, reference: bytes, extras: dict) -> dict:
    import numpy as np

    begin = time.perf_counter()
    network = Network(content, extras["delegates"], int(extras["threads"]))
    init = (time.perf_counter() - begin) * 1e6
    inputs, expected = rows_of(reference, network.input, network.output)
    times = [network.run(inputs[0]) for _ in range(1 + int(extras["warmup"]) + int(extras["runs"]))]
    timed = times[1 + int(extras["warmup"]) :]
    outputs = []
    for row in inputs:
        network.run(row)
        outputs.append(network.read())
    p5, median, p95 = np.percentile(timed, [5, 50, 95])
    return {
        "times": {
            "runs": len(timed),
            "init_us": init,
            "first_us": times[0],
            "mean_us": float(np.mean(timed)),
            "median_us": median,
            "p5_us": p5,
            "p95_us": p95,
        },
        "peak_memory_bytes": 4096,
        "agreement": {network.name: agreement(np.stack(outputs), expected, network.output)},
    }


def rows_of(reference: bytes, *tensors: dict) -> list:
    """Inputs and the outputs to expect, in the types of the tensors."""
    import numpy as np

    kinds = [np.dtype((one["dtype"], tuple(one["shape"]))) for one in tensors]
    rows, parts, begin = len(reference) // sum(kind.itemsize for kind in kinds), [], 0
    for kind in kinds:
        part = np.frombuffer(reference[begin : begin + rows * kind.itemsize], kind.base)
        parts.append(part.reshape(rows, *kind.shape))
        begin += rows * kind.itemsize
    return parts


def agreement(found, expected, output: dict) -> dict:
    import numpy as np

    scale, zero = output["quantization"]
    if scale:
        found, expected = ((one.astype(np.float64) - zero) * scale for one in (found, expected))
    largest = float(np.max(np.abs(found - expected)))
    said = {
        "rows": len(found),
        "largest": largest,
        "relative": largest / (float(np.ptp(expected)) or 1.0),
        "argmax": float(np.mean(found.argmax(-1) == expected.argmax(-1))),
    }
    return said | ({"steps": round(largest / scale, 3)} if scale else {})


def answer(system: Path, extras: dict, settings: dict) -> None:
    """Leaves a result file, or one that says why there is none."""
    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    name, fault = extras["output"], settings["fault"]
    if fault == "crash":
        os.abort()
    if fault == "hang":
        time.sleep(3600)
    if fault == "left":
        (folder / f"{name}.error").write_text("The app was left before the end.\n")
        return
    found = result(Bundle(system / "app" / "base.apk"), extras, settings)
    if fault == "other":
        found["file"] = "other.tflite"
    document = {"format": "fr-keras-benchmark", "version": 1, "results": [found]}
    text = "{" if fault == "garbage" else json.dumps(document) + "\n"
    (folder / f"{name}.partial").write_text(text)
    (folder / f"{name}.partial").rename(folder / name)


def main() -> None:
    system, words = Path(sys.argv[1]), sys.argv[2:]
    settings = json.loads((system / "app" / "settings.json").read_text())
    extras = {words[n + 1]: words[n + 2] for n in range(0, len(words), 3)}
    answer(system, extras, settings)
    while (system / "app" / "pid").exists():
        time.sleep(0.5)


if __name__ == "__main__":
    main()
