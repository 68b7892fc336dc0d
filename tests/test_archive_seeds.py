"""Kernels that an archive holds as seeds."""

import json

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from keras import layers
from test_archive_skeleton import by_the_page

import fr_archive
import fr_keras
from fr_archive import Codebook, Kernel, Signs
from fr_keras import tflite
from fr_keras.layers import SeededSigns
from fr_keras.methods import elm
from fr_keras.models.vectors import weights

LARGEST = 2**64 - 1
ATTENTION = 7
X = np.random.default_rng(0).uniform(-1, 1, (300, 6, 5)).astype(np.float32)


def solved(seed: int = LARGEST, neurons: int = 40) -> keras.Model:
    return elm((X, (X[:, 0, 0] > X[:, 1, 1]).astype(int)), neurons, seed=seed, penalty=1.0)


def seeded(*seeds: int) -> list[SeededSigns]:
    return [SeededSigns(seed, 0.1 * (1 + seed)) for seed in seeds]


def every_layer() -> keras.Model:
    """Every kind of layer with a kernel, each kernel with a seed of its own."""
    image = keras.Input((8, 8, 2), name="image")
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = seeded(*range(15))
    x = layers.Conv2D(4, 3, kernel_initializer=a)(image)
    x = layers.DepthwiseConv2D(3, depthwise_initializer=b)(x)
    x = layers.SeparableConv2D(3, 2, depthwise_initializer=c, pointwise_initializer=d)(x)
    x = layers.Conv2DTranspose(3, 2, kernel_initializer=e)(x)
    x = layers.PReLU(alpha_initializer=f)(x)
    x = layers.Reshape((16, 3))(x)
    x = layers.EinsumDense("abc,cd->abd", (None, 4), kernel_initializer=g)(x)
    x = layers.MultiHeadAttention(2, 3, kernel_initializer=h)(x, x)
    x = layers.LSTM(3, kernel_initializer=i, recurrent_initializer=j, return_sequences=True)(x)
    inner = layers.GRU(2, kernel_initializer=k, recurrent_initializer=m)
    x = layers.Bidirectional(inner)(x)
    word = keras.Input((3,), name="word")
    y = layers.Flatten()(layers.Embedding(9, 4, embeddings_initializer=n)(word))
    y = layers.TimeDistributed(layers.Dense(2, kernel_initializer=o))(layers.Reshape((4, 3))(y))
    x = layers.Concatenate()([x, layers.Flatten()(y)])
    return keras.Model([image, word], layers.Dense(3, kernel_initializer=p)(x))


def archive_of(path) -> fr_archive.Archive:
    return fr_archive.decode(path.read_bytes())


@pytest.mark.parametrize("make", [solved, every_layer])
def test_a_network_comes_back_with_its_seeds(make, tmp_path):
    model = make()
    fr_keras.save_archive(model, tmp_path / "m.fr")
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    fr_keras.save_archive(loaded, tmp_path / "again.fr")
    assert (tmp_path / "again.fr").read_bytes() == (tmp_path / "m.fr").read_bytes()
    kernels = archive_of(tmp_path / "m.fr").kernels
    assert {type(one) for one in kernels} == ({Signs, Kernel} if make is solved else {Signs})
    for before, after in zip(weights(model), weights(loaded), strict=True):
        if before.in_space and before.layer_name != "output":
            np.testing.assert_array_equal(after.values(), before.values())
    # So it does through a .keras file, and in a copy.
    loaded.save(tmp_path / "m.keras")
    for copy in (keras.models.load_model(tmp_path / "m.keras"), fr_keras.bake(loaded)):
        fr_keras.save_archive(copy, tmp_path / "again.fr", overwrite=True)
        again = archive_of(tmp_path / "again.fr").kernels
        # Keras makes the layers inside an attention anew, from what the attention was given.
        assert {one.seed for one in {*kernels} - {*again} if isinstance(one, Signs)} <= {ATTENTION}


def test_every_kernel_has_its_own_seed(tmp_path):
    fr_keras.save_archive(every_layer(), tmp_path / "m.fr")
    assert {one.seed for one in archive_of(tmp_path / "m.fr").kernels} == {*range(15)}


