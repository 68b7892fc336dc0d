"""Compares lossless coders on the whole numbers of the kernels of eight networks.

    pip install --no-deps nncodec==2.1.3
    python benchmarks/coders.py --data cifar10_jpeg.npz --membranes membrane.npz \\
        --mnist mnist.npz --work folder

`save_archive` quantizes each network once, as by default, and all coders get the same numbers:

- `xz`: all tensors one after the other, in the smallest type of whole numbers that holds each one,
  by Python's `lzma` with the preset 9e.
- `nncodec`: the coder of Fraunhofer HHI's implementation of ISO/IEC 15938-17 (DeepCABAC) with the
  defaults of that package, without its quantizer. Each kernel has PyTorch's order of axes, which
  is best for it, and a stream of its own. The headers of its file are not counted.
- `archive 1`, `archive 2`: the section of coefficients, or of kernels in space, of an archive,
  with the table of lengths, shapes and steps. A file has FR layers by the first coder and other
  kernels by the second; here each coder gets the numbers of all networks.

All must decode to the same numbers. LeNet-5 is trained briefly, because coders are the subject.
"""

import json
import lzma
import re
from pathlib import Path

import archive_formats
import keras
import numpy as np
import trained
from environment import environment, versions
from lenet5_mnist import AXIS_WEIGHTS

from fr_archive import Archive, Codebook, Kernel, Quantized, Reference
from fr_archive.archive import decode_with_sizes, encode
from fr_bench import data
from fr_keras import TailTruncation, bake, methods, regularize, save_archive, zoo
from fr_keras.models.vectors import weights

EPOCHS, ROWS, LEARNING_RATE, FR_LEARNING_RATE = 3, 20_000, 1e-3, 4e-3
UNARY, FIT_CHANCES, SKIP_ROWS = 11, 1, 1  # as in nncodec's own `encode`
ANY = Reference("lenet5")  # the architecture is not counted


def fitted(model: keras.Model, mnist: data.Dataset, *callbacks, rate=LEARNING_RATE) -> keras.Model:
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    x, y = mnist.train.inputs(slice(ROWS)), mnist.train.y[:ROWS]
    model.fit(x, y, 128, EPOCHS, callbacks=list(callbacks), verbose=2)
    return model


def lenet5(mnist: data.Dataset, keep: int | float | None = None) -> keras.Model:
    """The plain network, or that of FR with so many coefficients."""
    keras.utils.set_random_seed(0)
    model = zoo.lenet5(batch_norm=True)
    if keep is None:
        return fitted(model, mnist)
    model = regularize(model, axis_weights=AXIS_WEIGHTS)
    cut = TailTruncation(keep, epochs=1, schedule="constant")
    return fitted(model, mnist, cut, rate=FR_LEARNING_RATE)


def pruned(dense: keras.Model, mnist: data.Dataset) -> keras.Model:
    copy = keras.models.clone_model(dense)
    copy.set_weights(dense.get_weights())
    return fitted(copy, mnist, methods.MagnitudePruning(0.1, epochs=EPOCHS))


def networks(given):
    """Each network with its name in the table."""
    mnist = data.load(given.mnist)
    dense = archive_formats.kept_in(given.work / "coders_dense.keras", lambda: lenet5(mnist))
    levels = methods.quantize_kernels(dense, methods.Ternary(threshold=0.2))
    for name, make in {
        "FR, 1,000 kept": lambda: lenet5(mnist, 1000),
        "FR, 5 % kept": lambda: lenet5(mnist, 0.05),
        "dense": lambda: dense,
        "pruned, 90 %": lambda: pruned(dense, mnist),
        "ternary": lambda: bake(fitted(levels, mnist)),
        "chains": lambda: methods.tucker(dense, 0.2, mnist.train.inputs(slice(1024))),
    }.items():
        file = given.work / f"coders_{re.sub(r'[^a-z0-9]+', '_', name.lower())}.keras"
        yield f"LeNet-5, {name}", archive_formats.kept_in(file, make)
    for name, title in {"resnet20": "ResNet-20, dense", "unet": "U-Net, dense"}.items():
        yield title, trained.base(trained.Task(name, given.data, given.membranes), 0, given.work)


def numbers(archive: Archive) -> list[np.ndarray]:
    """Those of each tensor and kernel; of a codebook, the places, from that of the level 0."""
    found = [np.array(one.values, np.int32) for one in (*archive.tensors, *archive.kernels)]
    for one, kernel in zip(found[len(archive.tensors) :], archive.kernels, strict=True):
        if isinstance(kernel, Codebook):
            one -= int(np.argmin(np.abs(kernel.levels)))
    return found


