"""What a recipe holds, and what its values may be."""

import dataclasses
from collections.abc import Callable

from fr_bench.training import Regime
from fr_keras.models.budget import Keep


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All options of `fr-keras train`.

    Attributes:
        model: The name of a network of `fr_bench.training.NETWORKS`, or the path of a Keras file.
        data: A data set, as for `fr_bench.data.load`.
        validation: Rows for validation, as for `fr_bench.data.load`.
        image_size: `(height, width)` of the images of a folder.
        scale: The range of pixels that the network takes: see `fr_bench.preflight.preflight`.
        loss: The name of a loss of Keras, in place of the one that fits the labels.
        metric: The name of a score, in place of the usual one.
        keep: How many coefficients to keep: a count, a fraction, or a dict by the names of layers.
            By default 0.01, or what an FR model has.
        start: How many coefficients a plain network begins with, as for `fr_keras.regularize`.
        axis_weights: Weights of the axes in the order of coefficients, by the name of a layer, as
            for `fr_keras.regularize`.
        epochs: The total number of epochs.
        truncation_epochs: Epochs until only `keep` is left; by default 0.3 of all.
        schedule: The name of the truncation schedule.
        floors: The fewest coefficients that a layer gets from a total, or `"frereg"`.
        sharing: How a total is divided among the layers.
        batch_size: Training rows per step.
        steps: Steps of an epoch; by default as many as the training rows give. Only with `crop`.
        learning_rate: Adam's learning rate at its highest; at the end it is 0.
        warmup: The share of all steps in which the learning rate rises from 0.
        beta_2: Adam's decay of squared gradients.
        seed: The seed for the initial weights, shuffling, crops and dropout.
        crop: Side of the squares, in pixels, that are cut from random places of the training
            images and masks. Validation and test rows are cut into such squares side by side.
        turns: Whether these squares are turned and mirrored at random.

    Raises:
        ValueError: If a value is of the wrong type or out of range.

    Example:

    >>> Recipe(model="lenet5", epochs=20).regime(0.01).truncation_epochs
    6
    """

    model: str | None = None
    data: str = "digits"
    validation: str | None = None
    image_size: tuple[int, int] | None = None
    scale: str | None = None
    loss: str | None = None
    metric: str | None = None
    keep: Keep | None = None
    start: Keep | None = None
    axis_weights: dict[str, list[float]] | None = None
    epochs: int = 40
    truncation_epochs: int | None = None
    schedule: str = "geometric"
    floors: int | str = 1
    sharing: str = "bandwidth"
    batch_size: int = 32
    steps: int | None = None
    learning_rate: float = 5e-3
    warmup: float = 0.0
    beta_2: float = 0.999
    seed: int = 0
    crop: int | None = None
    turns: bool = False

    def __post_init__(self):
        for key, value in dataclasses.asdict(self).items():
            rule, fits = _RULES[key]
            if not (value is None and _DEFAULTS[key] is None) and not fits(value):
                raise ValueError(f"`{key}` must be {rule}. Received: {value!r}")
        if self.crop is None and (self.turns or self.steps is not None):
            raise ValueError("`turns` and `steps` need `crop`. Received: no `crop`")
        if self.truncation_epochs is not None and self.truncation_epochs > self.epochs:
            raise ValueError(
                f"`truncation_epochs` must be at most `epochs`, {self.epochs}. "
                f"Received: {self.truncation_epochs}"
            )

    def regime(self, keep: Keep) -> Regime:
        """Returns the training regime that keeps so many coefficients."""
        names = {field.name for field in dataclasses.fields(Regime)}
        shared = {k: v for k, v in dataclasses.asdict(self).items() if k in names}
        truncation = self.truncation_epochs or max(1, round(self.epochs * 0.3))
        return Regime(**{**shared, "keep": keep, "truncation_epochs": truncation})


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Recipe)}


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_keep(value) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(not isinstance(v, dict) and _is_keep(v) for v in value.values())
    return _is_count(value) or (isinstance(value, float) and 0 < value <= 1)


def _are_weights(value) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, (list, tuple)) and one and all(map(_is_number, one))
        for one in value.values()
    )


def _is_size(value) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_count, value))


_TEXT = "a text", lambda value: isinstance(value, str)
_COUNT = "a whole number of at least 1", _is_count
_KEEP = "a count of at least 1, a fraction above 0 and at most 1.0, or a table of these", _is_keep
_SHARE = "a number from 0 and below 1", lambda value: _is_number(value) and 0 <= value < 1
# For each key the rule in words, and whether a value keeps it. What a text may be, others check.
_RULES: dict[str, tuple[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("model", "data", "validation", "scale", "loss", "metric"), _TEXT),
    **dict.fromkeys(("schedule", "sharing"), _TEXT),
    **dict.fromkeys(("epochs", "truncation_epochs", "batch_size", "steps", "crop"), _COUNT),
    **dict.fromkeys(("keep", "start"), _KEEP),
    **dict.fromkeys(("warmup", "beta_2"), _SHARE),
    "image_size": ("a height and a width in pixels", _is_size),
    "axis_weights": ("a table of lists of numbers, by the names of layers", _are_weights),
    "floors": ("'frereg' or a whole number of at least 1", lambda v: v == "frereg" or _is_count(v)),
    "learning_rate": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "seed": ("a whole number from 0", lambda value: value == 0 or _is_count(value)),
    "turns": ("true or false", lambda value: isinstance(value, bool)),
}
