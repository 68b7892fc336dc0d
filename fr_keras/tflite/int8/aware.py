"""Quantization-aware fine-tuning: a model that rounds as its int8 file will."""

import itertools
import warnings
from collections.abc import Iterator

import keras
import numpy as np
from keras import Operation

from fr_keras._keras_internals import graph, maker, run_through
from fr_keras.layers.forms import WHOLE, chooser
from fr_keras.models.walk import all_layers, check_exact, check_graph, rebuild_with_twins
from fr_keras.tflite._calibration_data import split_rows
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.int8.budgets import saved_by_chains
from fr_keras.tflite.int8.ranges import Samples, clipped_range
from fr_keras.tflite.int8.rounded import PLAIN, ROUNDED, FakeQuantize, RoundedKernel
from fr_keras.tflite.modes import INT8

# The most rows, and the most input numbers, that are observed at once.
_BATCH = 8
_NUMBERS = 1 << 20
# Layers that the converter fuses into the op before, and layers that keep their input's scale.
_FUSED = (keras.layers.BatchNormalization, keras.layers.ReLU)
_SAME_SCALE = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
)


def quantization_aware(model: keras.Model, calibration, form: str = "auto") -> keras.Model:
    """Returns the deployed form of a model that rounds as its int8 file will, ready for `fit`.

    FR layers are baked. The forward pass rounds every kernel, and every activation that an int8
    file stores, with the ranges that `convert` would choose; the gradient ignores the rounding. The
    cores of chains, whole kernels and biases are trained. The cosines in the outer stages of chains
    are frozen. So are batch normalizations, which use their moving statistics. Train for a few
    epochs, with a lower learning rate than in training. Then
    `convert(aware, quantize="int8", calibration=...)` writes the file with the same ranges.

    The result has no coefficients: keep `model` for anything that needs them.

    Args:
        model: A built functional or sequential model, with or without FR layers.
        calibration: Representative data, as for `convert`.
        form: The form in which an FR model is baked; see `fr_keras.bake`.

    Returns:
        A new functional model, not compiled.

    Raises:
        ValueError: If an argument breaks these rules.

    Warns if chains make the file larger than whole kernels would, which only `"factored"` does.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="logits")])
    >>> x = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    >>> aware = quantization_aware(model, x)
    >>> bool(abs(aware(x) - model(x)).numpy().max() < 0.1)
    True
    """
    choose = chooser(form, INT8.bytes_of)
    check_graph(model)
    check_exact(
        model,
        "because the training would take them off their levels: `convert` it as it is, or give "
        "`fr_keras.bake(model)` to let the levels go",
    )
    rows = split_rows(calibration, model, INT8)[0]
    plain = deployable(model, choose)
    _warn_if_larger(model.name, form, saved_by_chains(plain))
    copy, twins = rebuild_with_twins(plain.model, _rounded)
    # The cosines in the outer stages of chains are not trained.
    for identity, origin in plain.origins.items():
        if origin.chain != WHOLE and "core" not in origin.roles:
            twins[identity].trainable = False
    _tell_apart(copy)
    rounding = _Graph(copy)
    if isinstance(copy, keras.Sequential):
        inputs = keras.Input(copy.inputs[0].shape[1:], dtype=copy.inputs[0].dtype)
        aware = keras.Model(inputs, rounding(copy, inputs), name=copy.name)
    else:
        aware = keras.models.clone_model(copy, clone_function=_same, call_function=rounding)
    _set_ranges(aware, rows)
    return aware


def _warn_if_larger(name: str, form: str, saved: int) -> None:
    """`convert` cannot tell of an aware model, which has no other form any more."""
    if saved < 0:
        warnings.warn(
            f"The int8 file of '{name}' with form='{form}' will have about {-saved:,} bytes more "
            "than with form='dense'. Use form='auto', which takes chains only where they are "
            "smaller, or train with fewer coefficients.",
            stacklevel=3,
        )


def exact(model: keras.Model) -> tuple[keras.Model, dict[int, tuple[float, float]]]:
    """Returns a quantization-aware model without rounding, and its layers' ranges by `id`.

    A layer that is called several times has several ranges, and is left out. Any other model is
    returned as it is.
    """

    def plain(layer):
        if not isinstance(layer, RoundedKernel):
            return None
        kind = next(kind for kind in PLAIN if isinstance(layer, kind))
        return kind.from_config(layer.get_config())

    def call(layer, *args, **kwargs):
        return args[0] if isinstance(layer, FakeQuantize) else layer(*args, **kwargs)

    rounding = [layer for layer in all_layers(model) if isinstance(layer, FakeQuantize)]
    if not rounding:
        return model, {}
    copy, twins = rebuild_with_twins(model, plain, call=call)
    sources = [id(maker(layer.input)) for layer in rounding]
    return copy, {
        id(twins[source]): layer.range
        for source, layer in zip(sources, rounding, strict=True)
        if sources.count(source) == 1 and source in twins
    }


