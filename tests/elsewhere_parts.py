"""Layers of a user's own, in a module that another process can import."""

import os
import signal

import keras


@keras.saving.register_keras_serializable("elsewhere")
class Scaled(keras.layers.Layer):
    """Multiplies by a number."""

    def __init__(self, by=2.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, x):
        return keras.ops.multiply(x, self.by)

    def get_config(self):
        return {**super().get_config(), "by": self.by}


@keras.saving.register_keras_serializable("elsewhere")
class Deadly(Scaled):
    """Kills a process whose backend is TensorFlow, as a system does when memory runs out."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if keras.backend.backend() == "tensorflow":
            os.kill(os.getpid(), signal.SIGKILL)


@keras.saving.register_keras_serializable("elsewhere")
def doubled(x):
    """An activation."""
    return 2 * x
