"""The interface of a candidate: what it says about itself, and how it trains."""

import abc
import dataclasses
import enum
from collections.abc import Collection

import keras
from rich.progress import Progress

from fr_bench.data import Dataset
from fr_bench.training import Regime
from fr_keras.tflite import MODES


class Need(enum.StrEnum):
    """Something that a candidate cannot do without."""

    DATA = "data"
    LABELS = "labels"
    TRAINED = "a trained network"


@dataclasses.dataclass(frozen=True)
class Trained:
    """The network that a candidate made, and what that took.

    Attributes:
        model: A Keras model that `fr_keras.tflite.convert` takes, plain or FR.
        kept: The number of kernel weights, or coefficients, that are not zero.
        history: Metrics by epoch, as Keras names them; empty if nothing is trained.
        seconds: Seconds of training and searching on this machine. They include validation, but
            not starting programs and copying data.
        rows: Training rows seen in training and searching, each counted as often as it was seen.
    """

    model: keras.Model
    kept: int
    history: dict[str, list[float]]
    seconds: float
    rows: int


class Candidate(abc.ABC):
    """How a method takes part in a comparison: how it trains, with which budget, in which modes.

    The algorithm itself knows nothing of this; it only takes a model. To add a candidate, write a
    subclass and give an instance of it to `fr_bench.register_candidate`.
    """

    #: One line: what the method does to the network, and its source.
    description: str
    #: What the candidate needs.
    needs: Collection[Need] = (Need.DATA, Need.LABELS)
    #: Whether the result depends on `Regime.keep`; if not, one training serves every budget.
    has_budget = True
    #: The quantization modes that make sense for its files, out of `fr_keras.tflite.MODES`.
    modes: Collection[str] = MODES

    def check_installed(self) -> None:  # noqa: B027 - most candidates need no extra
        """Raises an ImportError that names the missing extra if the candidate cannot run."""

    def holders(self, keep: int | float) -> Collection[keras.callbacks.Callback] | None:
        """Callbacks under which the trained network stays what it is while it trains on.

        `fr_bench.grid` trains it on with the rounding of its int8 file, as
        `fr_keras.tflite.quantization_aware` makes it.

        Args:
            keep: The budget with which it was trained.

        Returns:
            None where further training would undo the method; by default no callbacks, which is
            right for networks that are smaller by their shapes.
        """
        return ()

    @abc.abstractmethod
    def train(
        self, model: keras.Model, data: Dataset, regime: Regime, progress: Progress, title: str
    ) -> Trained:
        """Makes a smaller network from a copy of `model`; `model` itself stays as it is.

        Args:
            model: A built plain Keras network. Training starts from its current weights.
            data: The data set. The train split is for training and the validation split for
                validation; the test split must not be touched.
            regime: Epochs, learning rate, seed, and the budget.
            progress: Shows a bar that advances with the epochs.
            title: The title of that bar.

        Raises:
            ValueError: If the candidate cannot take the model or the budget.
        """
