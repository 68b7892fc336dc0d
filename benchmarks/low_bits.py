"""Which ops run with weights of 4 and 2 bits, on which target, and what that costs.

    pip install litert-quantizer
    python tools/devices/setup.py arm64 gpu
    python benchmarks/low_bits.py

`litert-quantizer` writes a file of one op for each number of bits and each kind of activations. The
kernels lie on the grid of so many bits, with its ends in each channel, so that rounding moves
nothing: what is off comes from the kernels of LiteRT and from rounded activations. The reference is
the float32 file. Times are those of XNNPACK's default on this machine with one thread, as ratios to
the file with int8 weights and the same activations. Nothing else may run meanwhile. A whole
network follows: LeNet-5 for digits, by the same library. The script says which targets are left
out, because they have no set-up.
"""

import argparse
import contextlib
import functools
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from environment import environment
from litert_quantizer import quantizer
from litert_quantizer.qtyping import TFLOperationName
from timing import median_seconds

from fr_bench import data
from fr_bench.benchmark import arm64, devices, gpu, process
from fr_keras import bake, load_archive, tflite

ROOT = Path(__file__).resolve().parents[1]
BITS = (8, 4, 2)
ACTIVATIONS = ("float32", "dynamic", "int8", "int16")
ROUNDS = 50
#: The step of every kernel.
STEP = 1 / 64
Run = Callable[[bytes, list[np.ndarray]], list[np.ndarray]]


def networks() -> Iterator[tuple[str, TFLOperationName, keras.Model]]:
    """The name, the op and a model of one layer."""
    layers, picture = keras.layers, (32, 32, 64)
    for name, shape, layer in (
        ("FULLY_CONNECTED", (1024,), layers.Dense(512)),
        ("CONV_2D", picture, layers.Conv2D(64, 3, padding="same")),
        ("CONV_2D, 1x1", picture, layers.Conv2D(64, 1)),
        ("DEPTHWISE_CONV_2D", picture, layers.DepthwiseConv2D(3, padding="same")),
        ("TRANSPOSE_CONV", picture, layers.Conv2DTranspose(32, 2, strides=2)),
    ):
        op = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}.get(name, name.partition(",")[0])
        inputs = keras.Input(shape, batch_size=1)
        yield name, TFLOperationName(op), keras.Model(inputs, layer(inputs))


def on_grid(model: keras.Model, bits: int) -> None:
    """Gives a model a kernel of whole steps, which reaches both ends in each channel."""
    kernel, bias = model.weights
    is_last = isinstance(model.layers[-1], keras.layers.Dense | keras.layers.Conv2D)
    axis = -1 if is_last else -2
    rng, end = np.random.default_rng(bits), 2 ** (bits - 1) - 1
    steps = rng.integers(-end, end + 1, kernel.shape)
    channels = np.moveaxis(steps, axis, 0).reshape(kernel.shape[axis], -1)
    channels[:, :2] = end, -end
    shape = np.moveaxis(steps, axis, 0).shape
    kernel.assign(np.moveaxis(channels.reshape(shape), 0, axis) * STEP)
    bias.assign(rng.normal(size=bias.shape))


def float_file(model: keras.Model) -> bytes:
    with contextlib.redirect_stdout(io.StringIO()):
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def quantized(
    content: bytes, op: TFLOperationName, bits: int, activations: str, x: np.ndarray
) -> bytes:
    """The file with weights of so many bits.

    Raises:
        ValueError: If `litert-quantizer` refuses; it says why.
    """
    made = quantizer.Quantizer(content)
    if activations == "float32":
        made.add_weight_only_config(".*", op, num_bits=bits)
    elif activations == "dynamic":
        made.add_dynamic_config(".*", op, num_bits=bits)
    else:
        width = int(activations.removeprefix("int"))
        made.add_static_config(".*", op, activation_num_bits=width, weight_num_bits=bits)
    ranges = None
    with contextlib.redirect_stdout(io.StringIO()):
        if made.need_calibration:
            (name, ends), *_ = Interpreter(model_content=content).get_signature_list().items()
            ranges = made.calibrate({name: [{ends["inputs"][0]: x}]})
        return bytes(made.quantize(ranges).quantized_model)


def runs() -> dict[str, Run]:
    """Target that is set up -> what runs a file there on rows of its own type."""
    found = {
        "host, XNNPACK": functools.partial(process.work, delegate="xnnpack"),
        "host": functools.partial(process.work, delegate="none"),
    }
    if is_there("arm64"):
        found["ARM64, XNNPACK"] = functools.partial(arm64.run, delegate="xnnpack")
        found["ARM64"] = functools.partial(arm64.run, delegate="none")
    if is_there("gpu"):
        found["GPU"] = gpu.run
    return {
        name: lambda content, inputs, run=run: run(content, inputs).outputs
        for name, run in found.items()
    }


def is_there(device: str) -> bool:
    try:
        devices.find(device)
    except devices.MissingDevice as error:
        print(f"Left out: {error}", flush=True)
        return False
    return True


