"""The candidate for low rank."""

from fr_bench.candidates._shrunken import Shrunken
from fr_keras import methods


class Tucker(Shrunken):
    """Factors the kernels of a trained network, and trains on."""

    description = (
        "The kernels of a trained network become chains of smaller ones with nearly the same "
        "outputs, which then train on (Kim et al. 2016, arXiv 1511.06530)."
    )
    seen = 256

    def shrunken(self, model, rows, task, regime):
        return methods.tucker(model, regime.keep, rows)
