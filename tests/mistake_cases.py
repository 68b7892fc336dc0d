"""The mistakes of a newcomer: what the user did, what the command says, and what to do."""

import dataclasses
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A mistake, and what becomes of it.

    Attributes:
        did: What the user did.
        command: The command as it was typed, without `fr-keras`.
        code: Its exit code.
        line: A pattern of what it says; the page shows what matches, with dots for `.*`.
        todo: What to do.
        before: Makes the mistake in the folder of `files`, if the command alone does not.
        trains: Whether the work behind the preflight of `compress` is run, too.
    """

    did: str
    command: str
    code: int
    line: str
    todo: str
    before: Callable[[pytest.MonkeyPatch], None] | None = None
    trains: bool = False


def _full(patch: pytest.MonkeyPatch) -> None:
    """No file can be written."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", refuse)


def _no_room_for_rows(patch: pytest.MonkeyPatch) -> None:
    """The folder for temporary files is full, as a device is that takes nothing."""
    patch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "w+b"))  # noqa: SIM115
    patch.setattr(tempfile, "tempdir", "/tmp")


def _another_model(patch: pytest.MonkeyPatch) -> None:
    Path("phone").mkdir()
    shutil.copy("model.keras", "phone/model.keras")


_FOUND = r"The network: classification, 4 classes \(integers\), "
_FLAT = (
    r"`data` must be a folder with two or more folders of images, one for each class, .* Received: "
    r"'flat' with the folders \[\] and 160 images beside them, of no class"
)
_CLASSES_TODO = "Put the images of each class into a folder of its own."

