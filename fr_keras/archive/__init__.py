"""The `.fr` archive: a network as a download of kilobytes.

The format itself is in `fr_archive`, which needs only numpy. This package writes Keras models to
archives and loads them.
"""

from fr_keras.archive._load import inspect, load_archive
from fr_keras.archive._nested_packing import Capacity, NestedPacking
from fr_keras.archive._report import LayerRow, Packing
from fr_keras.archive._save import save_archive
from fr_keras.archive._save_nested import save_nested
from fr_keras.archive._search import SearchResult, Trial, search

__all__ = [
    "Capacity",
    "LayerRow",
    "NestedPacking",
    "Packing",
    "SearchResult",
    "Trial",
    "inspect",
    "load_archive",
    "save_archive",
    "save_nested",
    "search",
]
