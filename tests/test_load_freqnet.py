"""`load_freqnet` against FreqNet itself: transforms around every activation, by scipy."""

import keras
import numpy as np
import pytest
import scipy.fft
from networks import images, relative_difference

from fr_keras.interop import load_freqnet

WIDTHS = [[6], [8, 10], [12], [12], [14]]
KEPT = [3, 4, 5, 6, 6, 7]  # of both axes of channels, as the cubes of the package have
CLASSES = 4


def state(kept=KEPT, seed=0) -> dict[str, np.ndarray]:
    """A checkpoint with the names and shapes of the package, whose cut weights are not zero."""
    rng = np.random.default_rng(seed)
    found, width, edges = {}, 3, iter(kept)
    for block, widths in enumerate(WIDTHS):
        for number, filters in enumerate(widths):
            conv, norm = f"block{block}.{3 * number}", f"block{block}.{3 * number + 1}"
            weight = rng.normal(size=(filters, width, 3, 3)) * 30 * width
            mask, edge = np.zeros_like(weight), next(edges)
            mask[:edge, :edge, :2] = 1
            found |= {f"{conv}.weight": weight, f"{conv}.IDROP": mask, f"{conv}.ZMAT": mask}
            found |= {f"{conv}.ibase_{one}": np.ones((2, 2)) for one in ("inp", "out", "ker")}
            found |= {
                f"{norm}.base": np.ones((filters, filters)),
                f"{norm}.ibase": np.ones((filters, filters)),
                f"{norm}.norm.weight": rng.uniform(0.5, 1.5, filters),
                f"{norm}.norm.bias": rng.uniform(0.1, 0.5, filters),  # constants above 0
                f"{norm}.norm.running_mean": rng.uniform(-1, 0, filters),
                f"{norm}.norm.running_var": rng.uniform(0.5, 3, filters),
                f"{norm}.norm.num_batches_tracked": np.array(7),
            }
            width = filters
    found["classifier.weight"] = rng.normal(size=(CLASSES, width)) * 9 * width
    found["classifier.IDROP"] = np.ones((CLASSES, width))
    found["classifier.bias"] = rng.normal(size=CLASSES)
    return found


def dct(x, axis=-1):
    return scipy.fft.dct(x, axis=axis)


def idct(x, axis=-1):
    return scipy.fft.idct(x, axis=axis)


def conv(x, kernel):
    """A 3x3 convolution over zeros at the borders, with a kernel `(out, in, 3, 3)`."""
    height, width = x.shape[1:3]
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(
        x[:, i : i + height, j : j + width] @ kernel[:, :, i, j].T
        for i in range(3)
        for j in range(3)
    )


