"""Lets a callback act after all others at the end of `fit`."""

from collections.abc import Callable

import keras


def run_last(model: keras.Model, function: Callable[[], None]) -> bool:
    """Calls a function at the end of a fit, after all callbacks, which may change the weights.

    Returns whether it will: not in a loop of the user's own.
    """
    # There is no public way to the other callbacks, but Keras puts its History after them.
    history = getattr(model, "history", None)
    if not isinstance(history, keras.callbacks.History):
        return False
    before = vars(history).pop("on_train_end", None)

    def both(logs=None):
        del history.on_train_end
        if before is not None:
            history.on_train_end = before
        history.on_train_end(logs)
        function()

    history.on_train_end = both
    return True
