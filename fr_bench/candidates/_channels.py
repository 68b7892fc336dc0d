"""The candidate for structured pruning."""

from fr_bench.candidates._shrunken import Shrunken
from fr_keras import methods


class ChannelPruning(Shrunken):
    """Removes the channels of a trained network that matter least, and trains on."""

    description = (
        "The channels that tell least about the classes are removed from a trained network, which "
        "then trains on (information gain, as in EasiEdge)."
    )
    seen = 1_000

    def shrunken(self, model, rows, regime):
        scores = methods.rank(model, rows, "information")
        return methods.prune(model, scores, regime.keep, "weights")
