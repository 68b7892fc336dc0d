"""The shapes of a network, found before its weights take any memory."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras

from fr_archive import Archive, ArchiveError
from fr_archive.nested import count_of
from fr_keras import zigzag
from fr_keras._keras_internals import nodes, without_memory
from fr_keras.archive._building import build, make_layer, settings
from fr_keras.archive._graphs import graphs
from fr_keras.layers import FrequencyKernel, FrequencyTwin, plain_class
from fr_keras.models.vectors import columns, is_in_space, lengths, place_of, real_weights
from fr_keras.models.walk import all_layers

#: The most weights that a model may declare, counting whole kernels.
MOST_WEIGHTS = 1 << 30
#: The most numbers that a loaded model may hold.
MOST_HELD = 1 << 26
#: The most numbers in one row of a tensor between two layers, where a dynamic axis counts as 1.
MOST_BETWEEN = 1 << 30
# The zigzag order is found by counting weighted index sums: this many in all take seconds.
_MOST_SUMS = 1 << 23


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """One tensor of coefficients.

    Attributes:
        shape: Shape of the whole spectrum.
        axis_weights: Weights of its axes in the zigzag order.
        cut: Whether a loaded layer holds only the corner of it. In a layer with several kernels,
            each is held whole.
    """

    shape: tuple[int, ...]
    axis_weights: tuple[float, ...] | None
    cut: bool

    def held(self, kept: int) -> tuple[int, ...]:
        """The shape that a loaded layer holds of it."""
        return zigzag.corner(self.shape, kept, self.axis_weights) if self.cut else self.shape


@dataclasses.dataclass(frozen=True)
class Unbuilt:
    """The shapes of a network before anything of it is built.

    Attributes:
        plain: The plain twin of the model, whose weights have no values.
        spectra: The tensors of coefficients of each FR layer, in the order in which `build` makes
            the layers.
        order: The places in `spectra`, in the order in which an archive holds them.
        kernels: The shapes of the kernels in space, in the order of an archive.
        vectors: Those of the other weights.
    """

    plain: keras.Model
    spectra: list[list[Spectrum]]
    order: list[int]
    kernels: list[tuple[int, ...]]
    vectors: list[tuple[int, ...]]

    def in_order(self) -> list[Spectrum]:
        """All tensors of coefficients, in the order of the archive."""
        return [one for place in self.order for one in self.spectra[place]]

    def held(self, counts: list[int]) -> list[list[tuple[int, ...]]]:
        """The shapes that a loaded model holds of each layer's tensors, ordered as `spectra`."""
        corners = iter([one.held(n) for one, n in zip(self.in_order(), counts, strict=True)])
        found = {place: [next(corners) for _ in self.spectra[place]] for place in self.order}
        return [found[place] for place in range(len(self.spectra))]

    def check_weights(self, archive: Archive) -> None:
        """Refuses vectors and kernels in space that do not fit the other weights.

        Raises:
            ArchiveError: If their number or a shape is wrong.
        """
        # The first version of the format holds kernels as vectors, too.
        in_space = self.kernels if archive.kernels else []
        wanted = [(math.prod(one), columns(one)) for one in in_space]
        received = [(count_of(one), one.columns) for one in archive.kernels]
        if received != wanted:
            raise ArchiveError(
                "A file of this architecture must hold kernels in space of the shapes "
                f"{self.kernels!s:.200}. Received: {len(received)}, with these numbers of values "
                f"and columns: {received!s:.200}"
            )
        others = self.vectors if archive.kernels else [*self.kernels, *self.vectors]
        vectors = sum(len(lengths(one)) for one in others)
        if len(archive.vectors) != vectors:
            raise ArchiveError(
                f"A file of this architecture must hold {vectors} vectors. Received: "
                f"{len(archive.vectors)}"
            )

    def check_held(self, counts: list[int]) -> None:
        """Refuses numbers of kept coefficients that do not fit a tensor or take too much memory.

        Raises:
            ArchiveError: If a number does.
        """
        spectra = self.in_order()
        if len(counts) != len(spectra):
            raise ArchiveError(
                f"A file of this architecture must hold {len(spectra)} tensors of coefficients. "
                f"Received: {len(counts)}"
            )
        for number, (spectrum, kept) in enumerate(zip(spectra, counts, strict=True)):
            if not 1 <= kept <= math.prod(spectrum.shape):
                raise ArchiveError(
                    f"Tensor {number} of shape {spectrum.shape} must hold 1 to "
                    f"{math.prod(spectrum.shape)} coefficients. Received: {kept}"
                )
        held = sum(math.prod(box) for boxes in self.held(counts) for box in boxes)
        held += _size(self.plain) - sum(math.prod(one.shape) for one in spectra)
        if held > MOST_HELD:
            raise ArchiveError(
                f"A loaded model may hold at most {MOST_HELD} numbers. Received: {held}"
            )


