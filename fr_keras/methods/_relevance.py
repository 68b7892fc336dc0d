"""Layer-wise relevance propagation.

Each layer gets a gradient of its own: from the relevance of its outputs it makes that of its
inputs. So one backward pass through the model gives the relevance of everything.
"""

import collections
import functools
from collections.abc import Iterable, Iterator

import keras
import numpy as np
from keras import ops

from fr_keras._backends import backend
from fr_keras._keras_internals import maker, nodes
from fr_keras.methods._observing import Layout, observing, replaced
from fr_keras.methods._relevance_rules import KERNELS, RULES, signed


def relevance(layout: Layout, model: keras.Model, batches: Iterable) -> dict[str, np.ndarray]:
    """The mean, over rows, of the relevance of each channel for the row's own class."""
    _check_classifier(model)
    rules = _rules(model)
    total, rows, classes = np.zeros(layout.size), 0, model.outputs[0].shape[1]
    for inputs, labels in batches:
        if labels.max() >= classes:
            raise ValueError(
                f"the labels in `data` must be below {classes}, the number of outputs of the "
                f"model. Received: {labels.max()}"
            )
        total += _relevant(layout, model, rules, inputs, ops.one_hot(labels, classes)).sum(0)
        rows += len(labels)
    return layout.split(total / rows)


def _check_classifier(model: keras.Model) -> None:
    shapes = [tuple(one.shape) for one in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][1] or 0) < 2:
        raise ValueError(
            "`model` must be a classifier for criterion='relevance': one output of shape "
            "(rows, classes) with two or more classes; 'information' takes other outputs, too. "
            f"Received: outputs of shapes {shapes}"
        )


def _relevant(layout: Layout, model, rules: dict, inputs, start) -> np.ndarray:
    """The relevance of each channel for each row, `(rows, channels)`."""

    def wrap(layer, call):
        return _propagating(call, rules[layer])

    def outputs(taps):
        with (
            replaced(rules, wrap),
            observing(layout, lambda reader, x: x + reader.spread(taps, x)),
        ):
            (found,) = keras.tree.flatten(model(inputs, training=False))
        return found

    # A zero is added for each row and channel, wherever it is read, to take the relevance there.
    found, back = backend.pullback(outputs, [ops.zeros((len(start), layout.size + 1))])
    (taken,) = back(ops.cast(start, found.dtype))
    return ops.convert_to_numpy(taken)[:, :-1].astype(np.float64)


def _propagating(call, rule):
    """The same `call`, with the rule in place of the gradient."""

    @functools.wraps(call)
    def propagating(*args, **kwargs):
        flat = keras.tree.flatten((args, kwargs))
        places = [i for i, one in enumerate(flat) if _has_relevance(one)]
        if not places:
            return call(*args, **kwargs)

        def forward(*tensors):
            filled = list(flat)
            for place, one in zip(places, tensors, strict=True):
                filled[place] = one
            positional, named = keras.tree.pack_sequence_as((args, kwargs), filled)
            return call(*positional, **named)

        return backend.with_gradient(
            forward,
            lambda inputs, above: rule(forward, inputs, above),
            [flat[place] for place in places],
        )

    return propagating


def _has_relevance(one) -> bool:
    return ops.is_tensor(one) and keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(one.dtype)
    )


def _rules(model: keras.Model) -> dict[keras.Operation, object]:
    """The rule of each operation of a model and of the models in it."""
    found, unknown = {}, []
    behind = _behind_kernels(model)
    for node in _calls(model):
        layer = node.operation
        if layer in found:
            continue
        make = signed if layer in behind else RULES.get(type(layer), lambda _: None)
        found[layer] = make(layer)
        if found[layer] is None:
            unknown.append(f"'{layer.name}' ({type(layer).__name__})")
    if unknown:
        raise ValueError(
            "`criterion='relevance'` knows rules for dense layers, convolutions, batch "
            "normalization, pooling, Add, Concatenate, activations and what moves numbers; take "
            f"'information' for other layers. Received: {', '.join(unknown)}"
        )
    return found


def _calls(model: keras.Model) -> Iterator:
    """The calls of a model and of the models in it, except for inputs and the models' own."""
    for graph in _graphs(model):
        for node in nodes(graph):
            if not node.is_input and not _has_graph(node.operation):
                yield node


def _graphs(model: keras.Model) -> Iterator[keras.Model]:
    yield model
    for node in nodes(model):
        if _has_graph(node.operation):
            yield from _graphs(node.operation)


def _has_graph(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.Model) and bool(getattr(operation, "inputs", None))


def _behind_kernels(model: keras.Model) -> set[keras.Operation]:
    """The batch normalizations that nothing stands between and a kernel, in all their calls."""
    behind, others = set(), set()
    for graph in _graphs(model):
        used = [*graph.outputs, *(one for node in nodes(graph) for one in node.input_tensors)]
        uses = collections.Counter(map(id, used))
        for node in nodes(graph):
            if isinstance(node.operation, keras.layers.BatchNormalization):
                (tensor, *_) = node.input_tensors
                alone = uses[id(tensor)] == 1 and _is_bare_kernel(maker(tensor))
                (behind if alone else others).add(node.operation)
    return behind - others


def _is_bare_kernel(layer: keras.Operation) -> bool:
    return type(layer) in KERNELS and layer.activation in (None, keras.activations.linear)
