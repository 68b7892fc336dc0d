"""Recipes: all options of a training in one file, and those that have a name here."""

from fr_bench.recipes._named import NAMES, named
from fr_bench.recipes._recipe import Recipe
from fr_bench.recipes._toml import read, write

__all__ = ["NAMES", "Recipe", "named", "read", "write"]
