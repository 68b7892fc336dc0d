"""What every candidate of a comparison says of itself and does."""

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
    """What a candidate cannot do without."""

    DATA = "data"
    LABELS = "labels"
    TRAINED = "a trained network"


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a candidate made of a network, and what that took.

    Attributes:
        model: A Keras model that `fr_keras.tflite.convert` takes, plain or FR.
        kept: Kernel weights, or coefficients, that are not zero.
        history: Metrics by epoch, as Keras names them; empty where nothing is trained.
        seconds: Of training and searching on this machine, validation included; not of starting
            programs and copying data.
        rows: Training rows that training and searching saw, each as often as it was seen.
    """

    model: keras.Model
    kept: int
    history: dict[str, list[float]]
    seconds: float
    rows: int


class Candidate(abc.ABC):
    """How a method stands in a comparison: how it is trained, with what budget, in which modes.

    The method itself, where it is an algorithm of its own, knows none of this: it takes a model.
    A further candidate is a subclass, of which `fr_bench.register_candidate` takes an instance.
    """

    #: One line: what is done to the network, and the source.
    description: str
    #: What it must be given.
    needs: Collection[Need] = (Need.DATA, Need.LABELS)
    #: Whether the result depends on `Regime.keep`; if not, one training serves every budget.
    has_budget = True
    #: The quantization modes that make sense for its files, out of `fr_keras.tflite.MODES`.
    modes: Collection[str] = MODES

    def check_installed(self) -> None:  # noqa: B027 - most candidates need no extra
        """Raises an ImportError that names the extra, if the candidate could not run."""

    @abc.abstractmethod
    def train(
        self, model: keras.Model, data: Dataset, regime: Regime, progress: Progress, title: str
    ) -> Trained:
        """Makes a smaller network of a copy of `model`, and leaves `model` as it is.

        Args:
            model: A built plain Keras classifier. What is trained begins at its present weights.
            data: Its train split is fitted, its validation split followed; the test split is
                not touched.
            regime: Epochs, learning rate, seed, and the budget.
            progress: Gets a bar that moves with the epochs.
            title: Name of that bar.

        Raises:
            ValueError: If the candidate cannot take the model or the budget.
        """