MISTAKES = {
    "wrong path of the model": Mistake(
        "The path of the network is misspelled.",
        "compress modle.keras --data bars.npz",
        2,
        "Invalid value for 'MODEL': File 'modle.keras' does not exist",
        "Correct the path.",
    ),
    "wrong path of the data": Mistake(
        "The path of the data is misspelled.",
        "compress model.keras --data phtos",
        2,
        r"--data must be one of .* a \.npz file or a folder of images\. Received: phtos, and there "
        "is no such file or folder",
        "Correct the path.",
    ),
    "broken images": Mistake(
        "A download broke off, and the images are damaged.",
        "compress model.keras --data broken",
        1,
        r"`data` must hold intact images that Keras reads: 'broken/a/\d+\.png' is damaged, .* "
        r"Repair it, or take it out of the folder",
        "Repair the image that is named, or remove it.",
    ),
    "one-hot labels": Mistake(
        "The labels are one-hot rows instead of integers.",
        "compress model.keras --data onehot.npz",
        0,
        r"onehot\.npz: One-hot labels are read as the numbers of their classes\.",
        "Nothing: both forms work.",
    ),
    "logits": Mistake(
        "The network ends in logits, without a softmax.",
        "compress logits.keras --data bars.npz",
        0,
        f"{_FOUND}logits",
        "Nothing: the loss and the score fit what is found.",
    ),
    "pixels divided twice": Mistake(
        "The pixels in the file were divided by 255 twice.",
        "compress model.keras --data twice.npz",
        0,
        rf"{_FOUND}probabilities; pixels in 0\.\.1 .*, "
        "made of pixels that were divided by 255 twice",
        "Nothing: they are multiplied back.",
    ),
    "pixels scaled twice": Mistake(
        "The network divides pixels by 255 itself, and so did the user.",
        "compress rescaling.keras --data scaled.npz",
        0,
        rf"{_FOUND}probabilities; pixels in 0\.\.255 .* in 0\.\.1",
        "Nothing: the network gets pixels of 0 to 255.",
    ),
    "too few classes in calibration": Mistake(
        "The data for calibration lack a class.",
        "convert model.keras few.tflite --quantize int8 --calibration few.npz",
        0,
        "Warning: The calibration rows of 'few' show 3 of the 4 classes of the network: none of "
        "class 3",
        "Give rows of every class; the file is written all the same.",
    ),
    "too few classes to train on": Mistake(
        "The training data for `compress` lack a class.",
        "compress model.keras --data few.npz",
        0,
        "Warning: The training rows of 'few' show 3 of the 4 classes of the network: none of "
        "class 3",
        "Give rows of every class.",
    ),
    "an .h5 file": Mistake(
        "The network is a file in the older format of Keras.",
        "compress model.h5 --data bars.npz",
        0,
        f"{_FOUND}probabilities",
        "Nothing: both formats work.",
    ),
    "existing folder": Mistake(
        "The folder for the results holds a model of the user.",
        "compress model.keras --data bars.npz --out phone",
        2,
        r"`out` holds model\.keras, which no earlier run wrote: choose another folder, or replace "
        r"them \(`overwrite=True`, on the command line `--force`\)\.",
        "Choose another folder.",
        _another_model,
    ),
    "existing file": Mistake(
        "The file is there already.",
        "convert model.keras model.tflite",
        2,
        r"`path` exists and is not replaced: 'model\.tflite'\. Choose another name or allow "
        r"overwriting \(`overwrite=True`, on the command line `--force`\)\.",
        "Choose another name, or add `--force`.",
    ),
    "unknown layer": Mistake(
        "The network has a custom layer.",
        "compress own.keras --data bars.npz",
        1,
        r"own\.keras needs 'Doubled', which Keras does not know here\. Put "
        r"`@keras\.saving\.register_keras_serializable\(\)` on it, and start the command like "
        r'this, with the name of its module for MINE: python -c "import MINE, fr_keras_cli; '
        r'fr_keras_cli\.main\(\)" compress',
        "Do what the line says.",
    ),
    "unknown name of a layer": Mistake(
        "A layer is named that the network does not have.",
        "convert model.keras other.tflite --quantize int8 --calibration bars.npz "
        "--float-layer conv9",
        1,
        r"`float_layers` must be a list of layers of the model: \['conv1', .* "
        r"Received: \('conv9',\)",
        "Choose from the names in the line.",
    ),
    "keep too small": Mistake(
        "`--keep 1` keeps one weight, of which no network can be made; 100 % is `--keep 1.0`.",
        "compress model.keras --data bars.npz --method channels --keep 1",
        0,
        r"channels 1, round 1: failed: `keep` must be at least 162 of 1,800, .* Received: a budget "
        r"of 1\. Keep more",
        "Give a larger `--keep`, or none. The other trials go on, so the exit code is 0.",
        trains=True,
    ),
    "no labels": Mistake(
        "The images lie in one folder, without a folder for each class.",
        "compress model.keras --data flat",
        1,
        _FLAT,
        _CLASSES_TODO,
    ),
    "no labels in calibration": Mistake(
        "Images for calibration lie in one folder, without a folder for each class.",
        "convert model.keras flat.tflite --quantize int8 --calibration flat",
        1,
        _FLAT,
        f"{_CLASSES_TODO} In Python, `fr_keras.tflite.convert` takes images without labels.",
    ),
    "no labels in a benchmark": Mistake(
        "Images for `benchmark` lie in one folder, without a folder for each class.",
        "benchmark model.tflite --data flat",
        1,
        _FLAT,
        f"{_CLASSES_TODO} Without `--data` there is no score.",
    ),
    "grey pictures for a colour network": Mistake(
        "The network expects colour images, and these are grey.",
        "compress colour.keras --data photos",
        0,
        "photos: 160 of 160 images are stored in grey and read in colour",
        "Nothing, if the score is good.",
    ),
    "colour pictures for a grey network": Mistake(
        "The network expects grey images, and these are in colour.",
        "convert model.keras grey.tflite --calibration colours",
        0,
        "colours: 160 of 160 images are stored in colour and read in grey",
        "Nothing, if the score is good.",
    ),
    "other size": Mistake(
        "The images have another size than the network takes.",
        "compress model.keras --data large",
        0,
        r"large: 160 of 160 images are resized from 24x36 to 12x12 \(height x width\)\.",
        "Nothing, if the score is good; crop the images if they must not be stretched.",
    ),
    "empty class": Mistake(
        "The folder of a class is empty.",
        "compress model.keras --data empty",
        1,
        r"`data` must have images .* in every class\. Received: 'empty' with none in \['d'\]\. Put "
        "images there, or remove the folder if the network does not know this class",
        "Add images, or remove the folder.",
    ),
    "disk full": Mistake(
        "The disk is full.",
        "convert model.keras full.tflite",
        1,
        r"'full\.tflite' cannot be written and is left as it was: .*No space left on device",
        "Make room; nothing was lost. `compress` goes on when it is started again.",
        _full,
    ),
    "disk full while reading": Mistake(
        "The folder for temporary files is full.",
        "compress model.keras --data photos",
        1,
        r"`data` must fit in the folder for temporary files, /tmp, which is full after .* rows: "
        "set TMPDIR to a folder with more space",
        "Set `TMPDIR` to a folder with more space.",
        _no_room_for_rows,
    ),
}
