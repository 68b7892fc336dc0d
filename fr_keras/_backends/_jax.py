"""What Keras has no function for, in JAX. The functions are those of `_tensorflow`."""

from collections.abc import Callable, Sequence

import jax
import numpy as np


def is_eager(x) -> bool:
    return not isinstance(x, jax.core.Tracer)


def values(x) -> np.ndarray | None:
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def exactly(product: Callable, x, matrix: np.ndarray, adjoint: Callable):
    # The precision is a property of each operation, so the gradient has it too.
    with jax.default_matmul_precision("highest"):
        return product(x, jax.numpy.asarray(matrix))


def dct(x):
    return jax.scipy.fft.dct(x, norm="ortho")


def idct(x):
    return jax.scipy.fft.idct(x, norm="ortho")


def pullback(function: Callable, inputs: Sequence) -> tuple:
    return jax.vjp(function, *inputs)


def with_gradient(function: Callable, rule: Callable, inputs: Sequence):
    # Unlike that of `jax.custom_gradient`, this rule sees values.
    joined = jax.custom_vjp(function)
    joined.defvjp(
        lambda *inputs: (function(*inputs), inputs),
        lambda inputs, above: tuple(rule(inputs, above)),
    )
    return joined(*inputs)
