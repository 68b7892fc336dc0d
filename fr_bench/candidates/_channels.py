"""The candidate for structured pruning."""

from fr_bench.candidates._shrunken import Shrunken
from fr_bench.tasks import Head, Kind
from fr_keras import methods


class ChannelPruning(Shrunken):
    """Removes the channels of a trained network that matter least, and trains on."""

    description = (
        "The channels that tell least about the outputs are removed from a trained network, which "
        "then trains on (information gain, as in EasiEdge)."
    )
    seen = 1_000

    def shrunken(self, model, rows, task, regime):
        outputs = [_said(head) for head in task.heads]
        scores = methods.rank(model, rows, "information", outputs=outputs)
        return methods.prune(model, scores, regime.keep, "weights")


def _said(head: Head) -> str:
    """What an output is, as `rank` calls it."""
    if head.kind is Kind.NUMBERS:
        return "numbers"
    return "classes" if head.kind in (Kind.CLASSES, Kind.MASKS) else "labels"
