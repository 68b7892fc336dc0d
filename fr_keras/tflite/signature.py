"""Inputs and outputs of a Keras model, flat and by name, as in a .tflite file.

If the model takes or returns a tensor under a key of a dict, the path to it is its name: `"q/1"` is
the second of a list under the key `"q"`. Any other tensor has the name of its layer. If a name
occurs twice, the position among the flat tensors is added, as in `"heads_0"`.
"""

import collections
import functools
import operator
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from fr_keras.models.walk import ends


def input_names(model: keras.Model) -> list[str]:
    """Returns the names of the flat inputs, all different."""
    return _names(ends(model)[0], [tensor.name for tensor in model.inputs])


def output_names(model: keras.Model) -> list[str]:
    """Returns the names of the flat outputs, all different."""
    if isinstance(model, keras.Sequential):
        return [model.layers[-1].name]
    return _names(model.output, list(model.output_names))


def packed(model: keras.Model, flat: Sequence) -> object:
    """Returns the flat inputs in the structure that the model takes."""
    return keras.tree.pack_sequence_as(ends(model)[0], list(flat))


def by_input(data, names: Sequence[str], argument: str, structure=None) -> list:
    """Returns one element of `data` for each input.

    Args:
        data: A dict by name, a list or tuple in order, or a structure like that of the inputs; if
            there is one input, anything else is its data itself.
        names: The names of the inputs, in order.
        argument: The caller's name for `data`.
        structure: The structure of the model's inputs; `None` is that of `data`, if its keys give
            these names.

    Raises:
        ValueError: If inputs are missing or left over.
    """
    if isinstance(data, Mapping) and {*data} == {*names}:
        return [data[name] for name in names]
    if len(names) == 1 and not isinstance(data, Mapping):
        return [data]
    if structure is None and len(_paths(data)) == len(names) and _names(data, names) == [*names]:
        structure = data
    if structure is not None and _fits(structure, data):
        return [functools.reduce(operator.getitem, path, data) for path in _paths(structure)]
    nested = f"one entry for each of the inputs {list(names)}, or be nested like the model's inputs"
    if isinstance(data, Mapping):
        raise ValueError(f"`{argument}` must have {nested}. Received: {sorted(map(str, data))}")
    if not isinstance(data, (list, tuple)) or len(data) != len(names):
        found = f"{type(data).__name__}" + (f" of {len(data)}" if hasattr(data, "__len__") else "")
        raise ValueError(
            f"`{argument}` must be a dict, or a list in this order, with {nested}. "
            f"Received: {found}"
        )
    return list(data)


def _fits(structure, data) -> bool:
    """Whether `data` has a structure; in the place of a tensor there may be anything."""
    if isinstance(structure, Mapping):
        same = isinstance(data, Mapping) and {*data} == {*structure}
        return same and all(_fits(structure[key], data[key]) for key in structure)
    if isinstance(structure, (list, tuple)):
        same = isinstance(data, (list, tuple)) and len(data) == len(structure)
        return same and all(map(_fits, structure, data))
    return True


def _paths(structure) -> list[tuple]:
    """The keys and positions that lead to each tensor, in the order of the flat ones."""
    return [path for path, _ in keras.tree.flatten_with_path(structure)]


def predict(model: keras.Model, rows: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the model's flat outputs as float32, in batches of about a million input numbers."""
    size = sum(part[0].size for part in rows)
    batch = min(32, 1 + 2**20 // size)
    if len(rows[0]) <= batch:  # to trace a network takes longer than to run it once
        found = model(packed(model, rows), training=False)
    else:
        found = model.predict(packed(model, rows), batch_size=batch, verbose=0)
    outputs = map(keras.ops.convert_to_numpy, keras.tree.flatten(found))
    return [output.astype(np.float32) for output in outputs]


def _names(structure, layers: list[str]) -> list[str]:
    """The names of flat tensors whose layers have these names."""
    found = []
    for path, layer in zip(_paths(structure), layers, strict=True):
        insides = [
            functools.reduce(operator.getitem, path[:n], structure) for n in range(len(path))
        ]
        in_dict = any(isinstance(inside, Mapping) for inside in insides)
        found.append("/".join(map(str, path)) if in_dict else layer)
    times = collections.Counter(found)
    taken = {name for name in found if times[name] == 1}
    return [
        name if times[name] == 1 else _free(f"{name}_{number}", taken)
        for number, name in enumerate(found)
    ]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
