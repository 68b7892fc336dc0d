"""Every private name of Keras that this package uses, and none elsewhere.

Keras has no public way to the graph of a functional model, so that a new release may break what is
here. `tests/test_internals.py` has a test for each, which then fails first.
"""

import contextlib
from collections.abc import Callable, Iterator

import keras
from keras.src.backend.common import global_state

_PENDING = "uninitialized_variables"


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and every layer inside it, at any depth, each once."""
    return list(layer._flatten_layers())


def graph(model: keras.Model) -> keras.Model:
    """Returns the functional model that has the graph; that of a sequential one is inside."""
    return getattr(model, "_functional", None) or model


def nodes(model: keras.Model) -> list:
    """Returns the calls in a functional or sequential model, each behind what it takes.

    A node has `operation`, `arguments`, `input_tensors` and `outputs`. Calls inside nested models
    are theirs: a layer itself knows its calls in all models.
    """
    by_depth = graph(model)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def times_called(layer: keras.layers.Layer) -> int:
    """Returns how often a layer was called on symbolic tensors, in all models."""
    return len(layer._inbound_nodes)


def maker(tensor: keras.KerasTensor) -> keras.Operation:
    """Returns the layer or operator that put out a symbolic tensor."""
    return tensor._keras_history.operation


def innermost_maker(tensor: keras.KerasTensor) -> keras.Operation:
    """Returns the layer or operator that put it out, inside nested models."""
    while isinstance(maker(tensor), keras.Model):
        tensor = maker(tensor).outputs[tensor._keras_history.tensor_index]
    return maker(tensor)


def run_through(model: keras.Model, inputs, call: Callable):
    """Calls the operations of a functional model by `call(operation, *args, **kwargs)`, as
    `clone_model` does, but on inputs that are in another graph already."""
    return model._run_through_graph(inputs, call_fn=call)


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Layers that are built inside have weights with shapes and without values."""
    # Keras would fill them when the next scope of the kind ends: they have to be forgotten.
    pending = list(global_state.get_global_attribute(_PENDING) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(_PENDING, pending)
