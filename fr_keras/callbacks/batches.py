"""What callbacks do between the batches of an epoch."""

import keras


def attach(callback: keras.callbacks.Callback) -> None:
    """Gives the variables of the callback's model their values of now, which may then be assigned.

    Within an epoch, JAX holds the values elsewhere until a callback asks for its model.
    """
    _ = callback.model
