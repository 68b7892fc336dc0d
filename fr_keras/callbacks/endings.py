"""The end of `fit`, after every callback has had its turn."""

from collections.abc import Callable

import keras


def after_all(model: keras.Model, function: Callable[[], None]) -> bool:
    """Lets `function` run once when all callbacks of this `fit` have ended.

    Other callbacks may still change the weights when `fit` ends, such as
    `EarlyStopping(restore_best_weights=True)`.

    Returns:
        Whether it will run. It will not for a list of callbacks in a loop of the user's own.
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
