"""Writes a Keras 3 model so that tf-keras (Keras 2) can read it."""

import inspect

import keras
import numpy as np

# Weights are passed on by value, and all types are float32 in the other process.
_LEFT_OUT = ("dtype", "trainable", "kernel_initializer", "bias_initializer")


def architecture(model: keras.Model) -> dict:
    """Returns a functional config in the format of tf-keras.

    Only options that differ from a layer's defaults are written. The defaults are the same in
    both, and tf-keras refuses an option that it does not have, so that none is lost.

    Raises:
        ValueError: If a layer is not Keras' own or is a nested model, or is called in a way that
            tf-keras writes differently.
    """
    config = model.get_config()
    rows = config["layers"]
    if isinstance(model, keras.Sequential):
        rows = _chained(rows)
        ends = [[rows[0]["config"]["name"], 0, 0]], [[rows[-1]["config"]["name"], 0, 0]]
    else:
        ends = [keras.tree.flatten(config[end]) for end in ("input_layers", "output_layers")]
        ends = [np.reshape(end, (-1, 3)).tolist() for end in ends]
        ends = [[[name, int(node), int(index)] for name, node, index in end] for end in ends]
    return {
        "name": model.name,
        "layers": [_layer(row) for row in rows],
        "input_layers": ends[0],
        "output_layers": ends[1],
    }


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns `layer name/number -> values`, without the states of random generators."""
    return {
        f"{layer.name}/{number}": keras.ops.convert_to_numpy(variable)
        for layer in model.layers
        for number, variable in enumerate(_variables(layer))
    }


def assign(model: keras.Model, values: dict[str, np.ndarray]) -> None:
    """Sets the values that `weights` returned.

    Raises:
        ValueError: If a weight is missing, left over, or has another shape.
    """
    named = {
        f"{layer.name}/{number}": variable
        for layer in model.layers
        for number, variable in enumerate(_variables(layer))
    }
    if named.keys() != values.keys():
        raise ValueError(
            "The network must have the same weights in tf-keras. Received: a difference in "
            f"{sorted(named.keys() ^ values.keys())}"
        )
    for name, variable in named.items():
        variable.assign(values[name])


def _variables(layer: keras.layers.Layer) -> list:
    ordered = [*layer.trainable_variables, *layer.non_trainable_variables]
    return [one for one in ordered if "seed_generator" not in one.path]


def _chained(rows: list[dict]) -> list[dict]:
    """The rows of a sequential model, each called on the row before."""
    chained = [{**rows[0], "inbound_nodes": []}]
    for row in rows[1:]:
        before = {"config": {"keras_history": [chained[-1]["config"]["name"], 0, 0]}}
        chained.append({**row, "inbound_nodes": [{"args": [before], "kwargs": {}}]})
    return chained


def _layer(row: dict) -> dict:
    name, kind = row["config"]["name"], row["class_name"]
    if row["registered_name"] is not None or row["module"] != "keras.layers":
        raise ValueError(
            f"`model` must have only Keras' own layers and no nested models for pruning. "
            f"Received: layer '{name}' of type {kind}"
        )
    return {
        "class_name": kind,
        "name": name,
        "config": _config(getattr(keras.layers, kind), row["config"]),
        "inbound_nodes": [_node(name, node) for node in row["inbound_nodes"]],
    }


def _config(layer_class: type, config: dict) -> dict:
    if layer_class is keras.layers.InputLayer:
        return {"name": config["name"], "batch_input_shape": config["batch_shape"]}
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(layer_class.__init__).parameters.items()
    }
    return {
        name: value
        for name, value in config.items()
        if name not in _LEFT_OUT and value is not None and value != defaults.get(name)
    }


def _node(name: str, node: dict) -> list:
    """One call of a layer, as tf-keras writes it: `[[layer, node, tensor, {}], ...]`."""
    # Keras 3 records `training` with every call and overrides it when the model runs.
    given = {key for key, value in node["kwargs"].items() if value is not None}
    options = given - {"training"}
    (argument, *rest) = node["args"] or [None]
    tensors = argument if isinstance(argument, list) else [argument]
    if options or rest or not all(isinstance(one, dict) and "config" in one for one in tensors):
        raise ValueError(
            "`model` must call each layer on one tensor or one list of tensors for pruning. "
            f"Received: layer '{name}', called with other arguments {sorted(options)}"
        )
    return [[*one["config"]["keras_history"], {}] for one in tensors]
