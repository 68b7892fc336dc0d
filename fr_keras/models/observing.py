"""Sees what layers compute while a model is called."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import keras


@contextlib.contextmanager
def replaced(
    operations: Iterable[keras.Operation],
    wrap: Callable[[keras.Operation, Callable], Callable],
) -> Iterator[None]:
    """Gives operations another `call` for a while: what `wrap` makes of the one they have."""
    operations = list(operations)
    before = [vars(one).get("call") for one in operations]
    try:
        for one in operations:
            one.call = wrap(one, one.call)
        yield
    finally:
        for one, call in zip(operations, before, strict=True):
            if call is not None:
                one.call = call
            elif "call" in vars(one):
                del one.call
