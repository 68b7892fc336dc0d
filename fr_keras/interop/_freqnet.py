"""Checkpoints of FreqNet, as the plain narrow networks that they are."""

from collections.abc import Mapping

import keras
import numpy as np

from fr_keras.interop._freqnet_layers import EPSILON, FreqNetLayer, factors, inverse

# What the package stores beside the weights: its order of coefficients, transforms and counters.
_BUFFERS = (
    *(".ZMAT", ".base", ".ibase", ".ibase_inp", ".ibase_out", ".ibase_ker"),
    ".num_batches_tracked",
)
_NORM = ("weight", "bias", "running_mean", "running_var")
_BLOCKS = 5


def load_freqnet(
    state: Mapping[str, np.ndarray], input_shape: tuple[int, int, int] = (32, 32, 3)
) -> keras.Model:
    """Returns the plain Keras network of a FreqNet checkpoint with the layout of its public VGG-8.

    FreqNet holds a kernel as DCT coefficients `C` over outputs, inputs and space, and it normalizes
    and activates the DCT of each pixel along the channels. From one activation to the next, the
    transforms of `n` channels cancel but for factors `s`, 1/(4n) at frequency 0 and 1/(2n) else:

        frequencies of the outputs = (IDCT of C over space) * s, applied to those of the inputs.

    So after truncation it is a plain network whose channels are the frequencies that are left. Two
    transforms remain, of pixels and of classes; they go into the first and the last kernel.

    A frequency whose coefficients are all cut still gives a constant, because its normalization has
    an offset, and in the public layout the next layer reads it. After the last convolution these
    constants go into the last bias. Before it, zero padding makes them differ at the borders, so a
    layer gets one more channel that is always 1 and carries them. The result computes what the
    checkpoint does.

    The network does not scale its inputs. The package trained its public checkpoint on
    `(x / 255 - (0.4914, 0.4822, 0.4465)) / (0.2023, 0.1994, 0.2010)`.

    Args:
        state: Name -> array, such as `{k: v.numpy() for k, v in torch.load(path).items()}`. In
            `block0` to `block4`, the convolutions of 3x3 are `.0`, `.3` and so on, with `.weight`
            `(out, in, 3, 3)` and the mask `.IDROP`, 1 where a coefficient is kept. Behind each is
            its normalization, `.1.norm`, `.4.norm` and so on. `classifier` has `.weight`
            `(classes, in)`, `.IDROP` and `.bias`. Other buffers of the package are ignored.
        input_shape: Height, width and 3 channels. The network pools after the first three blocks,
            of pictures of 64 rows also after the fourth, and at the end over all that is left.

    Returns:
        A model that gives logits. It is not compiled, and can be trained on.

    Raises:
        ValueError: If a tensor is missing, left over, not finite, or of the wrong shape.

    Example:

    >>> load_freqnet({"block0.0.weight": np.ones((64, 3, 3, 3))})
    Traceback (most recent call last):
    ...
    ValueError: `state` must hold 'block0.0.IDROP'. Received: 1 tensors without it

    Source: Zhao, Dong and Basu, "Accelerating Inference of Networks in the Frequency Domain", 2024,
    arXiv 2410.04342; the layout of github.com/guanfangdong/FreqNet-Infer.
    """
    layers, classifier, bias = _read(_State(state), input_shape[-1])
    inputs = x = keras.Input(input_shape)
    weights, given = [], None
    followers = [one.coefficients for one in layers[1:]] + [classifier]
    for layer, follower in zip(layers, followers, strict=True):
        taken = layer.taken(follower, carried=follower is not classifier)
        weights += [layer.kernel(given, taken), *layer.normalization(taken)]
        x, given = _called(layer, x, taken.width), taken
        if layer.ends and (layer.block < 3 or (layer.block == 3 and input_shape[0] == 64)):
            x = keras.layers.AveragePooling2D(2, name=f"pool{layer.block}")(x)
    x = keras.layers.GlobalAveragePooling2D(name=f"pool{_BLOCKS - 1}")(x)
    outputs = keras.layers.Dense(len(bias), name="classifier")(x)
    matrix = inverse(len(bias)).T @ (classifier * factors(classifier.shape[1]))
    weights += [given.columns(matrix).T, bias + matrix @ given.constants * (not given.one)]
    model = keras.Model(inputs, outputs, name="freqnet")
    model.set_weights(weights)
    return model


def _called(layer: FreqNetLayer, x, width: int):
    name = f"block{layer.block}_{layer.number}"
    conv = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv")
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=f"{name}_bn")
    return keras.layers.ReLU(name=f"{name}_relu")(norm(conv(x)))


class _State:
    """The tensors of a state that were not taken yet."""

    def __init__(self, state: Mapping[str, np.ndarray]):
        self._rest = {n: array for n, array in state.items() if not n.endswith(_BUFFERS)}
        self._size = len(state)

    def __contains__(self, name: str) -> bool:
        return name in self._rest

    def take(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """Takes a tensor of that shape; `None` is any length."""
        if name not in self._rest:
            raise ValueError(
                f"`state` must hold '{name}'. Received: {self._size} tensors without it"
            )
        array = np.asarray(self._rest.pop(name))
        if len(array.shape) != len(shape) or any(
            length not in (None, found) for length, found in zip(shape, array.shape, strict=True)
        ):
            raise ValueError(
                f"`state['{name}']` must have the shape {shape}, where None is any length. "
                f"Received: {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"`state['{name}']` must be finite. Received: NaN or infinite values")
        return array.astype(np.float64)

    def kept(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """Takes coefficients, zero where they are cut."""
        weight = self.take(f"{name}.weight", shape)
        return weight * self.take(f"{name}.IDROP", weight.shape)

    def end(self) -> None:
        if self._rest:
            rest = [(name, np.shape(array)) for name, array in self._rest.items()]
            raise ValueError(
                f"`state` must hold the tensors of a VGG-8 and no others. Received: others, {rest}"
            )


def _read(state: _State, width: int) -> tuple[list[FreqNetLayer], np.ndarray, np.ndarray]:
    """The layers, and the coefficients and the bias of the classifier."""
    layers = []
    for block in range(_BLOCKS):
        number, ends = 0, False
        while not ends:
            place = f"block{block}.{3 * number}"
            kept = state.kept(place, (None, width, 3, 3))
            width = len(kept)
            norm = f"block{block}.{3 * number + 1}.norm"
            values = tuple(state.take(f"{norm}.{part}", (width,)) for part in _NORM)
            number, ends = number + 1, f"block{block}.{3 * number + 3}.weight" not in state
            layers.append(FreqNetLayer(block, number - 1, ends, kept, values))
    classifier = state.kept("classifier", (None, width))
    bias = state.take("classifier.bias", (len(classifier),))
    state.end()
    return layers, classifier, bias