def unbuilt(description: dict) -> Unbuilt:
    """Returns the shapes of a checked description.

    Raises:
        ArchiveError: If Keras refuses it, or if it is too large.
    """
    made: list[tuple[str, dict, keras.layers.Layer]] = []

    def make(name, arguments):
        layer = make_layer(name, arguments)
        if not isinstance(layer, FrequencyTwin):
            return layer
        made.append((name, arguments, plain_class(type(layer)).from_config(layer.plain_config())))
        return made[-1][2]

    with settings(), without_memory():
        plain = guarded(lambda: build(description, make))
    if _size(plain) > MOST_WEIGHTS:
        raise ArchiveError(
            f"A model may declare at most {MOST_WEIGHTS} weights. Received: {_size(plain)}"
        )
    largest = guarded(lambda: max(_between(plain)))
    if largest > MOST_BETWEEN:
        raise ArchiveError(
            f"A tensor between two layers may have at most {MOST_BETWEEN} numbers per row. "
            f"Received: {largest}"
        )
    spectra = guarded(lambda: [_spectra(*one) for one in made])
    sums = guarded(lambda: sum(_largest_sum(one) for layer in spectra for one in layer))
    if sums > _MOST_SUMS:
        raise ArchiveError(
            f"The weighted index sums of all kernels must reach at most {_MOST_SUMS}: use shorter "
            f"axes or rounder `axis_weights`. Received: {sums}"
        )
    places = {id(layer): place for place, (_, _, layer) in enumerate(made)}
    order = [places[id(layer)] for layer in all_layers(plain) if id(layer) in places]
    others = guarded(lambda: _weights(plain, made))
    kernels, vectors = (
        [tuple(one.shape) for one in others if is_in_space(one) == which] for which in (True, False)
    )
    return Unbuilt(plain, spectra, order, kernels, vectors)


def guarded(work: Callable[[], Any]) -> Any:
    """Returns what `work` returns; any error of Keras means that the file is bad."""
    try:
        return work()
    except ArchiveError:
        raise
    except Exception as error:
        raise ArchiveError(f"The architecture cannot be built: {error}") from error


def _size(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for layer in all_layers(model) for weight in layer.weights)


def _between(model: keras.Model) -> Iterator[int]:
    """The numbers in a row of each output of a layer."""
    for graph in graphs(model):
        for node in nodes(graph):
            shapes = [tensor.shape for tensor in node.outputs]
            for given in node.input_tensors[:1]:
                shapes += _inside(node.operation, given.shape)
            yield max(math.prod(n or 1 for n in shape) for shape in shapes)


def _inside(layer: keras.layers.Layer, shape: tuple) -> Iterator[tuple]:
    """The output shapes of the layers inside a layer that is not a model."""
    if isinstance(layer, keras.layers.TimeDistributed):
        yield from _inside(layer.layer, (shape[0], *shape[2:]))
    elif isinstance(layer, keras.layers.Pipeline):
        for one in layer.layers:
            yield from _inside(one, shape)
            shape = one.compute_output_shape(shape)
            yield shape


def _weights(plain: keras.Model, made: list[tuple]) -> list[keras.Variable]:
    """All weights but kernels with a spectrum, in the order of an archive."""
    kernels = {
        id(layer): make_layer(name, arguments).plain_kernels(layer)
        for name, arguments, layer in made
    }
    found = [
        weight
        for layer in all_layers(plain)
        for weight in real_weights(layer, [kernels.get(id(layer), ())])
    ]
    return sorted(found, key=place_of)


def _spectra(name: str, arguments: dict, plain: keras.layers.Layer) -> list[Spectrum]:
    twin = make_layer(name, arguments)
    shapes = [tuple(kernel.shape) for kernel in twin.plain_kernels(plain)]
    if not isinstance(twin, FrequencyKernel):
        return [Spectrum(shape, None, cut=False) for shape in shapes]
    return [Spectrum(twin.spectrum_of(*shapes), twin.axis_weights, cut=True)]


def _largest_sum(spectrum: Spectrum) -> int:
    strides = zigzag.key_strides(spectrum.shape, spectrum.axis_weights)
    size = math.prod(spectrum.shape)
    return sum(s // size * (n - 1) for s, n in zip(strides, spectrum.shape, strict=True))
