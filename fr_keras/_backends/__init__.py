"""What Keras has no function for, under each of its backends.

Each module has the same functions, and `backend` is the one of the backend in use.
"""

import importlib

try:
    import keras
except (ImportError, ValueError) as error:  # the latter for a name that Keras does not know
    raise ImportError(
        "Keras cannot be imported with the backend that is set: install it, such as with "
        "pip install 'fr-keras[jax]' or 'fr-keras[torch]', or set the environment variable "
        f"KERAS_BACKEND to another before Keras is imported. Received: {error}"
    ) from error

NAMES = ("tensorflow", "jax", "torch")


def _chosen():
    name = keras.backend.backend()
    if name not in NAMES:
        raise ImportError(
            "fr_keras needs a backend of Keras that can train: set the environment variable "
            "KERAS_BACKEND to tensorflow, jax or torch, or the backend in keras.json, before Keras "
            f"is imported. Received: backend '{name}'"
        )
    return importlib.import_module(f"fr_keras._backends._{name}")


backend = _chosen()


def assign_copy(variable: keras.Variable, values) -> None:
    """Gives a variable the values of another one, or of part of it.

    With `assign` alone, both would be one array under JAX, and training either would destroy it.
    """
    variable.assign(keras.ops.copy(values))


def exact_type(dtype) -> str:
    """Returns float64 for itself, and float32 for every other type.

    Under PyTorch, `keras.backend.result_type` of float64 and float32 is float32.
    """
    return "float64" if keras.backend.standardize_dtype(dtype) == "float64" else "float32"
