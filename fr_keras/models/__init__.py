"""Functions that take a Keras model and give one back, such as `regularize` and `bake`."""

from fr_keras.models._ordering import order_channels
from fr_keras.models.baking import bake
from fr_keras.models.compaction import compact
from fr_keras.models.summaries import Summary, summary
from fr_keras.models.twins import regularize

__all__ = ["Summary", "bake", "compact", "order_channels", "regularize", "summary"]