def outcome(content: bytes, x: np.ndarray, reference: np.ndarray, run: Run) -> dict:
    """The relative error of a file on a target, or why there is none."""
    made = Interpreter(model_content=content)
    (taken,), (given,) = made.get_input_details(), made.get_output_details()
    try:
        (found,) = run(content, [_rounded(x, taken)])
    except (process.WorkerError, OSError, ValueError) as error:
        lines = str(error).strip().splitlines()
        return {
            "failed": next(
                (one for one in lines if "ERROR" in one), re.split(r": (?=INFO|\s)", lines[0])[0]
            )
        }
    if given["dtype"] != np.float32:
        scale, zero_point = given["quantization"]
        found = (found.astype(np.float32) - zero_point) * scale
    if not np.isfinite(found).all():
        return {"failed": f"{np.mean(~np.isfinite(found)):.0%} of its outputs are no numbers"}
    return {"error": float(np.linalg.norm(found - reference) / np.linalg.norm(reference))}


def _rounded(x: np.ndarray, taken: dict) -> np.ndarray:
    if taken["dtype"] == np.float32:
        return x
    scale, zero_point = taken["quantization"]
    limits = np.iinfo(taken["dtype"])
    return np.clip(np.rint(x / scale + zero_point), limits.min, limits.max).astype(taken["dtype"])


def speeds(files: dict[int, bytes], x: np.ndarray) -> dict[int, float]:
    """Bits -> median time over that of the file with 8 bits."""
    functions = {}
    for bits, content in files.items():
        made = Interpreter(model_content=content, num_threads=1)
        made.allocate_tensors()
        (taken,) = made.get_input_details()
        made.set_tensor(taken["index"], _rounded(x, taken))
        functions[bits] = made.invoke
    times = median_seconds(functions, ROUNDS)
    return {bits: round(time / times[8], 2) for bits, time in times.items()}


def rows(name: str, op: TFLOperationName, model: keras.Model, targets: dict[str, Run]) -> list:
    x = np.random.default_rng(1).normal(size=model.input_shape).astype(np.float32)
    found = []
    for activations in ACTIVATIONS:
        files: dict[int, bytes] = {}
        for bits in BITS:
            one = {"op": name, "activations": activations, "bits": bits}
            found.append(one)
            on_grid(model, bits)
            content = float_file(model)
            (reference,) = process.work(content, [x], "none").outputs
            try:
                files[bits] = quantized(content, op, bits, activations, x)
            except ValueError as error:
                one["refused"] = str(error).strip().splitlines()[0]
                continue
            one |= {"bytes": len(files[bits]), "float32_bytes": len(content)}
            one["targets"] = {
                target: outcome(files[bits], x, reference, run) for target, run in targets.items()
            }
            print(one, flush=True)
        for bits, ratio in speeds(files, x).items():
            next(one for one in found[-len(BITS) :] if one["bits"] == bits)["time_ratio"] = ratio
    return found


def network_rows() -> list[dict]:
    """The bytes and test accuracy of a network with much in one dense layer, in three files."""
    digits, path = data.load("digits"), ROOT / "android_demo" / "models" / "digits.fr"
    model = load_archive(path)
    x, y = digits.test.inputs(), digits.test.y
    plain = float_file(bake(model))
    made = quantizer.Quantizer(plain)
    for op, bits in ((TFLOperationName.FULLY_CONNECTED, 4), (TFLOperationName.CONV_2D, 8)):
        made.add_dynamic_config(".*", op, num_bits=bits)
    with contextlib.redirect_stdout(io.StringIO()):
        few_bits = bytes(made.quantize().quantized_model)
    int8 = {"quantize": "int8", "calibration": digits.train.inputs(slice(96)), "form": "dense"}
    files = {
        "float32": plain,
        "int8": tflite.convert(model, **int8).content,
        "dense layers in 4 bits, the rest in 8": few_bits,
    }
    return [
        {
            "file": name,
            "bytes": len(content),
            "accuracy": float(np.mean(tflite.Runner(content).run(x).argmax(-1) == y)),
            "rows": len(y),
        }
        for name, content in files.items()
    ]


def table(found: list[dict]) -> str:
    """What `docs/results.md` shows: files that were written, without those of 8 bits."""
    bytes_of_8 = {(o["op"], o["activations"]): o.get("bytes") for o in found if o["bits"] == 8}
    written = [one for one in found if one["bits"] < 8 and "bytes" in one]
    targets = list(written[0]["targets"])
    lines = [["op", "activations", "bits", "bytes", "with 8 bits", *targets, "time"]]
    lines.append(["---", "---", *["--:"] * (len(targets) + 4)])
    for one in written:
        eight = bytes_of_8[one["op"], one["activations"]]
        cells = [
            f"{cell['error']:.0e}" if "error" in cell else "fails"
            for cell in one["targets"].values()
        ]
        ratio = "-" if "fails" in cells[:2] else f"{one['time_ratio']:.2f}"
        sizes = [str(one["bits"]), f"{one['bytes']:,}", f"{eight:,}"]
        lines.append([f"`{one['op']}`", one["activations"], *sizes, *cells, ratio])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    out = parser.parse_args().out / "low_bits.json"
    keras.utils.set_random_seed(0)
    targets, found, whole = runs(), [], network_rows()
    for network in networks():
        found += rows(*network, targets)
        about = {"benchmark": "low_bits", "environment": environment(), "rounds": ROUNDS}
        about |= {"network": whole}
        out.write_text(json.dumps({**about, "rows": found}, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
