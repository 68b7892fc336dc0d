"""Metrics for segmentation that Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fr_keras")
class Dice(keras.metrics.IoU):
    """The Dice coefficient over all pixels seen, averaged over the chosen classes.

        Dice = 2 * intersection / (pixels of truth + pixels of prediction)

    Takes the same arguments as `keras.metrics.IoU`, the metric for intersection over union:
    `Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False)` scores the foreground of a
    two-class softmax. A class that occurs in neither truth nor prediction does not count.

    Example:

    >>> dice = Dice(num_classes=2, target_class_ids=[1])
    >>> _ = dice.update_state([0, 1, 1, 1], [0, 0, 1, 1])
    >>> round(float(dice.result()), 4)
    0.8
    """

    def result(self):
        counts = ops.cast(self.total_cm, self.dtype)
        both = ops.take(ops.diagonal(counts), self.target_class_ids)
        either = ops.take(ops.sum(counts, 0) + ops.sum(counts, 1), self.target_class_ids)
        present = ops.cast(either > 0, self.dtype)
        shares = ops.divide_no_nan(2 * both, either)
        return ops.divide_no_nan(ops.sum(shares), ops.sum(present))
