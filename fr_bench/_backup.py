"""What a training leaves behind each epoch, so that it goes on after it was stopped."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras

from fr_archive.files import write_bytes
from fr_bench.recipes import Recipe, read, write

# The states of a training that are on the disk with its output, and the numbers that each has for
# a weight: itself, and two of Adam.
_COPIES, _NUMBERS = 3, 3
_RECIPE, _HISTORY, _EPOCHS = "recipe.toml", "history.json", "epochs"


class Backup:
    """The folder beside the output of a training.

    Args:
        out: The output.
        recipe: The recipe of the training.
        resume: Whether to go on from what the folder holds, if it holds anything.
        overwrite: Whether to remove what another training left there.

    Raises:
        FileExistsError: If the folder holds a training and `resume` and `overwrite` are false, or
            one with another recipe.
    """

    def __init__(self, out: Path, recipe: Recipe, resume: bool, overwrite: bool):
        self.folder = out.with_suffix(".backup")
        self._recipe = recipe
        is_there = (self.folder / _HISTORY).exists()  # from the first epoch on
        self.resumed = resume and is_there
        if self.resumed:
            self._check_recipe()
        elif is_there and not overwrite:
            raise FileExistsError(
                "`out` has a training beside it that was stopped: go on with it (`resume=True`, on "
                "the command line `--resume`), or begin again (`overwrite=True`, `--force`). "
                f"Received: '{self.folder}'"
            )

    def _check_recipe(self) -> None:
        before = dataclasses.asdict(read(self.folder / _RECIPE))
        changed = [
            k for k, v in dataclasses.asdict(self._recipe).items() if not _same(v, before[k])
        ]
        if changed:
            raise FileExistsError(
                "`resume` must be given with the recipe of the training that was stopped. "
                f"Received: another {', '.join(changed)} than in '{self.folder / _RECIPE}'"
            )

    def begin(self, model: keras.Model) -> tuple[keras.callbacks.Callback, "EpochLog"]:
        """Makes the folder, and returns the callbacks that fill it.

        Keras restores weights, optimizer and epoch; the state of dropout is not among them.

        Args:
            model: The network that is trained.

        Raises:
            OSError: If the disk has no room for two states and the output.
        """
        self._check_room(model)
        if not self.resumed:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            write(self._recipe, self.folder / _RECIPE)
        # It stays until the output is written, and holds the last epoch but one, too: the last may
        # be half written.
        restoring = keras.callbacks.BackupAndRestore(
            self.folder / _EPOCHS, double_checkpoint=True, delete_checkpoint=False
        )
        return restoring, EpochLog(self.folder / _HISTORY)

    def _check_room(self, model: keras.Model) -> None:
        # HDF5 ends the process on a full disk, so this comes before the training.
        needed = _COPIES * _NUMBERS * 4 * model.count_params()
        free = shutil.disk_usage(self.folder.parent).free
        if free < needed:
            raise OSError(
                f"`out` must lie on a disk with room for two states of the training and the "
                f"output, {needed:,} bytes: make room in '{self.folder.parent}', or choose another "
                f"folder. Received: {free:,} free bytes"
            )

    def remove(self) -> None:
        """Removes the folder, once the output is written."""
        shutil.rmtree(self.folder)


def _same(value: object, other: object) -> bool:
    """Whether two values of a recipe are one; TOML knows no tuples."""
    return json.dumps(value) == json.dumps(other)


class EpochLog(keras.callbacks.Callback):
    """The history of a training over all its starts.

    Args:
        path: The file in which it is kept.
    """

    def __init__(self, path: Path):
        super().__init__()
        self._path = path
        self._epochs = json.loads(path.read_text()) if path.exists() else []

    def on_epoch_end(self, epoch, logs=None):
        # An epoch that ended just before a stop comes again.
        line = {name: float(value) for name, value in (logs or {}).items()}
        self._epochs = [*self._epochs[:epoch], line]
        write_bytes(self._path, json.dumps(self._epochs).encode(), overwrite=True)

    @property
    def begun(self) -> int:
        """The number of epochs that are done."""
        return len(self._epochs)

    @property
    def history(self) -> dict[str, list[float]]:
        """Metrics by epoch, as Keras names them."""
        names = self._epochs[0] if self._epochs else {}
        return {name: [epoch[name] for epoch in self._epochs] for name in names}


class RowOrder(keras.callbacks.Callback):
    """Brings batches to the order of rows of the epoch with which a training goes on."""

    def __init__(self, batches: keras.utils.PyDataset):
        super().__init__()
        self._batches, self._begun = batches, False

    def on_epoch_begin(self, epoch, logs=None):
        for _ in range(0 if self._begun else epoch):
            self._batches.on_epoch_end()
        self._begun = True
