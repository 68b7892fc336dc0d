"""For tests and for the examples in docstrings."""

import sys

import keras
import pytest

#: The modules of backends that are not in use, and perhaps not installed.
collect_ignore = [
    f"fr_keras/_backends/_{name}.py"
    for name in ("tensorflow", "jax", "torch")
    if name != keras.backend.backend()
]
_TABLES = (("fr_keras.layers", "TWINS"), ("fr_bench.candidates._table", "_candidates"))


@pytest.fixture(autouse=True)
def _what_a_test_registers_is_forgotten():
    loaded = [(sys.modules[module], name) for module, name in _TABLES if module in sys.modules]
    tables = [(table := getattr(module, name), dict(table)) for module, name in loaded]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)
