"""What is made of a model with levels: files, archives and tables."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from networks import images, live, relative_difference, small_convnet

import fr_keras
from fr_keras import bake, tflite
from fr_keras.methods import KBit, Ternary, quantize_kernels


@pytest.fixture(scope="module")
def few():
    keras.utils.set_random_seed(0)
    model = live(small_convnet(), images())
    return quantize_kernels(model, {"down": Ternary(0.3), "hidden": KBit(2)})


def kernels_of(content: bytes) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The constants of a file with several axes: values as the file has them, and steps."""
    interpreter = Interpreter(model_content=content)
    found = {}
    for one in interpreter.get_tensor_details():
        if len(one["shape"]) > 1:
            try:
                values = interpreter.get_tensor(one["index"])
            except ValueError:
                continue  # not a constant
            scales = one["quantization_parameters"]["scales"]
            found[one["index"]] = values, scales
    return found


def test_the_int8_file_holds_the_levels_to_half_a_step(few):
    x = images(64)
    done = tflite.convert(few, quantize="int8", calibration=x)
    expected = few.get_layer("hidden").float32_kernel("kernel").numpy().T
    (match,) = [
        (values, scales)
        for values, scales in kernels_of(done.content).values()
        if values.shape == expected.shape and values.dtype == np.int8
    ]
    values, scales = match
    error = np.abs(values * scales[:, None] - expected)
    assert (error <= 0.5001 * scales[:, None]).all()
    assert done.agreement.holds


@pytest.mark.parametrize("mode", ["float32", "float16"])
def test_a_file_holds_few_values(few, mode):
    done = tflite.convert(few, quantize=mode)
    shape = few.get_layer("hidden").exact_kernel("kernel").shape[::-1]
    (values,) = [one for one, _ in kernels_of(done.content).values() if one.shape == shape]
    assert len(np.unique(values)) == 4


def test_an_archive_holds_the_baked_model(few, tmp_path):
    fr_keras.save_archive(few, tmp_path / "m.fr")
    fr_keras.save_archive(bake(few), tmp_path / "baked.fr")
    assert (tmp_path / "m.fr").read_bytes() == (tmp_path / "baked.fr").read_bytes()
    x = images()
    assert relative_difference(few(x), fr_keras.load_archive(tmp_path / "m.fr")(x)) < 0.05


def test_quantization_aware_training_would_move_the_levels(few):
    with pytest.raises(ValueError, match="must not have quantized kernels"):
        tflite.quantization_aware(few, images(20))


def test_summary_counts_a_quantized_layer_like_its_plain_one(few):
    rows = {row.name: row for row in fr_keras.summary(few).rows}
    plain = {row.name: row for row in fr_keras.summary(bake(few)).rows}
    assert rows["down"].other == plain["down"].other + 2  # both scales
    for name in ("down", "hidden"):
        assert rows[name].kernel_weights == plain[name].kernel_weights > 0
        assert rows[name].multiply_adds == plain[name].multiply_adds > 0
