"""The methods that frequency regularization is compared with, and itself, by name."""

from fr_keras.baselines._method import Method, Trained
from fr_keras.baselines.frequency import FrequencyRegularization
from fr_keras.baselines.plain import Plain
from fr_keras.baselines.pruning import MagnitudePruning

#: Every method, by the name that `fr_keras.compare` and the command line take.
METHODS: dict[str, Method] = {
    "plain": Plain(),
    "FR": FrequencyRegularization(),
    "pruning": MagnitudePruning(),
}

__all__ = ["METHODS", "Method", "Trained"]
