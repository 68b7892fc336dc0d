"""Which examples of a test are fast ones."""

from collections.abc import Iterable

import pytest


def telling(examples: Iterable, *fast) -> list:
    """All examples, each one argument; those that are not among `fast` are slow."""
    examples = list(examples)
    assert all(one in examples for one in fast), fast
    return [one if one in fast else pytest.param(one, marks=pytest.mark.slow) for one in examples]
