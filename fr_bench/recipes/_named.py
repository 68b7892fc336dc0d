"""The recipes that come with this package."""

import importlib.resources

from fr_bench.recipes._recipe import Recipe
from fr_bench.recipes._toml import parsed

_FOLDER = importlib.resources.files("fr_bench.recipes")
#: The names that `named` takes.
NAMES = tuple(sorted(one.name[:-5] for one in _FOLDER.iterdir() if one.name.endswith(".toml")))


def named(name: str) -> Recipe:
    """Returns a recipe of this package.

    Args:
        name: One of `NAMES`.

    Raises:
        ValueError: If there is no such recipe.

    Example:

    >>> recipe = named("lenet5-776")
    >>> recipe.model, sum(recipe.keep.values())
    ('lenet5', 776)
    """
    if name not in NAMES:
        raise ValueError(f"`recipe` must be one of {', '.join(NAMES)}. Received: {name!r}")
    return parsed((_FOLDER / f"{name}.toml").read_text("utf-8"), f"the recipe '{name}'")