def check(coder: str, same: bool) -> None:
    if not same:
        raise AssertionError(f"{coder} gives other numbers than it was given")


def by_xz(arrays: list[np.ndarray]) -> int:
    types = [np.min_scalar_type(min(one.min(), -1 - one.max())) for one in arrays]
    content = b"".join(one.astype(kind).tobytes() for one, kind in zip(arrays, types, strict=True))
    packed = archive_formats.FORMATS["xz"](content)
    check("xz", lzma.decompress(packed) == content)
    return len(packed)


def by_nncodec(arrays: list[np.ndarray], shapes: list[tuple[int, ...]]) -> int:
    from nncodec.extensions import deepCABAC

    # No earlier network; no trellis, row by row, the second edition of the standard, no update.
    alone = (deepCABAC.HdspMode.AlwaysOff, np.zeros(2, np.int8))
    options, total = (0, 0, 1, 0), 0
    for one, shape in zip(arrays, shapes, strict=True):
        axes = [*range(len(shape))]
        one = np.ascontiguousarray(one.reshape(shape).transpose(axes[:-3:-1] + axes[:-2]))
        empty = ~one.any(tuple(axes[1:])) if axes[1:] else np.zeros(len(one))
        encoder, decoder = deepCABAC.Encoder(), deepCABAC.Decoder()
        encoder.initCtxModels(UNARY, FIT_CHANCES)
        encoder.encodeLayer(one, *options, SKIP_ROWS, empty.astype(np.int32), *alone, 0, 0)
        content = encoder.finish()
        decoder.setStream(content)
        decoder.initCtxModels(UNARY)
        read = np.zeros_like(one)
        decoder.decodeLayer(read, *options, *alone, 0, 0)
        check("nncodec", np.array_equal(read, one))
        total += len(content)
    return total


def by_archive(arrays: list[np.ndarray], archive: Archive, number: int) -> int:
    """The section of all numbers by the coder of a version, whichever the file has."""
    if number == 1:
        steps = [getattr(one, "step", 0) for one in (*archive.tensors, *archive.kernels)]
        given = Archive(ANY, map(Quantized, arrays, steps))
    else:
        columns = [Kernel(one.values, one.step, 1) for one in archive.tensors]
        given = Archive(ANY, (), kernels=(*columns, *archive.kernels))
    found, sizes = decode_with_sizes(encode(given))
    for read, one in zip(numbers(found), arrays, strict=True):
        check(f"archive {number}", np.array_equal(read, one))
    return sizes.sections["coefficients" if number == 1 else "kernels"]


def run(name: str, model: keras.Model, work: Path) -> dict:
    file = work / "coders.fr"
    save_archive(model, file, overwrite=True)
    archive, sizes = decode_with_sizes(file.read_bytes())
    arrays, shapes = numbers(archive), [(len(one.values),) for one in archive.tensors]
    shapes += [one.variable.shape for one in weights(model) if one.in_space]
    row = {
        "network": name,
        "tensors": len(arrays),
        "numbers": sum(one.size for one in arrays),
        "zeros": sum(int((one == 0).sum()) for one in arrays),
        "version": 2 if archive.kernels else 1,
        "file": sizes.total,
        "sections": sizes.sections,
        "bytes": {"xz": by_xz(arrays), "nncodec": by_nncodec(arrays, shapes)},
    }
    row["bytes"] |= {f"archive {n}": by_archive(arrays, archive, n) for n in (1, 2)}
    print(json.dumps(row), flush=True)
    return row


def table(rows: list[dict]) -> str:
    """The rows as Markdown, with the coder that a file has in bold."""
    lines = [
        "| network | n | 0s | xz | nncodec | archive 1 | archive 2 | to xz | to nncodec | file |",
        f"|---|{'--:|' * 9}",
    ]
    for row in rows:
        own, held = f"archive {row['version']}", row["bytes"]
        cells = [f"**{size:,}**" if one == own else f"{size:,}" for one, size in held.items()]
        ratios = [f"{100 * (held[own] / held[one] - 1):+.1f} %" for one in ("xz", "nncodec")]
        first = [f"{row['numbers']:,}", f"{100 * row['zeros'] / row['numbers']:.0f} %"]
        lines.append(
            f"| {' | '.join([row['network'], *first, *cells, *ratios])} | {row['file']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--table", action="store_true", help="print the table of the JSON")
    given = parser.parse_args()
    path = given.out / "coders.json"
    if not given.table:
        rows = [run(name, model, given.work) for name, model in networks(given)]
        about = {"benchmark": "coders", "environment": environment(), **versions("nncodec")}
        path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    print(table(json.loads(path.read_text())["rows"]))


if __name__ == "__main__":
    main()
