import gc
import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

# A deadline would be a timing, and no test is one.
hypothesis.settings.register_profile("fr_keras", deadline=None)
hypothesis.settings.load_profile("fr_keras")

_SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def float64():
    """Layers that are made in the test compute in float64."""
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
