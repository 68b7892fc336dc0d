"""The methods that frequency regularization is compared with, and itself, by name."""

from fr_bench.candidates._method import Method, Trained
from fr_bench.candidates.frequency import FrequencyRegularization
from fr_bench.candidates.plain import Plain
from fr_bench.candidates.pruning import MagnitudePruning

#: Every method, by the name that `fr_bench.compare` and the command line take.
METHODS: dict[str, Method] = {
    "plain": Plain(),
    "FR": FrequencyRegularization(),
    "pruning": MagnitudePruning(),
}

__all__ = ["METHODS", "Method", "Trained"]
