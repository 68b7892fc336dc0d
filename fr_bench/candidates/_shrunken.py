"""What candidates share that make a trained network smaller at once, and train it on."""

import abc
import time

import keras

from fr_bench.candidates._candidate import Candidate, Need, Trained
from fr_bench.data import Arrays
from fr_bench.tasks import Task
from fr_bench.training import EpochProgress, Regime, classification, fit
from fr_keras.models.summaries import summary


class Shrunken(Candidate):
    """Makes a trained network smaller by what it does on some rows, and trains on.

    Attributes:
        seen: How many training rows `shrunken` sees.
    """

    needs = (Need.DATA, Need.LABELS, Need.TRAINED)
    seen: int

    @abc.abstractmethod
    def shrunken(self, model: keras.Model, rows: Arrays, task: Task, regime: Regime) -> keras.Model:
        """Returns the smaller network; `model` is not changed.

        Args:
            model: The trained network.
            rows: Inputs of some training rows.
            task: What the network solves.
            regime: Its budget is that of the smaller network.
        """

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        rows, begin = data.train.sample(self.seen), time.perf_counter()
        small = self.shrunken(model, rows, data.task or classification(data), regime)
        searched = time.perf_counter() - begin
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(small, data, regime, (bar,), model)
        kept = summary(small).to_dict()["kernel_weights"]
        seen = fitted.rows + min(self.seen, len(data.train))
        return Trained(small, kept, fitted.history, fitted.seconds + searched, seen)
