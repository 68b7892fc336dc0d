"""The candidates of a comparison, by name: frequency regularization and the other methods."""

from fr_bench.candidates._candidate import Candidate, Need, Trained
from fr_bench.candidates._channels import ChannelPruning
from fr_bench.candidates._choice import check_choice, chosen_candidates
from fr_bench.candidates._elm import Elm
from fr_bench.candidates._freqnet import FreqNet
from fr_bench.candidates._frequency import FrequencyRegularization, OrderedFrequency
from fr_bench.candidates._levels import Ternary
from fr_bench.candidates._low_rank import Tucker
from fr_bench.candidates._narrow import Narrow
from fr_bench.candidates._plain import Plain
from fr_bench.candidates._pruning import MagnitudePruning
from fr_bench.candidates._table import all_candidates, register_candidate

#: The candidates that are compared by default, whatever else is installed.
USUAL: dict[str, Candidate] = {
    "plain": Plain(),
    "FR": FrequencyRegularization(),
    "pruning": MagnitudePruning(),
    "narrow": Narrow(),
}
for _name, _one in {
    **USUAL,
    "FR-ordered": OrderedFrequency(),
    "channels": ChannelPruning(),
    "elm": Elm(),
    "freqnet": FreqNet(),
    "ternary": Ternary(),
    "tucker": Tucker(),
}.items():
    register_candidate(_name, _one)

__all__ = [
    "USUAL",
    "Candidate",
    "Need",
    "Trained",
    "all_candidates",
    "check_choice",
    "chosen_candidates",
    "register_candidate",
]
