"""`SeededSigns`: an initializer whose weights are known from a seed."""

import math

import keras
import numpy as np

import fr_archive

_SEEDS = 1 << 64


@keras.saving.register_keras_serializable(package="fr_keras")
class SeededSigns(keras.initializers.Initializer):
    """Makes weights of `+scale` and `-scale` from the raw bits of a seed.

    The bits are those of Philox4x64-10 with the seed as the low word of its key, the high word 0,
    and counters from 1: the stream of `numpy.random.Philox(key=seed).random_raw()`. Weight `i`, in
    the order of memory, is `+scale` if bit `i % 64` of word `i // 64` is 1, counted from the lowest
    bit, and `-scale` otherwise. So every program that knows Philox makes the same weights, on every
    backend, and needs no more than a seed and a scale for them. An archive holds no more of them.

    Give it to a layer with `trainable=False`, whose weights stay what the seed says.

    Args:
        seed: A whole number from 0 to 2^64 - 1.
        scale: The magnitude of all weights, above 0, rounded to float32.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> SeededSigns(seed=1, scale=0.5)((2, 3)).numpy()
    array([[ 0.5,  0.5,  0.5],
           [ 0.5,  0.5, -0.5]], dtype=float32)

    Source of the generator: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1,
    2, 3", SC 2011.
    """

    def __init__(self, seed: int, scale: float = 1.0):
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
            raise ValueError(f"`seed` must be an int from 0 to 2^64 - 1. Received: {seed!r}")
        number = isinstance(scale, (int, float, np.floating)) and not isinstance(scale, bool)
        with np.errstate(over="ignore"):
            rounded = float(np.float32(scale)) if number else math.nan
        if not 0 < rounded < math.inf:
            raise ValueError(
                f"`scale` must be a number above 0 that float32 can hold. Received: {scale!r}"
            )
        self.seed = seed
        self.scale = rounded

    def __call__(self, shape, dtype=None):
        """Returns a tensor of that shape, in Keras' default type if there is no other."""
        values = self.values(tuple(shape))
        return keras.ops.convert_to_tensor(values, dtype or keras.config.floatx())

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        """Returns the weights as a float32 array."""
        signs = fr_archive.Signs(self.seed, self.scale, math.prod(shape), columns=1)
        return signs.reals().reshape(shape)

    def get_config(self) -> dict:
        return {"seed": self.seed, "scale": self.scale}
