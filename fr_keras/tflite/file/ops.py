"""Which ops of a float file come from which layers of a model."""

import collections
from collections.abc import Container

from fr_keras.tflite.file.graph import Graph
from fr_keras.tflite.scopes import Scopes


def outputs_from(content: bytes, scopes: Scopes, layers: Container[int]) -> list[str]:
    """Returns the names of the output tensors of the ops that come from some layers.

    Args:
        content: A float32 file, as the converter wrote it.
        scopes: The scopes in which the model was converted.
        layers: The `id` of each of these layers.
    """
    graph = Graph(content)
    origins = _origins(graph, scopes)
    return [
        graph.graph.tensors[number].name.decode()
        for op, found in zip(graph.graph.operators, origins, strict=True)
        for number in op.outputs
        if any(one in layers for one in found)
    ]


def _origins(graph: Graph, scopes: Scopes) -> list[set[int]]:
    """The `id` of the layers of each op: by the names of its output and its constants, and for
    outputs of the model and shared kernels by other means."""
    (signature,) = graph.model.signatureDefs
    ends = {
        one.tensorIndex: scopes.output_layer(int(one.name.decode().removeprefix("output_")))
        for one in signature.outputs
    }
    found, of_kernel = [], collections.defaultdict(set)
    for op in graph.graph.operators:
        constants = [n for n in op.inputs if n >= 0 and graph.is_constant(n)]
        names = [graph.graph.tensors[number].name for number in (*op.outputs, *constants)]
        layers = {id(layer) for name in names for layer in scopes.layers(name)}
        # An output of the model has a name of its own.
        layers |= {id(ends[number]) for number in op.outputs if ends.get(number) is not None}
        kernels = [n for n in constants if len(graph.graph.tensors[n].shape) > 1]
        for number in kernels:
            of_kernel[number] |= layers
        found.append((layers, kernels))
    # The kernel of a layer that is called several times does not have the name of a layer.
    return [layers.union(*(of_kernel[n] for n in kernels)) for layers, kernels in found]
