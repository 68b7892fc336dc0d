"""One walk over a Keras model that replaces layers and copies their weights.

`regularize` and `bake` are this walk with different replacements.
"""

import collections
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np

from fr_keras._keras_internals import maker, nodes
from fr_keras.layers import TWINS, FrequencyKernel, FrequencyTwin, Quantizing
from fr_keras.models._carry import Fill, carry, carry_vocabularies

#: Returns the layer, not built yet, that replaces a given one; `None` keeps a copy. It is also
#: called for input layers, operators, and `TimeDistributed` and the layer inside it.
Exchange = Callable[[keras.Operation], keras.Operation | None]


def rebuild(
    model: keras.Model,
    exchange: Exchange,
    fill: Fill = FrequencyTwin.fill_plain,
    call: Callable | None = None,
) -> keras.Model:
    """Returns a copy of `model` with some layers replaced and every weight copied.

    Names, topology and `trainable` flags stay the same. So does the state that is not in weights,
    such as that of preprocessing layers and random generators. The copy is not compiled.

    Args:
        model: A built functional or sequential model.
        exchange: Returns the replacement of a layer.
        fill: Writes the weights of an FR layer to the plain layer that replaces it.
        call: Calls a new layer in the graph of a functional model, like `call_function` of
            `clone_model`; with `None`, the layer is just called.

    Raises:
        ValueError: If the model has no functional graph, is not built, or holds a weight that
            is not finite.
    """
    return rebuild_with_twins(model, exchange, fill, call)[0]


def rebuild_with_twins(
    model: keras.Model,
    exchange: Exchange,
    fill: Fill = FrequencyTwin.fill_plain,
    call: Callable | None = None,
) -> tuple[keras.Model, dict[int, keras.layers.Layer]]:
    """Does the same as `rebuild`, and also returns each new layer by the `id` of the old one."""
    return rebuild_by(model, exchange, functools.partial(carry, fill=fill), call)


def rebuild_by(
    model: keras.Model,
    exchange: Exchange,
    fill: Callable[[keras.layers.Layer, keras.layers.Layer], None],
    call: Callable | None = None,
) -> tuple[keras.Model, dict[int, keras.layers.Layer]]:
    """Does the same, where `fill` gives each new layer the state of the old one."""
    check_graph(model)
    twins: dict[int, keras.layers.Layer] = {}
    for layer in all_layers(model):
        check_finite(layer)
    copy = _clone(model, exchange, twins, call)
    for layer in all_layers(model):
        fill(layer, twins[id(layer)])
    return copy, twins


def _clone(
    model: keras.Model, exchange: Exchange, twins: dict, call: Callable | None = None
) -> keras.Model:
    """Clones the graph; with `twins`, a shared layer stays one layer."""

    def clone(operation):
        if id(operation) not in twins:
            twins[id(operation)] = new(operation)
        return twins[id(operation)]

    def new(operation):
        if _has_graph(operation):
            return _clone(operation, exchange, twins)
        twin = exchange(operation)
        if isinstance(operation, keras.layers.TimeDistributed):
            config = (twin or operation).get_config()
            named = {key: config[key] for key in ("name", "trainable", "dtype")}
            return keras.layers.TimeDistributed(clone(operation.layer), **named)
        return twin or copied(operation, operation.get_config())

    inputs = keras.tree.map_structure(lambda tensor: _input(tensor, clone), ends(model)[0])
    with not_compiled(model):  # `clone_model` compiles the copy of a compiled model
        return keras.models.clone_model(model, inputs, clone_function=clone, call_function=call)


def copied(operation: keras.Operation, config: dict) -> keras.Operation:
    """A layer or operator of that config, with the state that it needs before it is called."""
    # The function of a Lambda already is in this process: nothing foreign is loaded.
    trusted = {"safe_mode": False} if isinstance(operation, keras.layers.Lambda) else {}
    copy = type(operation).from_config(config, **trusted)
    carry_vocabularies(operation, copy)
    own_way = getattr(type(operation), "build_from_config", None)
    if own_way not in (None, keras.layers.Layer.build_from_config) and operation.built:
        copy.build_from_config(operation.get_build_config())
    return copy


def _input(tensor: keras.KerasTensor, clone: Callable) -> keras.KerasTensor:
    """The copy of an input; the copies that Keras makes forget what is optional or sparse."""
    return clone(maker(tensor)).output


@contextlib.contextmanager
def not_compiled(model: keras.Model) -> Iterator[None]:
    """Makes a model appear as not compiled inside this context."""
    compiled, model.compiled = model.compiled, False
    try:
        yield
    finally:
        model.compiled = compiled


def ends(model: keras.Model) -> tuple:
    """The structures of inputs and outputs; a sequential model is a chain of single tensors."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def check_graph(model: keras.Model) -> None:
    """Raises a ValueError if `model` is unbuilt or has no graph of layers."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}")
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            "`model` must be built: give it a keras.Input or call `model.build(input_shape)`. "
            f"Received: unbuilt Sequential '{model.name}'"
        )
    if not _has_graph(model):
        raise ValueError(
            "`model` must be sequential or functional: a subclassed model has no graph of layers "
            "to walk. Rebuild it with keras.Model(inputs, outputs). "
            f"Received: {type(model).__name__} '{model.name}'"
        )


