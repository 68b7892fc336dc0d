"""Which layers can become chains, and einsum layers among them."""

import math
import re
import string

import keras
import numpy as np

from fr_keras.methods._linear import Convolution, Dense, Linear, Transposed


class Einsum(Linear):
    """An einsum whose kernel is a matrix, though its rows and its columns may be several axes."""

    def __init__(self, layer):
        super().__init__(layer)
        self._terms = re.split(",|->", layer.equation)
        self._shape = tuple(layer.kernel.shape)
        taken, kernel, given = self._terms
        self._rows = [axis for axis, one in enumerate(kernel) if one in taken]
        self._columns = [axis for axis, one in enumerate(kernel) if one in given]
        s, t = (math.prod(self._shape[a] for a in axes) for axes in (self._rows, self._columns))
        self.shape = 1, 1, s, t

    def is_matrix(self) -> bool:
        """Whether each axis of the kernel belongs either to the input or to the output."""
        return sorted(self._rows + self._columns) == [*range(len(self._shape))]

    def channels(self, inputs):
        return super().channels(self._moved(inputs, self._terms[0], self._rows))

    def outputs(self, outputs):
        return super().outputs(self._moved(outputs, self._terms[2], self._columns))

    def _moved(self, tensor: np.ndarray, term: str, axes: list[int]) -> np.ndarray:
        """A tensor of these labels with some axes of the kernel as its last ones."""
        before, *behind = term.split("...")
        # The dots stand for the axes between what is named before and behind them.
        places = {letter: axis for axis, letter in enumerate(before)}
        ending = behind[0] if behind else ""
        places |= {letter: axis - len(ending) for axis, letter in enumerate(ending)}
        moved = [places[self._terms[1][axis]] for axis in axes]
        return np.moveaxis(tensor, moved, [*range(-len(moved), 0)])

    def stages(self, factors):
        (one,), layer = factors, self.layer
        taken, kernel, given = self._terms
        rank = next(letter for letter in string.ascii_letters if letter not in layer.equation)
        ins, outs = ("".join(kernel[a] for a in axes) for axes in (self._rows, self._columns))
        narrow = re.sub(f"[{outs}]", "", given.replace(outs[0], rank))
        lengths = dict(zip(_told(given), layer.partial_output_shape, strict=True))
        shape = [*({**lengths, rank: one.core.shape[2]}[letter] for letter in _told(narrow))]
        options = {
            "dtype": layer.dtype_policy,
            "kernel_regularizer": layer.kernel_regularizer,
            "kernel_initializer": "zeros",
        }
        names = f"{layer.name}_core", f"{layer.name}_out"
        core = keras.layers.EinsumDense(
            f"{taken},{ins}{rank}->{narrow}", shape, name=names[0], **options
        )
        config = {**layer.get_config(), "equation": f"{narrow},{rank}{outs}->{given}"}
        out = keras.layers.EinsumDense.from_config({**config, "name": names[1], **options})
        rows, columns = ([self._shape[a] for a in axes] for axes in (self._rows, self._columns))
        return [
            ("core", core, one.core.reshape(*rows, -1)),
            ("out", out, one.after.reshape(-1, *columns)),
        ]

    def _ordered(self, kernel):
        return kernel.transpose(*self._rows, *self._columns).reshape(self.shape)

    def _restored(self, kernel):
        order = [*self._rows, *self._columns]
        moved = kernel.reshape([self._shape[axis] for axis in order])
        return moved.transpose(np.argsort(order))


def _told(term: str) -> str:
    """The labels for which `output_shape` has lengths: not the batch, and not the dots."""
    letters = term.replace(".", "")
    return letters if term.startswith("...") else letters[1:]


_KINDS: dict[type[keras.layers.Layer], type[Linear]] = {
    keras.layers.Conv1D: Convolution,
    keras.layers.Conv2D: Convolution,
    keras.layers.Conv3D: Convolution,
    keras.layers.Conv1DTranspose: Transposed,
    keras.layers.Conv2DTranspose: Transposed,
    keras.layers.Conv3DTranspose: Transposed,
    keras.layers.Dense: Dense,
    keras.layers.EinsumDense: Einsum,
}


def linear(layer: keras.layers.Layer, shapes: set[tuple[int | None, ...]]) -> Linear | str:
    """Returns a layer that is called on tensors of these shapes, or why it has no chain."""
    if type(layer) not in _KINDS:
        return f"a layer of type {type(layer).__name__} has no chain"
    if layer.kernel_constraint is not None:
        return "a constraint on its kernel would not hold for the factors"
    if getattr(layer, "lora_rank", None):
        return "LoRA adapts its kernel"
    if layer.quantization_mode is not None:
        return "its kernel is quantized"
    if len({*map(len, shapes)}) != 1:
        return "it is called on tensors of different ranks"
    found = _KINDS[type(layer)](layer)
    if isinstance(found, Einsum) and not found.is_matrix():
        return f"its equation '{layer.equation}' is not one matrix product"
    return found
