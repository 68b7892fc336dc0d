"""The einsum layer in the DCT domain."""

import math
import re
import string

import keras
from keras import ops

from fr_keras.layers._factored import ROLES, FactoredKernel


@keras.saving.register_keras_serializable(package="fr_keras")
class FREinsumDense(FactoredKernel, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input, output and kernel as in the equation; coefficients like the kernel.

    Example:

    >>> layer = FREinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")
    >>> layer(keras.ops.ones((2, 5, 4))).shape
    TensorShape([2, 5, 8])
    """

    _ending = (
        "activation",
        "bias_axes",
        "bias_regularizer",
        "bias_constraint",
        "activity_regularizer",
    )

    def ends(self):
        taken, kernel, given = self._terms()
        axes = range(len(kernel))
        return (
            tuple(axis for axis in axes if kernel[axis] not in given),
            tuple(axis for axis in axes if kernel[axis] not in taken),
        )

    def positions(self):
        # An axis that input, kernel and output share counts only in the kernel of the core.
        inputs, outputs = self.ends()
        shared = [n for a, n in enumerate(self.spectrum_shape) if a not in inputs + outputs]
        return {**dict.fromkeys(ROLES, math.prod(shared)), "core": 1}

    def _terms(self) -> list[str]:
        """The labels of input, kernel and output, with the dots of an ellipsis."""
        return re.split(",|->", self.equation)

    def _equation(self, role: str, roles) -> str:
        """The equation of one stage: an axis in the DCT domain has a label of its own."""
        taken, kernel, given = self._terms()
        free = (letter for letter in string.ascii_letters if letter not in self.equation)
        inputs, outputs = (
            {kernel[axis]: next(free) for axis in axes} if end in roles else {}
            for end, axes in zip(("in", "out"), self.ends(), strict=True)
        )
        before, after = (
            "".join(labels.get(letter, letter) for letter in term)
            for labels, term in ((inputs, taken), (outputs, given))
        )
        if role == "in":
            return f"{taken},{''.join([*inputs, *inputs.values()])}->{before}"
        if role == "out":
            return f"{after},{''.join([*outputs.values(), *outputs])}->{given}"
        labels = {**inputs, **outputs}
        return f"{before},{''.join(labels.get(letter, letter) for letter in kernel)}->{after}"

    def _core_kernel(self, core, roles):
        return core

    def _end_kernel(self, role, matrix, corner):
        whole = [self.spectrum_shape[axis] for axis in self.ends()[ROLES.index(role) // 2]]
        return ops.reshape(matrix, (*whole, *corner) if role == "in" else (*corner, *whole))

    def _apply(self, role, x, kernel):
        return ops.einsum(self._equation(role, self._roles_of_stored_corner()), x, kernel)

    def _stage_layer(self, role, roles, shape, options):
        equation = self._equation(role, roles)
        return keras.layers.EinsumDense(equation, self._partial_shape(equation, shape), **options)

    def _partial_shape(self, equation: str, shape: tuple[int, ...]) -> list[int | None]:
        """The `output_shape` of a stage, from the axes of its kernel and the layer's argument."""
        _, kernel, given = re.split(",|->", equation)
        told = zip(_told(self._terms()[2]), self.partial_output_shape, strict=True)
        lengths = {**dict(told), **dict(zip(kernel, shape, strict=True))}
        return [lengths.get(letter) for letter in _told(given)]


def _told(term: str) -> str:
    """The labels for which `output_shape` has lengths: not the batch, and not the dots."""
    letters = term.replace(".", "")
    return letters if term.startswith("...") else letters[1:]
