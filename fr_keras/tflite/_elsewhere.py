"""TensorFlow's converter where Keras has another backend: it runs in a process of its own."""

import importlib
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import keras

from fr_keras.models.walk import not_compiled

_MODEL, _REQUEST, _ANSWER = "model.keras", "request", "answer"
_SAID = 500  # characters of an error or of a log


def with_tensorflow(work: Callable, model: keras.Model, *arguments):
    """Returns `work(model, *arguments)`, as TensorFlow computes it.

    Under another backend, this starts a process, which loads the model from a temporary file. The
    process uses no GPU, because JAX keeps most of its memory. Its warnings are given here.

    Args:
        work: A function of a module.
        model: A model that Keras can save.
        arguments: Plain data, without layers and tensors, as `work` returns it.

    Raises:
        ImportError: If TensorFlow is not installed.
        ValueError: If the model cannot be saved here, or not be loaded there.
        RuntimeError: If the process is killed.
        Exception: Whatever `work` raises. What is not of Python's own types is a RuntimeError.
    """
    if keras.backend.backend() == "tensorflow":
        return work(model, *arguments)
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "TensorFlow must be installed, because its converter writes .tflite files under every "
            "backend of Keras: pip install 'tensorflow>=2.21,<2.22'. Received: backend "
            f"'{keras.backend.backend()}', and no TensorFlow"
        )
    with tempfile.TemporaryDirectory(prefix="fr_keras_") as folder:
        ask(folder, work, model, arguments)
        _run(folder)
        return answered(folder)


def ask(folder: str, work: Callable, model: keras.Model, arguments: tuple) -> None:
    """Writes to a folder what `serve` has to do.

    Raises:
        ValueError: If the model cannot be saved, or its classes cannot be imported elsewhere.
    """
    try:
        with not_compiled(model):
            modules = _modules(model)
            model.save(Path(folder, _MODEL))
    except OSError:
        raise
    except Exception as error:  # of many types, from layers of the user's own, too
        raise _not_portable(error) from error
    if "__main__" in modules:
        raise _not_portable("classes or functions that are defined in `__main__`")
    names = [tensor.name for tensor in model.inputs]
    with open(Path(folder, _REQUEST), "wb") as file:
        pickle.dump((work, modules, names, arguments), file)


def _modules(model: keras.Model) -> list[str]:
    """The modules of registered classes and functions that a model uses."""
    known = keras.saving.get_custom_objects()
    parts = keras.tree.flatten(keras.saving.serialize_keras_object(model))
    found = [known[part] for part in parts if isinstance(part, str) and part in known]
    return sorted({one.__module__ for one in found})


def _not_portable(received: str | Exception) -> ValueError:
    if isinstance(received, Exception):
        # Keras quotes whole configs before it says what is wrong.
        text = str(received).rpartition("Exception encountered: ")[2]
        received = f"{type(received).__name__}: {text:.{_SAID}}"
    return ValueError(
        "`model` must be one that Keras can save and load again in a process with TensorFlow, "
        "because TensorFlow's converter runs there if Keras has another backend. Put your own "
        "classes and functions in a module that can be imported, register them there with "
        "`keras.saving.register_keras_serializable`, give layers a `get_config`, and compute with "
        f"`keras.ops`. Received: {received}"
    )


def _run(folder: str) -> None:
    """Runs `serve` in a process.

    Raises:
        RuntimeError: If the process ends before it has an answer.
    """
    code = (
        f"import sys; sys.path[:] = {[str(one) for one in sys.path]!r}; "
        f"from fr_keras.tflite._elsewhere import serve; serve({folder!r})"
    )
    settings = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if not done.returncode:
        return
    how = f"with exit status {done.returncode}"
    if done.returncode < 0:
        how = f"by a signal: {signal.strsignal(-done.returncode)}"
    if done.returncode == -signal.SIGKILL:
        how += ". So a system ends a process when memory runs out: free some of it"
    said = done.stderr.decode(errors="replace").strip()[-_SAID:]
    raise RuntimeError(
        f"the process in which TensorFlow converts the model has ended early, {how}. "
        f"Its last messages: {said or 'none'}"
    )


def serve(folder: str) -> None:
    """Does what `ask` wrote to a folder, and writes the answer there."""
    with open(Path(folder, _REQUEST), "rb") as file:
        work, modules, names, arguments = pickle.load(file)
    result = error = None
    with warnings.catch_warnings(record=True) as told:
        try:
            model = _loaded(folder, modules, names)
            warnings.simplefilter("always")
            told.clear()
            result = work(model, *arguments)
        except Exception as caught:
            error = _known(caught)
    said = [(one.category, str(one.message)) for one in told]
    said = [(kind, text) for kind, text in said if issubclass(kind, UserWarning)]
    with open(Path(folder, _ANSWER), "wb") as file:
        pickle.dump((result, error, said), file)


def _loaded(folder: str, modules: list[str], names: list[str]) -> keras.Model:
    try:
        for module in modules:
            importlib.import_module(module)
        # The process that asks has made the file, with functions that it had already run.
        model = keras.models.load_model(Path(folder, _MODEL), compile=False, safe_mode=False)
    except Exception as error:
        raise _not_portable(error) from error
    for tensor, name in zip(model.inputs, names, strict=True):
        tensor.name = name  # Keras does not save it where it made up the name
    return model


def _known(error: Exception) -> Exception:
    """An error of a type that every process knows, with the traceback as its note."""
    trace = "".join(traceback.format_exception(error))
    if type(error).__module__ != "builtins" or isinstance(error, MemoryError):
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"In the process with TensorFlow:\n{trace}")
    return error


def answered(folder: str):
    """Returns what `serve` found, and gives its warnings; or raises its error."""
    with open(Path(folder, _ANSWER), "rb") as file:
        result, error, said = pickle.load(file)
    for kind, text in said:
        warnings.warn(text, kind, stacklevel=4)
    if error is not None:
        raise error
    return result
