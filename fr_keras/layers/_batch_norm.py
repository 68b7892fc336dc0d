"""Batch normalization after a factored layer, computed from the bottleneck of that layer."""

import keras
from keras import ops

from fr_keras.layers._factored import LastStage


@keras.saving.register_keras_serializable(package="fr_keras")
class FRBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that never reads the wide tensor it normalizes.

    The output channels `y = z B + b` of a factored layer are mixtures of its few bottleneck
    channels `z`. Their statistics follow from those of `z`,

        mean(y) = mean(z) B + b,    var(y)_o = (B^T cov(z) B)_oo,

    and normalizing them only scales the columns of `B` and moves `b`. So the statistics cost next
    to nothing, and the wide tensor is written once, already normalized, instead of being read and
    written for each step of the formula.

    Takes the same arguments in the same order, and has the same weights and, up to rounding, the
    same outputs. After any other layer, with a mask, with synchronization or with renormalization
    it computes as the plain layer does.

    Example:

    >>> FRBatchNormalization()(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 9, 9, 4])
    """

    def call(self, inputs, training=None, mask=None):
        stage = LastStage.of(inputs)
        last = self.axis in (-1, len(inputs.shape) - 1)
        if stage is None or mask is not None or self.synchronized or self.renorm or not last:
            return super().call(inputs, training=training, mask=mask)
        weights = (self.moving_mean, self.moving_variance, self.gamma, self.beta)
        mean, variance, gamma, beta = (
            None if weight is None else ops.cast(weight, "float32") for weight in weights
        )
        if training and self.trainable:
            before, (mean, variance) = (mean, variance), stage.moments()
            for moving, old, new in zip(weights[:2], before, (mean, variance), strict=True):
                moving.assign(old * self.momentum + new * (1.0 - self.momentum))
        scale = ops.rsqrt(variance + self.epsilon)
        if gamma is not None:
            scale = scale * gamma
        offset = ((0.0 if stage.bias is None else stage.bias) - mean) * scale
        if beta is not None:
            offset = offset + beta
        return ops.cast(stage.scaled(scale, offset), self.compute_dtype)

    def plain(self) -> keras.layers.BatchNormalization:
        """Returns the plain layer with the same arguments, not built."""
        return keras.layers.BatchNormalization.from_config(self.get_config())