def _tell_apart(model: keras.Model) -> None:
    """Gives operations that share a name in nested models different ones, for one common graph."""
    taken: set[str] = set()
    for operation in _operations(model):
        operation.name = _free(operation.name, taken)
        taken.add(operation.name)


def _operations(model: keras.Model) -> Iterator[Operation]:
    """The operations of a graph and its nested ones, each once."""
    seen: dict[int, Operation] = {}
    graphs = [model]
    while graphs:
        for operation in graph(graphs.pop()).operations:
            if id(operation) not in seen:
                seen[id(operation)] = operation
                graphs += [operation] if isinstance(operation, keras.Model) else []
    return (one for one in seen.values() if not isinstance(one, keras.Model))


def _free(name: str, taken: set[str]) -> str:
    names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
    return next(one for one in names if one not in taken)


def _rounded(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    kind = ROUNDED.get(type(layer))
    return kind and kind.from_config(layer.get_config())


def _same(layer):
    return layer


class _Graph:
    """Calls the layers of a graph, also of nested ones, and rounds tensors that int8 would store.

    A batch normalization or ReLU becomes one op with the linear layer before it, and the tensor
    between them is never stored.
    """

    def __init__(self, model: keras.Model):
        # By the identity of a tensor: the tensor, and the layer that made it or its rounded tensor.
        self._owed: dict[int, tuple] = {}
        self._settled: dict[int, tuple] = {}
        self._names = {operation.name for operation in _operations(model)}

    def __call__(self, layer, *args, **kwargs):
        inputs = args[0] if args else kwargs.get("inputs")
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            return self._nested(layer, inputs)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        if not self._is_fused(layer, inputs):
            args, kwargs = keras.tree.map_structure(self._rounded, (args, kwargs))
        outputs = layer(*args, **kwargs)
        for tensor in keras.tree.flatten(outputs):
            if isinstance(layer, _SAME_SCALE):
                self._settled[id(tensor)] = (tensor, tensor)
            else:
                self._owed[id(tensor)] = (tensor, layer)
        return outputs

    def _nested(self, model: keras.Model, inputs):
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                inputs = self(layer, inputs)
            return inputs
        return run_through(model, inputs, self)

    def _is_fused(self, layer, inputs) -> bool:
        if not isinstance(layer, _FUSED) or id(inputs) not in self._owed:
            return False
        before = self._owed[id(inputs)][1]
        linear = isinstance(before, PLAIN) and before.activation is keras.activations.linear
        behind = isinstance(before, (keras.layers.BatchNormalization, keras.layers.Add))
        return linear or (behind and isinstance(layer, keras.layers.ReLU))

    def _rounded(self, tensor):
        if not isinstance(tensor, keras.KerasTensor) or "float" not in tensor.dtype:
            return tensor
        if id(tensor) not in self._settled:
            name = _free(f"{maker(tensor).name}_range", self._names)
            self._names.add(name)
            rounded = FakeQuantize(name=name)(tensor)
            self._settled[id(tensor)] = (tensor, rounded)
            self._settled[id(rounded)] = (rounded, rounded)
        return self._settled[id(tensor)][1]


def _set_ranges(aware: keras.Model, rows: list[np.ndarray]) -> None:
    rounding = [layer for layer in aware.layers if isinstance(layer, FakeQuantize)]
    probe = keras.Model(aware.inputs, [layer.input for layer in rounding])
    samples = [Samples(len(rows[0])) for _ in rounding]
    numbers = sum(part[0].size for part in rows)
    batch = max(1, min(_BATCH, _NUMBERS // numbers))
    for start in range(0, len(rows[0]), batch):
        outputs = probe.predict_on_batch([part[start : start + batch] for part in rows])
        for sample, output in zip(samples, keras.tree.flatten(outputs), strict=True):
            for row in output:
                sample.add(row)
    for layer, sample in zip(rounding, samples, strict=True):
        layer.set_range(*clipped_range(sample.values))
