"""Trains a network with frequency regularization by a recipe, and writes it to a file."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
from rich.progress import Progress

from fr_archive.files import check_target, replacing
from fr_bench import recipes
from fr_bench._architecture import check_same
from fr_bench._backup import Backup, RowOrder
from fr_bench._crops import Crops, tiled
from fr_bench.data import Dataset
from fr_bench.missing import warn_of_missing
from fr_bench.preflight import RANGES, Preflight, preflight
from fr_bench.recipes import Recipe
from fr_bench.tasks import Scored
from fr_bench.training import EpochProgress, Regime, answers, fit, truncation
from fr_keras.models import budget
from fr_keras.models.summaries import summary
from fr_keras.models.twins import regularize
from fr_keras.models.walk import frequency_layers, named_kernels, rebuild

_KEEP = 0.01


@dataclasses.dataclass(frozen=True)
class Training:
    """What `train` did.

    Attributes:
        model: The FR model.
        before: What was found out about the network before it was trained.
        validation: The score of the FR model on the validation rows.
        test: Its score on the test rows.
        history: Metrics by epoch, as Keras names them, over all starts of this training.
        out: The file with the model.
        recipe: The file with the recipe.
    """

    model: keras.Model
    before: Preflight
    validation: Scored
    test: Scored
    history: dict[str, list[float]]
    out: Path
    recipe: Path

    def to_dict(self) -> dict:
        """The result as plain data."""
        return {
            "model": str(self.out),
            "recipe": str(self.recipe),
            "task": str(self.before.task),
            "metric": self.before.task.metric_name,
            "scaling": self.before.scaling,
            "before": dataclasses.asdict(self.before.score),
            "validation": dataclasses.asdict(self.validation),
            "test": dataclasses.asdict(self.test),
            "drawn": list(self.before.data.drawn),
            "summary": summary(self.model).to_dict(),
            "history": self.history,
        }


def train(
    model: keras.Model,
    data: Dataset,
    out: str | Path,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    *,
    resume: bool = False,
    tensorboard: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Training:
    """Trains the FR twin of a network, and saves it with the recipe that was used.

    The recipe that is saved also has what was found out: the range of pixels, and how many
    coefficients are kept in how many epochs.

    After each epoch the state is kept in a folder beside the output, which is removed at the end.
    A training that was stopped goes on from there; the random state of dropout does not.

    Args:
        model: A built Keras model: a plain one, whose FR twin is trained, or an FR model, which
            trains on. It is not changed.
        data: The data set; see `fr_bench.data.load`.
        out: The `.keras` file to write. Beside it comes the recipe, as `.recipe.toml`. A network of
            another architecture is never replaced.
        recipe: How it is trained. Its `model`, `data`, `validation` and `image_size` are not read:
            they say where `model` and `data` came from.
        resume: Whether a training that was stopped goes on. Without one it begins.
        tensorboard: A folder for the logs of `keras.callbacks.TensorBoard`.
        overwrite: Whether to replace the files, and to forget a training that was stopped.
        progress: Shows a bar that advances with the epochs.
        say: Is called with a line about what was found out.

    Raises:
        ValueError: If an argument is out of range, or the data do not fit the network.
        FileExistsError: If a file exists and must not be replaced, or a training was stopped.
        OSError: If the disk is full.
        ImportError: If `tensorboard` is given without that extra.

    Example:

    >>> import tempfile
    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> network = training.network(digits, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = train(network, digits, f"{folder}/m.keras", Recipe(epochs=1, keep=776))
    >>> found.history["kept"], found.test.n
    ([776.0], 360)
    """
    out = check_output(out, overwrite)
    if out.exists():
        check_same(out, model)
    backup = Backup(out, recipe, resume, overwrite)
    callbacks = [] if tensorboard is None else [_tensorboard(tensorboard)]
    squares = data if recipe.crop is None else tiled(data, recipe.crop)
    found = preflight(model, squares, scale=recipe.scale, loss=recipe.loss, metric=recipe.metric)
    warn_of_missing(found.data)
    say(f"The network: {found}")
    twin, regime = prepared(model, recipe)
    batches = _batches(data, found, recipe)
    restoring, log = backup.begin(twin)
    if resume:
        say("The training goes on." if backup.resumed else "No training was stopped: it begins.")
    bar = EpochProgress(progress or Progress(disable=True), "FR", regime.epochs, log.begun)
    # Keras' backup comes behind the truncation, whose state it restores.
    callbacks = [RowOrder(batches), truncation(regime), restoring, log, bar, *callbacks]
    try:
        fit(twin, found.data, regime, tuple(callbacks), batches=batches)
    except BaseException:
        if not log.begun:
            backup.remove()  # there is nothing to go on with
        raise
    with replacing(out, overwrite) as path:
        twin.save(path)
    beside = recipe_path(out)
    recipes.write(_used(recipe, regime, found), beside, overwrite)
    backup.remove()
    return Training(twin, found, *_scores(twin, found), log.history, out, beside)


def recipe_path(out: Path) -> Path:
    """The file beside an output that holds its recipe."""
    return out.with_suffix(".recipe.toml")


def check_output(out: str | Path, overwrite: bool) -> Path:
    """Checks before the work that the files of a training may be written.

    Raises:
        ValueError: If it is no `.keras` file.
        OSError: If the folder does not exist, or a file does and must not be replaced.
    """
    out = Path(out)
    if out.suffix != ".keras":
        raise ValueError(f"`out` must end in .keras. Received: '{out}'")
    check_target(recipe_path(check_target(out, overwrite)), overwrite)
    return out


def prepared(model: keras.Model, recipe: Recipe) -> tuple[keras.Model, Regime]:
    """Returns the FR model to train, and how.

    Raises:
        ValueError: If the recipe does not fit the network.
    """
    keep = recipe.keep
    if frequency_layers(model):
        given = [key for key in ("axis_weights", "start") if getattr(recipe, key) is not None]
        if given:
            raise ValueError(
                f"`{given[0]}` must be left out, because the network is an FR model already. "
                f"Received: {getattr(recipe, given[0])}"
            )
        twin = rebuild(model, lambda layer: None)
        keep = {n: one.kept for n, one in named_kernels(twin).items()} if keep is None else keep
    else:
        twin = regularize(model, axis_weights=recipe.axis_weights, start=recipe.start)
        keep = _KEEP if keep is None else keep
    named = named_kernels(twin)
    counts = budget.targets(named, keep, recipe.floors, recipe.sharing)
    above = [name for name, count in counts.items() if count > named[name].kept]
    if above:
        raise ValueError(
            "`keep` must be at most what a layer has, for coefficients are only cut: "
            f"'{above[0]}' has {named[above[0]].kept:,}. Received: {counts[above[0]]:,}"
        )
    _check_loss(recipe.loss)
    regime = recipe.regime(keep)
    truncation(regime)  # refuses a schedule that there is not
    return twin, regime


def _used(recipe: Recipe, regime: Regime, found: Preflight) -> Recipe:
    """The recipe with what was left to be found out."""
    ranges = {(factor / 255, offset): name for name, (factor, offset) in RANGES.items()}
    return dataclasses.replace(
        recipe,
        keep=regime.keep,
        truncation_epochs=regime.truncation_epochs,
        scale=ranges.get(found.data.pixels),
    )


def _check_loss(name: str | None) -> None:
    try:
        keras.losses.get(name)
    except ValueError as error:
        raise ValueError(
            f"`loss` must be the name of a loss of Keras. Received: {name!r}"
        ) from error


def _batches(data: Dataset, found: Preflight, recipe: Recipe) -> keras.utils.PyDataset:
    if recipe.crop is None:
        return found.data.train.batches(recipe.batch_size, recipe.seed)
    scale, offset = found.data.normalization
    y = found.task.prepared(data.train.y)
    whole = dataclasses.replace(data.train, y=y, scale=scale, offset=offset)
    return Crops(whole, recipe.crop, recipe.batch_size, recipe.steps, recipe.seed, recipe.turns)


def _tensorboard(folder: str | Path) -> keras.callbacks.Callback:
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "`tensorboard` needs the extra of that name: pip install 'fr-keras[tensorboard]' "
            f"({error})"
        ) from error
    return keras.callbacks.TensorBoard(str(folder))


def _scores(model: keras.Model, found: Preflight) -> tuple[Scored, Scored]:
    return tuple(
        found.task.score(split.y, answers(model, split), split.sample_weight)
        for split in (found.data.validation, found.data.test)
    )
