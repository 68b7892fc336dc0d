"""Whether data have inputs of the shapes that a network takes."""

from fr_bench.data import Dataset


def check_inputs(wanted: list[tuple], data: Dataset) -> None:
    """Refuses data of another shape than a network takes.

    Args:
        wanted: The shape of each input without the axis of rows; `None` is an open length.
        data: The data set.

    Raises:
        ValueError: If they have one.
    """
    x = data.train.x if isinstance(data.train.x, tuple) else (data.train.x,)
    given = [one.shape[1:] for one in x]
    fits = len(wanted) == len(given) and all(
        len(a) == len(b) and all(n in (None, m) for n, m in zip(a, b, strict=True))
        for a, b in zip(wanted, given, strict=False)
    )
    if not fits:
        raise ValueError(
            f"`data` must have inputs that `model` takes, of shape {_shapes(wanted)}. Received: "
            f"'{data.name}' with inputs of shape {_shapes(given)}{_way_out(wanted, given)}"
        )


def _shapes(shapes: list) -> str:
    return ", ".join(map(str, shapes))


def _way_out(wanted: list, given: list) -> str:
    """What to do about pictures of another size or with other channels."""
    if len(wanted) != 1 or len(given) != 1 or len(wanted[0]) != 3 or len(given[0]) != 3:
        return ""
    (height, width, channels), (rows, columns, colors) = wanted[0], given[0]
    advice = []
    if (height, width) != (rows, columns) and None not in (height, width):
        advice.append(f"`image_size=({height}, {width})`")
    if channels not in (colors, None):
        advice.append(f"`channels={channels}`")
    if not advice:
        return ""
    return (
        f". A folder can be loaded with {' and '.join(advice)}; change arrays with "
        "`keras.ops.image.resize`, `keras.ops.image.rgb_to_grayscale` or, from grey to colour, "
        "`np.repeat(x, 3, axis=-1)`"
    )
