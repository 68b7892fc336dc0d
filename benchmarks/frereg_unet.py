"""Measures Dice of the files of frereg's published U-Net of 759 numbers on 16 published images.

    git clone https://github.com/guanfangdong/pytorch-frequency-regularization
    python benchmarks/frereg_unet.py --repository pytorch-frequency-regularization

The checkpoint is read without torch. frereg normalizes each image by its own statistics, which a
file cannot do. So the batch-norm statistics and the ranges of int8 come from the images with even
numbers, and Dice is measured on those with odd numbers. Bottlenecks in segments were developed on
some of these images, so this is not a test of segments on unseen data.

`tuned` is the network after steps with the rounding of int8 in the loop, on pieces of six of the
images with even numbers. They need no masks: they bring the outputs back to those of the network
in float. The other two were left for the choice of the settings below.
"""

import argparse
import collections
import io
import itertools
import json
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import keras
import numpy as np
from environment import environment
from PIL import Image

from fr_keras import bake, compact, interop, metrics, regularize, summary, tflite, zoo
from fr_keras.layers.forms import chooser
from fr_keras.tflite.converter import raw
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.int8.aware import exact
from fr_keras.tflite.int8.ranges import calibrated, quantized
from fr_keras.tflite.int8.segments import reaches, segmented
from fr_keras.tflite.int8.transposed import depth_to_space
from fr_keras.tflite.int8.two_classes import sigmoids
from fr_keras.tflite.lowering import named
from fr_keras.tflite.modes import INT8
from fr_keras.tflite.scopes import Scopes

IMAGES = 16
SHAPE = (640, 960, 3)
PIECE = (320, 480, 3)
STEPS = 400
RATE = 5e-4  # falls to 0 along a cosine
# The stages with the cosines of a chain are equal in many layers and stored once. Trained, each
# takes bytes of its own, so only those of at most this many channels are trained.
WIDTH = 128
# Bottlenecks of the highest resolution get segments, with steps so fine that they are not rounded
# in training.
FINE = re.compile(r"(down0|up0)(_conv\d)?_(in|in_0|core|sum)_range")
HELD_OUT = (0, 5)  # of the images with even numbers
GOAL = 150_000  # bytes
SPARE = 2_000  # the bytes of segments are an estimate
_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class _Checkpoint(pickle.Unpickler):
    """Reads tensors of a torch checkpoint, and calls nothing that the file names."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self._root = archive.namelist()[0].split("/")[0]
        super().__init__(io.BytesIO(archive.read(f"{self._root}/data.pkl")))

    def find_class(self, module, name):
        known = {
            "OrderedDict": collections.OrderedDict,
            "Size": tuple,
            "_get_layout": str,
            "_rebuild_tensor_v2": self._tensor,
            "_rebuild_sparse_tensor": self._sparse,
            **dict.fromkeys(_TYPES, name),
        }
        return known[name]

    def persistent_load(self, identity):
        _, kind, key, *_ = identity
        return np.frombuffer(self._archive.read(f"{self._root}/data/{key}"), _TYPES[kind])

    @staticmethod
    def _tensor(storage, offset, shape, strides, *_):
        strides = [step * storage.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides).copy()

    @staticmethod
    def _sparse(layout, data):
        positions, values, shape, *_ = data
        dense = np.zeros(shape, np.float32)
        dense[tuple(positions)] = values
        return dense


def checkpoint(folder: Path) -> dict[str, np.ndarray]:
    with tarfile.open(folder / "unet_fr.tar.xz") as archive:
        (member,) = [one for one in archive.getmembers() if one.name.endswith(".pt")]
        content = archive.extractfile(member).read()
    return dict(_Checkpoint(zipfile.ZipFile(io.BytesIO(content))).load())


def image(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture, its last column repeated, and its mask."""
    x = np.asarray(Image.open(folder / f"testimgs/input/in{number:04d}.png").convert("RGB"))
    y = np.asarray(Image.open(folder / f"testimgs/mask/gt{number:04d}.png").convert("L"))
    x = np.pad(x, ((0, 0), (0, SHAPE[1] - x.shape[1]), (0, 0)), mode="edge")
    return (x / 255).astype("float32"), (y > 0).astype("int32")


def dice(outputs: np.ndarray, truth: np.ndarray) -> float:
    metric = metrics.Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False)
    metric.update_state(truth, outputs[:, :, : truth.shape[2]])
    return float(metric.result())


def model(folder: Path, x: np.ndarray) -> keras.Model:
    network = loaded(folder, SHAPE)
    interop.calibrate_batch_norm(network, (one[None] for one in x))
    return network


