"""What Keras has no function for, in TensorFlow."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


def is_eager(x: tf.Tensor) -> bool:
    """Returns whether a tensor has values, and is not part of a graph that is made."""
    return tf.executing_eagerly()


def values(x: tf.Tensor) -> np.ndarray | None:
    """Returns the values of a small tensor, or `None` where they are not known or cost time."""
    return tf.convert_to_tensor(x).numpy() if tf.executing_eagerly() else None


def exactly(product: Callable, x: tf.Tensor, matrix: np.ndarray, adjoint: Callable) -> tf.Tensor:
    """Returns `product(x, matrix)` in float32, also where a GPU would round the operands to TF32.

    TF32 has 10 bits of mantissa. There the product is the sum of three products whose operands
    lose no precision that matters.

    Args:
        product: A function that multiplies a tensor and a matrix.
        x: A float32 tensor.
        matrix: A float32 matrix.
        adjoint: The gradient with respect to `x`, as a function of that of the product.
    """
    if not _rounds_to_tf32():
        return product(x, tf.constant(matrix))

    @tf.custom_gradient  # that of `tf.matmul` would round again
    def exact(x):
        (high, low), (matrix_high, matrix_low) = tf32_split(x), tf32_split(tf.constant(matrix))
        rest = product(low, matrix_high) + product(high, matrix_low)
        return rest + product(high, matrix_high), adjoint

    return exact(x)


def _rounds_to_tf32() -> bool:
    """Whether a float32 product may be rounded to TF32 here, as on NVIDIA's GPUs since Ampere."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    return allowed and bool(tf.config.get_visible_devices("GPU"))


def tf32_split(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a float32 tensor without the last 13 of its 23 bits of mantissa, and the rest.

    Example:

    >>> high, low = tf32_split(tf.constant([1.0, 1 / 3]))
    >>> high.numpy().tolist(), (high + low).numpy().tolist()
    ([1.0, 0.333251953125], [1.0, 0.3333333432674408])
    """
    bits = tf.bitwise.bitwise_and(tf.bitcast(x, tf.uint32), tf.constant(0xFFFFE000, tf.uint32))
    high = tf.bitcast(bits, tf.float32)
    return high, x - high


def dct(x: tf.Tensor) -> tf.Tensor:
    """Returns the orthonormal DCT-II along the last axis, by an FFT."""
    return tf.signal.dct(x, norm="ortho")


def idct(x: tf.Tensor) -> tf.Tensor:
    """Returns the inverse of `dct`."""
    return tf.signal.idct(x, norm="ortho")


def pullback(function: Callable, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Callable]:
    """Returns `function(*inputs)`, and the function from its gradient to those of the inputs."""
    inputs = [tf.convert_to_tensor(one) for one in inputs]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
    return outputs, lambda above: tape.gradient(outputs, inputs, above)


def with_gradient(function: Callable, rule: Callable, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns `function(*inputs)` with `rule(above)` as the gradients of the inputs."""

    # Outside, because variables that are read inside would want gradients.
    outputs = tf.stop_gradient(function(*inputs))

    @tf.custom_gradient
    def joined(*inputs):
        return tf.identity(outputs), lambda above: rule(inputs, above)

    return joined(*inputs)
