"""Measures Dice of the files of frereg's published U-Net of 759 numbers on 16 published images.

    git clone https://github.com/guanfangdong/pytorch-frequency-regularization
    python benchmarks/frereg_unet.py --repository pytorch-frequency-regularization

The checkpoint is read without torch. frereg normalizes each image by its own statistics, which a
file cannot do. So the batch-norm statistics and the ranges of int8 come from the images with even
numbers, and Dice is measured on those with odd numbers. Bottlenecks in segments were developed on
some of these images, so this is not a test of segments on unseen data.
"""

import argparse
import collections
import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import keras
import numpy as np
from environment import environment
from PIL import Image

from fr_keras import bake, interop, metrics, regularize, summary, tflite, zoo
from fr_keras.layers.forms import chooser
from fr_keras.tflite.converter import raw
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.int8.ranges import calibrated, quantized
from fr_keras.tflite.lowering import named
from fr_keras.tflite.modes import INT8
from fr_keras.tflite.scopes import Scopes

IMAGES = 16
SHAPE = (640, 960, 3)
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
    network = regularize(zoo.unet(SHAPE))
    interop.load_frereg(network, checkpoint(folder))
    interop.calibrate_batch_norm(network, (one[None] for one in x))
    return network


def files(network: keras.Model, x: np.ndarray):
    """Name and bytes of each file; `one range` is int8 without bottlenecks in segments."""
    for mode in ("float32", "float16", "int8"):
        done = tflite.convert(network, quantize=mode, calibration=x, float_io=True)
        yield mode, done.content
    scopes = Scopes(deployable(network, chooser("auto")).model)
    content = calibrated(raw(scopes, INT8), [x])
    yield "int8, one range", named(quantized(content, float_io=True), scopes)


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
    for name, content in files(network, x[::2]):
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
