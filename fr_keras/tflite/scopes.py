"""Finds the layer that a tensor of a converted file comes from, whatever the layers' names."""

import contextlib
import re
from collections.abc import Iterator

import keras

from fr_keras._keras_internals import innermost_maker
from fr_keras.models.walk import all_layers, containers, named_layers

# A second call of a layer has a number after its scope.
_SCOPE = re.compile(r"layer(\d+)(?:_\d+)?")
_CONTAINER = re.compile(r"model(?:_\d+)?")


class Scopes:
    """Gives the layers of a model names of our own while TensorFlow traces it.

    The converter names a tensor after the layers that computed it. The names of users are
    ambiguous: one may begin or end like another, or be the same in two nested models.

    Args:
        model: A built functional or sequential model.

    Attributes:
        model: That model.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self._layers = list(all_layers(model))
        self._names = list(named_layers(model))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Gives every layer its scope as its name; afterwards the layers have their own names."""
        scopes = {id(one): (one, "model") for one in [self.model, *containers(self.model)]}
        for number, layer in enumerate(self._layers):
            if not isinstance(layer, keras.layers.InputLayer):
                scopes[id(layer)] = layer, f"layer{number}"
        for one in reversed(containers(self.model)):
            if isinstance(one, keras.layers.TimeDistributed):  # adds no scope for its layer
                scopes[id(one)] = one, scopes[id(one.layer)][1]
        names = [(one, one.name) for one, _ in scopes.values()]
        try:
            for one, scope in scopes.values():
                one.name = scope
            yield
        finally:
            for one, name in names:
                one.name = name

    def layers(self, tensor: bytes | str) -> list[keras.layers.Layer]:
        """The layers that computed a tensor, by its name in the file; fused ops have several."""
        return [self._layers[number] for number in self._numbers(tensor)]

    def output_layer(self, number: int) -> keras.layers.Layer | None:
        """The layer that computes an output of the model, whose name in the file is different."""
        layer = innermost_maker(self.model.outputs[number])
        while isinstance(layer, keras.layers.TimeDistributed):
            layer = layer.layer
        return next((one for one in self._layers if one is layer), None)

    def short(self, tensor: bytes | str) -> str:
        """A name for a tensor: that of the first of its layers, or of its op outside layers.

        In a file of small kernels, the names that the converter writes are a tenth of all bytes.
        """
        numbers = self._numbers(tensor)
        text = tensor.decode(errors="replace") if isinstance(tensor, bytes) else tensor
        return self._names[numbers[0]] if numbers else text.split(";")[0].rpartition("/")[2]

    def _numbers(self, tensor: bytes | str) -> list[int]:
        text = tensor.decode(errors="replace") if isinstance(tensor, bytes) else tensor
        found = []
        for path in text.split(";"):
            scopes = path.split("/")
            while scopes and _CONTAINER.fullmatch(scopes[0]):
                scopes.pop(0)
            # After that come names inside the layer, which may be anything.
            match = _SCOPE.fullmatch(scopes[0]) if len(scopes) > 1 else None
            if match and int(match[1]) < len(self._layers):
                found.append(int(match[1]))
        return found