def pool(x):
    rows, height, width, channels = x.shape
    return x.reshape(rows, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def freqnet(found, x):
    """The network in space, as it is trained: DCT and its inverse around what is not linear."""
    height = x.shape[1]
    for block, widths in enumerate(WIDTHS):
        for number in range(len(widths)):
            place = f"block{block}.{3 * number}"
            kernel = found[f"{place}.weight"] * found[f"{place}.IDROP"]
            for axis in range(4):
                kernel = idct(kernel, axis)
            norm = f"block{block}.{3 * number + 1}.norm"
            scale = found[f"{norm}.weight"] / np.sqrt(found[f"{norm}.running_var"] + 1e-5)
            spectrum = (dct(conv(x, kernel)) - found[f"{norm}.running_mean"]) * scale
            x = idct(np.maximum(spectrum + found[f"{norm}.bias"], 0))
        if block < 3 or (block == 3 and height == 64):
            x = pool(x)
    kernel = found["classifier.weight"] * found["classifier.IDROP"]
    return x.mean((1, 2)) @ idct(idct(kernel, 0), 1).T + found["classifier.bias"]


@pytest.mark.parametrize(("side", "kept"), [(16, KEPT), (64, KEPT), (16, [6, 3, 10, 5, 12, 2])])
def test_the_narrow_network_computes_what_freqnet_does(side, kept):
    found, x = state(kept), images(3, (side, side, 3))
    model = load_freqnet(found, (side, side, 3))
    expected = freqnet(found, x)
    assert relative_difference(expected, model(x)) < 1e-4
    spread = np.abs(expected - expected.mean(0)).max()
    assert spread > 1e-2 * np.abs(expected).max()  # it looks at the pictures
    for layer in model.layers if side < 64 else ():
        if hasattr(layer, "kernel"):
            kernel = np.array(layer.kernel)
            layer.kernel.assign(kernel * 0.5)
            assert relative_difference(expected, model(x)) > 1e-3, layer.name
            layer.kernel.assign(kernel)
    widths = [one.filters for one in model.layers if isinstance(one, keras.layers.Conv2D)]
    if kept is KEPT:
        assert widths == [3 + 1, 4 + 1, 5 + 1, 6, 6 + 1, 7]  # 6 are read where 6 are made
    else:
        assert widths == [3, 3 + 1, 5, 5 + 1, 2, 2]
    assert not model.compiled


def test_a_layer_that_makes_nothing_is_a_constant():
    found = state()
    found["block4.0.IDROP"][:] = 0
    x = images(2, (16, 16, 3))
    expected = freqnet(found, x)
    np.testing.assert_allclose(load_freqnet(found, (16, 16, 3))(x), expected, rtol=1e-4)
    np.testing.assert_allclose(expected[0], expected[1])


def test_the_public_layout_is_read():
    """Widths, and the cubes of 0.007 of the coefficients that the public checkpoint keeps."""
    rng = np.random.default_rng(0)
    found, width = {}, 3
    for block, filters in enumerate((64, 128, 256, 512, 512)):
        weight = np.ones((filters, width, 3, 3), np.float32)
        kept = round(0.007 * weight.size)
        order = np.indices(weight.shape, np.int16).max(0).ravel().argsort(kind="stable")
        mask = np.zeros(weight.size, "float32")
        mask[order[:kept]] = 1
        found[f"block{block}.0.weight"] = weight
        found[f"block{block}.0.IDROP"] = mask.reshape(weight.shape)
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"block{block}.1.norm.{part}"] = rng.uniform(0.1, 1, filters)
        width = filters
    found |= {"classifier.weight": np.ones((10, 512)), "classifier.IDROP": np.ones((10, 512))}
    model = load_freqnet({**found, "classifier.bias": np.ones(10)})
    widths = [one.filters for one in model.layers if isinstance(one, keras.layers.Conv2D)]
    assert widths == [3, 9, 16, 31, 43]
    assert model.count_params() < 30_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("block2.0.weight"), r"must hold 'block2.0.weight'. Received: \d+ tensors"),
        (lambda s: s.pop("block1.3.IDROP"), r"must hold 'block1.3.IDROP'"),
        (lambda s: s.pop("block1.4.norm.bias"), r"must hold 'block1.4.norm.bias'"),
        (lambda s: s.pop("classifier.bias"), r"must hold 'classifier.bias'"),
        (lambda s: s.update(more=np.ones(2)), r"Received: others, \[\('more', \(2,\)\)\]"),
        (lambda s: s.update({"block0.0.bias": np.ones(6)}), r"others, \[\('block0.0.bias', \(6,"),
        (
            lambda s: s.update({"block3.0.weight": np.ones((12, 11, 3, 3))}),
            r"`state\['block3.0.weight'\]` must have the shape \(None, 12, 3, 3\).*11, 3, 3\)",
        ),
        (
            lambda s: s.update({"block3.0.weight": np.ones((12, 12, 5, 5))}),
            r"shape \(None, 12, 3, 3\).*Received: \(12, 12, 5, 5\)",
        ),
        (
            lambda s: s.update({"classifier.IDROP": np.ones(4)}),
            r"`state\['classifier.IDROP'\]` must have the shape \(4, 14\).*Received: \(4,\)",
        ),
        (
            lambda s: s["block1.1.norm.running_var"].fill(np.nan),
            r"`state\['block1.1.norm.running_var'\]` must be finite",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change, message):
    found = state()
    change(found)
    with pytest.raises(ValueError, match=message):
        load_freqnet(found)
