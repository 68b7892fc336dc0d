"""`regularize`: turns a functional or sequential Keras model into its twin in the DCT domain."""

import warnings
from collections.abc import Callable, Mapping, Sequence

import keras

from fr_keras import spectral, zigzag
from fr_keras._backends import assign_copy
from fr_keras._keras_internals import maker
from fr_keras.layers import (
    TWINS,
    FRBatchNormalization,
    FRDense,
    FrequencyKernel,
    FrequencyTwin,
    Quantizing,
    misnamed,
    refusal,
)
from fr_keras.models._carry import carry, carry_random_states
from fr_keras.models._ordering import unordered
from fr_keras.models.budget import Keep, targets
from fr_keras.models.selectors import Selector, check_names, matches, names
from fr_keras.models.walk import check_graph, named_layers, plain_kernels, rebuild_by

# Layers that neither move nor mix the numbers of a flattened tensor.
_ELEMENTWISE = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)


def regularize(
    model: keras.Model,
    include: Selector = None,
    exclude: Selector = None,
    axis_weights: Mapping[str, Sequence[float]] | None = None,
    start: Keep | None = None,
) -> keras.Model:
    """Returns the twin of `model` with its kernels held as DCT coefficients.

    The twin computes the same function, because nothing is cut yet: train it with
    `TailTruncation`. With `start`, it begins with only low frequencies and stores no others.
    Training then takes less memory, and less time if the corners are small. Batch normalizations
    also become `layers.FRBatchNormalization` then, which computes the same with less work.

    Layers keep their names. In the arguments, layers have these names, also inside nested models,
    or paths such as `"left/fc"` where several layers share a name. Layer types without a twin, such
    as normalization, are copied unchanged; `summary` lists them. Layers inside nested models and
    `TimeDistributed` are converted; other layers that hold layers are copied whole. A Dense after a
    Flatten holds its kernel with the axes of the tensor that was flattened.

    If the model was trained without frequency regularization, give the result of
    `fr_keras.order_channels(model)` instead: FR then keeps more of what it learnt. There is a
    warning if the channels stand in no order and the model's optimizer has made steps. Whether a
    model without its optimizer was trained cannot be known, such as one that was loaded with
    `compile=False` or comes from `keras.applications`.

    Args:
        model: A built functional or sequential model. It is not changed.
        include: Layers to convert: a name, a layer class, a predicate `layer -> bool`, or a list
            of these. `None` converts every layer that has a twin.
        exclude: Layers to leave plain, given in the same ways.
        axis_weights: Weights of the coefficients' axes in the zigzag order, as a dict from the
            name of a layer that has one kernel.
        start: How many coefficients the model begins with, given like `keep` of `TailTruncation`:
            a count for the whole model, a fraction, or a dict from layer name to either; a total
            is divided by bandwidth. Layers with several kernels, such as separable convolutions,
            begin whole and do not count. With `None`, the model begins with all coefficients.

    Returns:
        A new model, not compiled.

    Raises:
        ValueError: If `model` is unbuilt or subclassed, or holds weights that are not finite; if an
            argument names a layer that is not in it; if no layer is left to convert, or one has a
            kernel constraint or regularizer that has no meaning for coefficients; if `start` is out
            of range.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> tuple(regularize(model).layers[0].coefficients.shape)
    (8, 4)
    >>> tuple(regularize(model, start=6).layers[0].coefficients.shape)
    (3, 3)
    """
    check_graph(model)
    axis_weights = dict(axis_weights or {})
    named = named_layers(model)
    weighable = {
        n for n, x in named.items() if issubclass(TWINS.get(type(x), object), FrequencyKernel)
    }
    check_names("include", names(include), named)
    check_names("exclude", names(exclude), named)
    check_names("axis_weights", axis_weights, weighable)
    chosen = _chosen(named, include, exclude)
    _suggest_order(model, chosen)
    configs = {id(x): twin_config(x, axis_weights.get(name)) for name, x in chosen.items()}
    counts = {} if start is None else _starts(chosen, configs, start)
    twins: dict[int, FrequencyTwin] = {}
    begun: set[int] = set()

    def exchange(layer):
        if start is not None and type(layer) is keras.layers.BatchNormalization:
            return FRBatchNormalization.from_config(layer.get_config())
        if id(layer) not in configs:
            return None
        twin = twins[id(layer)] = TWINS[type(layer)].from_config(configs[id(layer)])
        if _takes_kernel(twin):
            twin.beginning = _transformed(layer, twin)
            begun.add(id(twin))
        return twin

    def fill(layer, twin):
        if id(twin) not in begun:
            return carry(layer, twin, FrequencyTwin.fill_plain)
        for own, its in twin.other_weights(layer):
            assign_copy(own, its)
        return carry_random_states(layer, twin)

    twin, _ = rebuild_by(model, exchange, fill)
    for identity, kept in counts.items():
        twins[identity].truncate(kept)
    return twin