def check_exact(model: keras.Model, reason: str) -> None:
    """Raises a ValueError if `model` has quantized layers.

    Args:
        model: A model.
        reason: Why it must not, and the way out.
    """
    found = [name for name, one in named_layers(model).items() if isinstance(one, Quantizing)]
    if found:
        raise ValueError(
            f"`model` must not have quantized kernels, {reason}. Received: quantized layers {found}"
        )


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields every layer once, in one order for a model and its copies.

    It yields the layers inside nested models and `TimeDistributed`, not these themselves; other
    layers that hold layers count as one.
    """
    for _, layer in _leaves(model):
        yield layer


def containers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the nested models and `TimeDistributed` layers that `all_layers` opens."""
    return [layer for _, layer in _walk(model) if _opened(layer)]


def named_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns the layers of `all_layers` by the names under which users know them.

    A layer has its own name. Where several layers share it, as in nested models built by one
    function, it has its path instead: `"left/fc"` is layer `fc` in the nested model `left`.
    """
    return _by_name(_leaves(model))


def named_kernels(model: keras.Model) -> dict[str, FrequencyKernel]:
    """Returns the layers of `frequency_layers` by name, or by path as in `named_layers`.

    The parts of a layer with several kernels have names of their own. Their paths look like
    `"separable/separable_pointwise_kernel"`.
    """
    twins = [(path, one) for path, one in _leaves(model) if isinstance(one, FrequencyTwin)]
    return _by_name(
        (path if part is twin else (*path, part.name), part)
        for path, twin in twins
        for part in twin.parts()
    )


def plain_kernels(model: keras.Model) -> dict[str, tuple[keras.layers.Layer, keras.Variable]]:
    """Returns the kernels that FR layers would hold, each with its plain layer.

    They have the names, and the order, of `named_kernels` for the twin of `model`. A kernel that
    LoRA adapts is a tensor, the sum of both.
    """
    return _by_name(
        (path if issubclass(twin, FrequencyKernel) else (*path, name), (layer, kernel))
        for path, layer in _leaves(model)
        if (twin := TWINS.get(type(layer))) is not None
        for name, kernel in zip(twin.part_names(layer), twin.plain_kernels(layer), strict=True)
    )


def _leaves(model: keras.Model) -> Iterator[tuple[tuple[str, ...], keras.layers.Layer]]:
    """Yields the layers of `all_layers`, each with its path: outer names, then its own."""
    return ((path, layer) for path, layer in _walk(model) if not _opened(layer))


def _walk(model: keras.Model) -> Iterator[tuple[tuple[str, ...], keras.layers.Layer]]:
    """Yields every layer and everything that is opened, once, with its path."""
    seen: set[int] = set()
    stack = [((), layer) for layer in model.layers]
    while stack:
        outer, layer = stack.pop(0)
        if id(layer) not in seen:
            seen.add(id(layer))
            path = (*outer, layer.name)
            yield path, layer
            stack = [*((path, one) for one in _opened(layer)), *stack]


def _opened(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a nested model or `TimeDistributed`; none of another layer."""
    if _has_graph(layer):
        return layer.layers
    return [layer.layer] if isinstance(layer, keras.layers.TimeDistributed) else []


def _by_name(found: Iterable[tuple[tuple[str, ...], object]]) -> dict:
    found = list(found)
    times = collections.Counter(path[-1] for path, _ in found)
    # No layer's name has a slash, so that no path is another layer's name.
    return {path[-1] if times[path[-1]] == 1 else "/".join(path): one for path, one in found}


def frequency_layers(model: keras.Model) -> list[FrequencyKernel]:
    """Returns the kernels of `model` that are held in the DCT domain, one layer each."""
    twins = [layer for layer in all_layers(model) if isinstance(layer, FrequencyTwin)]
    return [part for twin in twins for part in twin.parts()]


def input_shapes(model: keras.Model) -> dict[int, set[tuple[int | None, ...]]]:
    """Returns the shapes of all tensors on which each layer is called, by `id` of the layer.

    For a layer in a `TimeDistributed`, they are the shapes of a step.
    """
    found: dict[int, set] = collections.defaultdict(set)
    for node in nodes(model):
        layer, shapes = node.operation, [tensor.shape for tensor in node.input_tensors]
        while isinstance(layer, keras.layers.TimeDistributed):
            layer, shapes = layer.layer, [shape[:1] + shape[2:] for shape in shapes]
        if _has_graph(layer):
            for identity, inner in input_shapes(layer).items():
                found[identity] |= inner
        found[id(layer)] |= {*shapes}
    return found


def _has_graph(layer: keras.layers.Layer) -> bool:
    """Whether `layer` is a functional or built sequential model."""
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def check_finite(layer: keras.layers.Layer) -> None:
    """Raises a ValueError if a weight of `layer` holds NaN or infinite values."""
    for weight in layer.weights:
        if "float" not in weight.dtype:
            continue
        finite = keras.ops.isfinite(keras.ops.cast(weight, "float32"))
        if not keras.ops.all(finite):
            found = keras.ops.convert_to_numpy(finite)
            raise ValueError(
                f"`model` must have finite weights: '{weight.path}' of layer '{layer.name}' holds "
                f"{np.count_nonzero(~found)} NaN or infinite of {found.size} values."
            )
