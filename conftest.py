"""For tests and for the examples in docstrings."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _twins_of_a_test_are_forgotten():
    layers = sys.modules.get("fr_keras.layers")
    before = dict(layers.TWINS) if layers else None
    yield
    if before is not None:
        layers.TWINS.clear()
        layers.TWINS.update(before)
