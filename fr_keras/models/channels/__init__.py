"""Channels of a model: which belong together, and models with fewer or reordered ones."""

from fr_keras.models.channels._groups import Axis, Group, Groups, groups
from fr_keras.models.channels._surgery import order, remove

__all__ = ["Axis", "Group", "Groups", "groups", "order", "remove"]