def _takes_kernel(twin: keras.layers.Layer) -> bool:
    """Whether the coefficients of a new layer can begin as the DCT of a kernel.

    A class may load others, or make its weights when it is made itself.
    """
    kind, usual = type(twin), FrequencyKernel
    return (
        isinstance(twin, usual)
        and not hasattr(twin, "coefficients")
        and (kind.load_plain, kind.set_kernel) == (usual.load_plain, usual.set_kernel)
    )


def _transformed(layer: keras.layers.Layer, twin: FrequencyKernel) -> Callable:
    """Makes the coefficients of a layer's kernel when they are created: first random ones would
    take as long again, and twice the memory."""

    def initializer(shape, dtype=None):
        (kernel,) = twin.plain_kernels(layer)
        kernel = keras.ops.reshape(keras.ops.cast(kernel, "float32"), twin.spectrum_shape)
        return spectral.dct_nd(kernel, corner=shape)

    return initializer


def _suggest_order(model: keras.Model, chosen: dict[str, keras.layers.Layer]) -> None:
    """Warns if a model is known to be trained, and the channels that FR would cut have no order."""
    optimizer = model.optimizer if model.compiled else None
    if optimizer is None or not keras.ops.convert_to_numpy(optimizer.iterations) > 0:
        return
    ids = {id(layer) for layer in chosen.values()}
    kernels = {id(kernel) for layer, kernel in plain_kernels(model).values() if id(layer) in ids}
    groups = unordered(model, kernels)
    if groups:
        warnings.warn(
            f"`model` has been trained, and its channels stand in no order: in {len(groups)} "
            f"groups, such as '{groups[0]}', neighbours are no more alike than any two. FR would "
            "cut what matters like what does not. Give `fr_keras.order_channels(model)`, which "
            "computes the same, to keep more of what the model learnt.",
            stacklevel=3,
        )


def twin_config(layer: keras.layers.Layer, axis_weights: Sequence[float] | None) -> dict:
    """Returns the config of the FR layer that takes the place of a plain one in its graph."""
    config = layer.get_config()
    if axis_weights is not None:
        config["axis_weights"] = axis_weights
    if issubclass(TWINS[type(layer)], FRDense):
        config["input_axes"] = flattened_axes(layer)
    return config


def _starts(chosen: dict[str, keras.layers.Layer], configs: dict[int, dict], start: Keep) -> dict:
    """How many coefficients each layer begins with, by its id; writes the corners to the configs.

    Nothing is built: the whole spectra of a large model would take too much memory.
    """
    twins = {}
    for name, layer in chosen.items():
        twin = TWINS[type(layer)].from_config(configs[id(layer)])
        if isinstance(twin, FrequencyKernel):
            twin.spectrum_shape = twin.spectrum_of(tuple(getattr(layer, twin.weight_name).shape))
            twins[name] = twin
    counts = {}
    for name, kept in targets(twins, start).items():
        twin = twins[name]
        counts[id(chosen[name])] = kept
        configs[id(chosen[name])]["stored"] = zigzag.corner(
            twin.spectrum_shape, kept, twin.axis_weights
        )
    return counts


def _chosen(
    named: dict[str, keras.layers.Layer], include: Selector, exclude: Selector
) -> dict[str, keras.layers.Layer]:
    """The layers to convert, by name; an error if there are none, or one cannot be converted."""
    chosen = {
        name: layer
        for name, layer in named.items()
        if (type(layer) in TWINS or isinstance(layer, Quantizing))
        and (include is None or matches(include, name, layer))
        and not (exclude is not None and matches(exclude, name, layer))
    }
    for name, layer in chosen.items():
        reason, twin = refusal(layer), TWINS.get(type(layer))
        if twin is None:
            reason = "it is quantized. Use `fr_keras.bake(model)` first to let its levels go"
        elif reason is None and issubclass(twin, FrequencyKernel):
            reason = misnamed(layer, twin.weight_name)
        if reason is not None:
            raise ValueError(f"Layer '{name}' cannot be converted; `exclude` it: {reason}")
    if not chosen:
        raise ValueError(
            "`model` must have a layer to convert: one of type "
            f"{sorted(t.__name__ for t in TWINS)} that `include` and `exclude` select. "
            f"Received: {list(named)}"
        )
    return chosen


def flattened_axes(dense: keras.layers.Dense) -> tuple[int, ...] | None:
    """The shape of the tensor that a Flatten before `dense` flattens; `None` if there is none."""
    layer = dense
    while True:
        try:
            layer = maker(layer.input)
        except (AttributeError, ValueError):  # not one tensor: no Flatten
            return None
        if isinstance(layer, keras.layers.Flatten):
            axes = tuple(layer.input.shape[1:])
            if layer.data_format == "channels_first":
                axes = axes[1:] + axes[:1]
            return axes if len(axes) > 1 and None not in axes else None
        if not isinstance(layer, _ELEMENTWISE):
            return None