def test_the_report_names_the_seed(tmp_path):
    packing = fr_keras.save_archive(solved(), tmp_path / "m.fr")
    hidden, output = packing.layers
    assert (hidden.seeds, hidden.steps, hidden.levels) == ((LARGEST,), (), ())
    assert (output.seeds, len(output.steps)) == ((), 1)
    assert hidden.kernel_numbers == 30 * 40
    assert hidden.residuals["hidden/kernel"] == 0
    assert f"seed {LARGEST}" in str(packing)
    assert json.loads(json.dumps(packing.to_dict()))["layers"][0]["seeds"] == [LARGEST]
    read = fr_keras.archive.inspect(tmp_path / "m.fr")
    assert read.layers[0].seeds == (LARGEST,)


def test_the_hidden_layer_takes_next_to_nothing(tmp_path):
    hidden, output = fr_keras.save_archive(solved(neurons=300), tmp_path / "m.fr").layers
    # 12 bytes for the kernel; the biases are a line.
    assert hidden.bytes < 100
    assert hidden.kernel_numbers > 10 * output.kernel_numbers
    assert hidden.residuals["hidden/bias"] < 1e-3


@pytest.mark.parametrize("change", ["a number", "all numbers", "the scale", "the initializer"])
def test_nothing_is_guessed(change, tmp_path):
    """The initializer and the numbers must agree; then the kernel comes back as it is."""
    model = solved()
    layer = model.get_layer("hidden")
    kernel = np.array(layer.kernel)
    if change == "a number":
        kernel[3, 2] *= -1
    elif change == "all numbers":
        kernel = -kernel
    elif change == "the scale":
        kernel *= 2
    else:
        layer.kernel_initializer = "zeros"
    layer.kernel.assign(kernel)
    fr_keras.save_archive(model, tmp_path / "m.fr")
    assert isinstance(archive_of(tmp_path / "m.fr").kernels[0], Codebook)
    loaded = fr_keras.load_archive(tmp_path / "m.fr").get_layer("hidden")
    np.testing.assert_array_equal(loaded.kernel, kernel)
    assert not isinstance(loaded.kernel_initializer, SeededSigns)


def test_half_precision_that_rounds_the_scale_is_no_seed(tmp_path):
    inputs = keras.Input((4,))
    dense = layers.Dense(50, kernel_initializer=SeededSigns(1, 0.1), dtype="float16")
    model = keras.Model(inputs, dense(inputs))
    fr_keras.save_archive(model, tmp_path / "m.fr")
    assert isinstance(archive_of(tmp_path / "m.fr").kernels[0], Codebook)


def test_a_search_keeps_the_seed(tmp_path):
    model, y = solved(), (X[:, 0, 0] > X[:, 1, 1]).astype(int)
    found = fr_keras.archive.search(model, X, y, max_drop=0.2, minutes=0.01)
    rounding = {"error": found.error, "kernel_error": found.kernel_error}
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", **rounding)
    assert (packing.bytes, packing.layers[0].seeds) == (found.bytes, (LARGEST,))


@tensorflow_alone("it converts")
def test_the_skeleton_of_a_solved_network(tmp_path):
    packing = fr_keras.save_archive(solved(), tmp_path / "m.fr", skeleton={"calibration": X})
    archive = archive_of(tmp_path / "m.fr")
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    done = tflite.convert(loaded, quantize="int8", calibration=X)
    assert fr_archive.expand(archive) == done.content
    assert by_the_page(archive) == done.content
    assert packing.sections["skeleton"] < len(done.content) / 2
    assert np.abs(tflite.Runner(done.content).run(X) - np.array(solved()(X))).max() < 0.1


def test_signs_of_another_shape_are_refused(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(6, kernel_initializer=SeededSigns(1))(inputs))
    fr_keras.save_archive(model, tmp_path / "m.fr")
    held = archive_of(tmp_path / "m.fr")
    for kernels in ([Signs(2, 0.5, 24, 4)], [Signs(2, 0.5, 18, 6)], [*held.kernels * 2]):
        data = fr_archive.encode(
            fr_archive.Archive(held.architecture, [], held.vectors, kernels=kernels)
        )
        (tmp_path / "bad.fr").write_bytes(data)
        with pytest.raises(fr_archive.ArchiveError, match="kernels in space of the shapes"):
            fr_keras.load_archive(tmp_path / "bad.fr")
