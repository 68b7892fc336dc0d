"""All private names of Keras that this package uses; no other module uses one.

Keras has no public access to the graph of a functional model, so a new release may break this
module. `tests/test_internals.py` has a test for each name, which then fails first.
"""

import contextlib
from collections.abc import Callable, Iterator

import keras
from keras.src.backend.common import global_state, tensor_attributes
from keras.src.ops import core, nn, numpy

#: The operators that functions of `keras.ops` leave in a functional model, by the function's name.
#: A functional model does not say otherwise which function made a tensor.
OPERATORS: dict[str, type[keras.Operation]] = {
    **{
        name: getattr(numpy, type_name)
        for name, type_name in (
            ("absolute", "Absolute"),
            ("sum", "Sum"),
            ("power", "Power"),
            ("mean", "Mean"),
            ("max", "Max"),
            ("expand_dims", "ExpandDims"),
            ("add", "Add"),
            ("clip", "Clip"),
            ("concatenate", "Concatenate"),
            ("divide", "Divide"),
            ("exp", "Exp"),
            ("maximum", "Maximum"),
            ("minimum", "Minimum"),
            ("multiply", "Multiply"),
            ("negative", "Negative"),
            ("reshape", "Reshape"),
            ("sqrt", "Sqrt"),
            ("square", "Square"),
            ("squeeze", "Squeeze"),
            ("subtract", "Subtract"),
            ("tanh", "Tanh"),
            ("transpose", "Transpose"),
            ("true_divide", "TrueDivide"),
        )
    },
    **{
        name: getattr(nn, type_name)
        for name, type_name in (
            ("depth_to_space", "DepthToSpace"),
            ("elu", "Elu"),
            ("gelu", "Gelu"),
            ("hard_sigmoid", "HardSigmoid"),
            ("hard_silu", "HardSilu"),
            ("leaky_relu", "LeakyRelu"),
            ("relu", "Relu"),
            ("relu6", "Relu6"),
            ("sigmoid", "Sigmoid"),
            ("silu", "Silu"),
            ("softmax", "Softmax"),
            ("softplus", "Softplus"),
            ("space_to_depth", "SpaceToDepth"),
        )
    },
    "cast": core.Cast,
}
_PENDING = "uninitialized_variables"


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and every layer inside it, at any depth, each once."""
    return list(layer._flatten_layers())


def graph(model: keras.Model) -> keras.Model:
    """Returns the functional model that has the graph; a sequential model has one inside."""
    return getattr(model, "_functional", None) or model


def nodes(model: keras.Model) -> list:
    """Returns the calls in a functional or sequential model, each after those it depends on.

    A node has `operation`, `arguments`, `input_tensors` and `outputs`. Calls inside nested models
    are not included, as they would be among the nodes of a layer.
    """
    by_depth = graph(model)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def times_called(layer: keras.layers.Layer) -> int:
    """Returns how often a layer was called on symbolic tensors, in all models."""
    return len(layer._inbound_nodes)


def compile_arguments(model: keras.Model) -> dict:
    """Returns the arguments of `compile` as they were given, functions of the user's own too."""
    return model._compile_config.config


def maker(tensor: keras.KerasTensor) -> keras.Operation:
    """Returns the layer or operator that produced a symbolic tensor."""
    return tensor._keras_history.operation


def innermost_maker(tensor: keras.KerasTensor) -> keras.Operation:
    """Returns the layer or operator that produced a symbolic tensor, also inside nested models."""
    while isinstance(maker(tensor), keras.Model):
        tensor = maker(tensor).outputs[tensor._keras_history.tensor_index]
    return maker(tensor)


def run_through(model: keras.Model, inputs, call: Callable):
    """Calls the operations of a functional model by `call(operation, *args, **kwargs)`, as
    `clone_model` does, but on inputs that already belong to another graph."""
    return model._run_through_graph(inputs, call_fn=call)


def tensor_attribute(tensor, name: str):
    """Returns what `set_tensor_attribute` attached to a tensor under that name, or `None`."""
    return tensor_attributes.get_tensor_attr(tensor, name)


def set_tensor_attribute(tensor, name: str, value) -> None:
    """Attaches an object to a tensor, as Keras attaches masks, also where tensors refuse it."""
    tensor_attributes.set_tensor_attr(tensor, name, value)


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Gives layers that are built inside this context weights that have shapes but no values."""
    # Keras would fill them when the next scope of this kind ends, so they must be forgotten.
    pending = list(global_state.get_global_attribute(_PENDING) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(_PENDING, pending)