def loaded(folder: Path, shape: tuple[int, int, int]) -> keras.Model:
    network = regularize(zoo.unet(shape))
    interop.load_frereg(network, checkpoint(folder))
    return compact(network)


def pieces(x: np.ndarray):
    """A random piece for each step, of the images in turn, half of them mirrored."""
    rng = np.random.default_rng(0)
    height, width, _ = PIECE
    for number in range(STEPS):
        top, left = rng.integers((SHAPE[0] - height + 1, SHAPE[1] - width + 1))
        piece = x[number % len(x), top : top + height, left : left + width]
        yield piece[None, :, ::-1] if rng.integers(2) else piece[None]


def tuned(aware: keras.Model, small: keras.Model, x: np.ndarray) -> keras.Model:
    """Trains a rounded model, of pieces, towards the outputs of the network in float."""
    teacher = tflite.Runner(tflite.convert(small).content, threads=2)
    for layer in aware.layers:
        if getattr(layer, "kernel", None) is not None and max(layer.kernel.shape[2:]) <= WIDTH:
            layer.trainable = True
        if FINE.fullmatch(layer.name):
            layer.set_range(0.0, 0.0)
    rate = keras.optimizers.schedules.CosineDecay(RATE, STEPS)
    aware.compile(keras.optimizers.Adam(rate), "categorical_crossentropy")
    for step, piece in enumerate(pieces(x)):
        aware.reset_metrics()
        loss = aware.train_on_batch(piece, teacher.run(piece))
        if step % 25 == 0:
            print("step", step, "loss", float(loss), flush=True)
    return aware


def files(network: keras.Model, x: np.ndarray):
    """Name and bytes of each file of the network as it was published."""
    for mode in ("float32", "float16", "int8"):
        done = tflite.convert(network, quantize=mode, calibration=x, float_io=True)
        yield mode, done.content
    one_range = in_int8(network, x, budget=0)
    yield "int8, one range", one_range
    yield "int8, at most 150 kB", in_int8(network, x, GOAL - len(one_range) - SPARE)


def tuned_files(folder: Path, network: keras.Model, x: np.ndarray):
    """Name and bytes of each file of the tuned network, and of its float32 file."""
    small = loaded(folder, PIECE)
    small.set_weights(network.get_weights())
    aware = tflite.quantization_aware(network, x)
    twin = tflite.quantization_aware(small, next(pieces(x)))
    twin.set_weights(aware.get_weights())  # also the ranges, which are those of whole images
    aware.set_weights(tuned(twin, small, np.delete(x, HELD_OUT, 0)).get_weights())
    plain, _ = exact(aware)
    yield "float32, tuned", tflite.convert(plain, float_io=True).content
    one_range = in_int8(plain, x, budget=0)
    yield "int8, tuned, one range", one_range
    yield "int8, tuned", in_int8(plain, x, GOAL - len(one_range) - SPARE)


def in_int8(network: keras.Model, x: np.ndarray, budget: int) -> bytes:
    """An int8 file with segments of at most `budget` bytes, in every bottleneck that is left."""
    scopes = Scopes(deployable(network, chooser("auto")).model)
    content = calibrated(sigmoids(raw(scopes, INT8), {})[0], [x])
    if budget:
        content, _, _ = segmented(content, reaches(content, [x]), share=0, budget=budget)
    content, _ = depth_to_space(content, {})
    return named(quantized(content, float_io=True), scopes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, required=True, help="a clone of frereg")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    folder = arguments.repository / "run"
    x, y = (np.stack(part) for part in zip(*(image(folder, n) for n in range(IMAGES)), strict=True))
    network = model(folder, x[::2])
    own = bake(network, form="factored")(x[1:2], training=True)
    print("Dice of one image by its own statistics", dice(np.asarray(own), y[1:2]))
    rows = []
    found = itertools.chain(files(network, x[::2]), tuned_files(folder, network, x[::2]))
    for name, content in found:
        runner = tflite.Runner(content, threads=2)
        # Image by image: float outputs of all would not fit into memory beside the rest.
        scores = [dice(runner.run(x[n : n + 1]), y[n : n + 1]) for n in range(1, IMAGES, 2)]
        rows.append({"file": name, "bytes": len(content), "dice": float(np.mean(scores))})
        print(rows[-1], flush=True)
    result = {"benchmark": "frereg_unet", "environment": environment()}
    result |= {"kept": summary(network).kept, "images": IMAGES // 2, "rows": rows}
    (arguments.out / "frereg_unet.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
