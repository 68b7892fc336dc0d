"""The layers of FreqNet without the transforms between them."""

import dataclasses

import numpy as np

from fr_keras.spectral import cosine_matrix

EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Taken:
    """The frequencies that a layer reads.

    Attributes:
        channels: Those that are channels.
        constants: For each frequency its value, if it is constant and read, or 0.
        one: Whether there is one more channel that is 1.
    """

    channels: np.ndarray
    constants: np.ndarray
    one: bool

    @property
    def width(self) -> int:
        return len(self.channels) + self.one

    def columns(self, matrix: np.ndarray) -> np.ndarray:
        """From weights `(out, frequencies, ...)` those of the channels, `(out, width, ...)`."""
        found = matrix[:, self.channels]
        if not self.one:
            return found
        constant = np.tensordot(self.constants, matrix, (0, 1))
        return np.concatenate([found, constant[:, None]], 1)

    def of_channels(self, values: np.ndarray, one: float) -> np.ndarray:
        """From values by frequency those of the channels; `one` is that of the channel of ones."""
        found = values[self.channels]
        return np.concatenate([found, np.full((1, *values.shape[1:]), one)]) if self.one else found


@dataclasses.dataclass(frozen=True)
class FreqNetLayer:
    """A convolution and its normalization.

    Attributes:
        block: Number of its block.
        number: Number in its block.
        ends: Whether it is the last one of its block.
        coefficients: `(out, in, 3, 3)`, zero where they are cut.
        norm: Gamma, beta, mean and variance.
    """

    block: int
    number: int
    ends: bool
    coefficients: np.ndarray
    norm: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    def taken(self, follower: np.ndarray, carried: bool) -> Taken:
        """What the coefficients of the next layer read; `carried`: constants need a channel."""
        made = np.any(self.coefficients, (1, 2, 3))
        read = np.any(follower, tuple(axis for axis in range(follower.ndim) if axis != 1))
        gamma, beta, mean, variance = self.norm
        value = np.maximum(beta - gamma * mean / np.sqrt(variance + EPSILON), 0.0)
        constants = np.where(read & ~made, value, 0.0)
        channels = np.flatnonzero(made & read)
        one = not len(channels) or (carried and bool(constants.any()))
        return Taken(channels, constants, one)

    def kernel(self, given: Taken | None, taken: Taken) -> np.ndarray:
        """The kernel `(3, 3, in, out)`; nothing is given to the first layer but pixels."""
        space, number = inverse(3), self.coefficients.shape[1]
        kernel = np.einsum("oiuv,uy,vx->oiyx", self.coefficients, space, space)
        if given is None:
            kernel = np.einsum("ofyx,fi->oiyx", kernel, inverse(number))
        else:
            kernel = given.columns(kernel * factors(number)[:, None, None])
        return taken.of_channels(kernel, 0.0).transpose(2, 3, 1, 0)

    def normalization(self, taken: Taken) -> list[np.ndarray]:
        """Gamma, beta, mean and variance, with which the channel of ones is 1."""
        parts = zip(self.norm, (1.0, 1.0, 0.0, 1.0), strict=True)
        return [taken.of_channels(values, one) for values, one in parts]


def inverse(n: int) -> np.ndarray:
    """The inverse of the DCT-II whose cosines have the factor 2, `(frequencies, positions)`."""
    return cosine_matrix(n).astype(np.float64) * np.sqrt(factors(n))[:, None]


def factors(n: int) -> np.ndarray:
    """The squared norms of the rows of that inverse."""
    return np.where(np.arange(n) == 0, 1 / (4 * n), 1 / (2 * n))
