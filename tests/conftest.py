import gc
import os
import random
import sys
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Each worker of pytest-xdist has a core; more threads only wait for each other.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# JAX compiles each operation for each shape: that takes longer than what it computes.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import keras
from backends import BACKEND, FILES

if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    collect_ignore = [
        one.name
        for one in Path(__file__).parent.glob("*.py")
        if one.stem != "conftest" and one.stem.removeprefix("test_") not in FILES
    ]

if BACKEND == "torch":
    import torch

    _array = torch.Tensor.__array__

    def _read(tensor, *args, **kwargs):
        """Tests may read tensors that have gradients as arrays; the package must not."""
        reader = sys._getframe(1)
        while reader.f_globals["__name__"].startswith("numpy"):
            reader = reader.f_back
        inside = reader.f_globals["__name__"].startswith("fr_keras")
        if not inside:  # numpy has no bfloat16
            tensor = tensor.detach()
            tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return _array(tensor, *args, **kwargs)

    torch.Tensor.__array__ = _read
    # Its own is that of numpy 1.
    torch.Tensor.__array_wrap__ = lambda tensor, array, context=None, scalar=False: array

# A deadline would be a timing, and no test is one.
hypothesis.settings.register_profile("fr_keras", deadline=None)
hypothesis.settings.load_profile("fr_keras")

_SHARED = Path(__file__).parents[2] / "shared" / "data"


def _untuned(iterate):
    """TensorFlow 2.21 can miss the word to end the thread that tunes an iterator: whoever frees
    the iterator then waits about as long as it has lived."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return lambda dataset: iterate(dataset.with_options(options))


def _optimize_graphs(does: bool) -> None:
    if BACKEND == "tensorflow":
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not does})


if BACKEND == "tensorflow":
    tf.data.Dataset.__iter__ = _untuned(tf.data.Dataset.__iter__)
_optimize_graphs(False)

_COMPILED = keras.Model.run_eagerly


def pytest_collection_finish():
    """What was imported stays: collections need not look at it, nor come at every 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(autouse=True, scope="module")
def _fixed_seed_of_module():
    """With each new seed TensorFlow makes all its kernels anew, which takes longer than most tests.
    Keras draws the seeds of its own random numbers from Python."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _fixed_seed():
    random.seed(0)


@pytest.fixture(autouse=True)
def _optimized_graphs(request, monkeypatch):
    """Only in slow tests: to optimize a graph costs more than to run it a few times."""
    if request.node.get_closest_marker("slow") is None:
        yield
        return
    monkeypatch.setattr(keras.Model, "run_eagerly", _COMPILED)
    _optimize_graphs(True)
    yield
    _optimize_graphs(False)


def _stepwise():
    """Models fit, predict and evaluate without graphs: to trace one costs more than to run a few
    steps. For tests whose subject is something else; slow ones go by graphs all the same."""
    with pytest.MonkeyPatch.context() as patch:
        always = property(lambda model: True, lambda model, value: None)
        patch.setattr(keras.Model, "run_eagerly", always)
        yield


stepwise = pytest.fixture(_stepwise)
#: For whole modules, with what their fixtures do.
stepwise_module = pytest.fixture(_stepwise, scope="module")


@pytest.fixture
def graphs(monkeypatch):
    """For a test of such a module that a network does train by graphs."""
    monkeypatch.setattr(keras.Model, "run_eagerly", _COMPILED)


@pytest.fixture
def float64():
    """Layers that are made in the test compute in float64."""
    if BACKEND != "tensorflow":
        pytest.skip("JAX has no float64, and Keras multiplies in float32 under PyTorch")
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets: FR_KERAS_DATA, or a `shared/data` beside the checkout."""
    folder = Path(os.environ.get("FR_KERAS_DATA", _SHARED))
    if not (folder / "mnist.npz").is_file():
        pytest.skip("no mnist.npz: set FR_KERAS_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Keeps objects of earlier modules out of later collections, which would take seconds."""
    yield
    gc.collect()
    gc.freeze()
