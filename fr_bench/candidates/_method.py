"""What every method of a comparison does."""

import abc
import dataclasses

import keras
from rich.progress import Progress

from fr_bench.data import Dataset
from fr_bench.training import Recipe


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a method made of a network.

    Attributes:
        model: A Keras model that `fr_keras.tflite.convert` takes.
        kept: Kernel weights, or coefficients, that are not zero.
        history: Metrics by epoch, as Keras names them.
    """

    model: keras.Model
    kept: int
    history: dict[str, list[float]]


class Method(abc.ABC):
    """A way to train a network and make it small. A further method is one subclass."""

    #: Whether the result depends on `Recipe.keep`; if not, one training serves every budget.
    has_budget = True

    def check_installed(self) -> None:  # noqa: B027 - most methods need no extra
        """Raises an ImportError that names the extra, if the method could not run."""

    @abc.abstractmethod
    def train(
        self, model: keras.Model, data: Dataset, recipe: Recipe, progress: Progress, title: str
    ) -> Trained:
        """Trains a copy of `model`, from its present weights, and leaves `model` as it is.

        Args:
            model: A built plain Keras classifier.
            data: Its train split is fitted, its validation split followed; the test split is
                not touched.
            recipe: Epochs, learning rate, seed, and the budget.
            progress: Gets a bar that moves with the epochs.
            title: Name of that bar.

        Raises:
            ValueError: If the method cannot take the model or the budget.
        """
