"""How frequency regularization, and each method beside it, stands in a comparison; by name."""

from fr_bench.candidates._candidate import Candidate, Need, Trained
from fr_bench.candidates._frequency import FrequencyRegularization
from fr_bench.candidates._plain import Plain
from fr_bench.candidates._pruning import MagnitudePruning
from fr_bench.candidates._table import all_candidates, register_candidate

#: What is compared where nobody asks for others, whatever is installed beside it.
USUAL: dict[str, Candidate] = {
    "plain": Plain(),
    "FR": FrequencyRegularization(),
    "pruning": MagnitudePruning(),
}
for _name, _one in USUAL.items():
    register_candidate(_name, _one)

__all__ = [
    "USUAL",
    "Candidate",
    "Need",
    "Trained",
    "all_candidates",
    "register_candidate",
]
