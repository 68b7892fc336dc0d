"""Copies the state of a layer to the layer that takes its place."""

import tempfile
from collections.abc import Callable

import keras
import numpy as np

from fr_keras._backends import assign_copy
from fr_keras._keras_internals import inner_layers
from fr_keras.layers import FrequencyKernel, FrequencyTwin, QuantizedCoefficients, QuantizedKernel

_CONVERTED = (FrequencyTwin, QuantizedKernel)
#: Writes the weights of a converted layer to the plain layer, or chain of layers, in its place.
Fill = Callable[[FrequencyTwin, keras.layers.Layer], None]


def carry(layer: keras.layers.Layer, twin: keras.layers.Layer, fill: Fill) -> None:
    """Gives `twin` the state of `layer`, by way of the plain kernel where they differ."""
    converted = isinstance(twin, _CONVERTED)
    both = isinstance(layer, FrequencyKernel) and isinstance(twin, FrequencyKernel)
    quantized = [isinstance(one, QuantizedCoefficients) for one in (layer, twin)]
    if both and quantized == [False, True]:
        twin.load_frequency(layer)
    elif both and quantized == [True, False]:
        layer.fill_frequency(twin)
    elif both:
        # The twin may store a smaller corner.
        for before, after in zip(layer.weights, twin.weights, strict=True):
            assign_copy(after, before[tuple(slice(n) for n in after.shape)])
    elif isinstance(layer, _CONVERTED) == converted:
        _carry_beyond_weights(layer, twin)
        twin.set_weights(layer.get_weights())  # last: Keras stores the sum of a kernel and its LoRA
    elif converted:
        twin.load_plain(layer)
    else:
        fill(layer, twin)
    carry_random_states(layer, twin)


def carry_random_states(layer: keras.layers.Layer, twin: keras.layers.Layer) -> None:
    """Gives `twin` the state of the random generators of `layer`."""
    states, new = _random_states(layer), _random_states(twin)
    if len(states) == len(new):  # a Dropout whose rate was set to 0 later has one, its copy none
        for before, after in zip(states, new, strict=True):
            assign_copy(after, before)


def _random_states(layer: keras.layers.Layer) -> list[keras.Variable]:
    weights = {id(weight) for weight in layer.weights}
    return [one for one in layer.variables if id(one) not in weights]


def _carry_beyond_weights(layer: keras.layers.Layer, twin: keras.layers.Layer) -> None:
    """Copies the state besides weights of a layer and the layers inside it, as Keras saves it."""
    for before, after in zip(inner_layers(layer), inner_layers(twin), strict=True):
        if isinstance(before, keras.layers.TextVectorization):
            continue  # all its state is in the lookup that it holds
        if isinstance(before, _LOOKUPS):
            _carry_vocabulary(before, after)
            continue
        state: dict = {}
        before.save_own_variables(state)
        after.load_own_variables({key: np.asarray(value) for key, value in state.items()})
        if hasattr(before, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                before.save_assets(folder)
                after.load_assets(folder)


_LOOKUPS = (keras.layers.IntegerLookup, keras.layers.StringLookup)


def _lookups(operation) -> list[keras.layers.Layer]:
    """The lookups among a layer and the layers inside it, to which there is no public way."""
    if not isinstance(operation, keras.layers.Layer):
        return []
    return [layer for layer in inner_layers(operation) if isinstance(layer, _LOOKUPS)]


def carry_vocabularies(operation: keras.Operation, copy: keras.Operation) -> None:
    """Gives lookups their vocabularies before they are called: some cannot be built without."""
    known, empty = _lookups(operation), _lookups(copy)
    if len(known) == len(empty):  # a layer that holds them may make them when it is built
        for before, after in zip(known, empty, strict=True):
            _carry_vocabulary(before, after)


def _carry_vocabulary(lookup: keras.layers.Layer, twin: keras.layers.Layer) -> None:
    """Avoids the files that Keras saves: they split a token at a line end."""
    vocabulary = lookup.get_vocabulary()
    if lookup.get_vocabulary(include_special_tokens=False):
        state: dict = {}
        lookup.save_own_variables(state)
        # Weights beyond the vocabulary are padding, which Keras adds again.
        weights = state["idf_weights"][: len(vocabulary)] if state else None
        twin.set_vocabulary(vocabulary, weights)
