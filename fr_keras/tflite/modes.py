"""The quantization modes of a .tflite file, and how files are made in each."""

import dataclasses

from fr_keras.layers import Chain


@dataclasses.dataclass(frozen=True)
class Mode:
    """One quantization mode.

    Attributes:
        name: The value of `quantize`.
        bound: The largest mean difference from the Keras model without a warning, as a fraction of
            the range of the model's outputs.
        activations: The type of the activations in a file.
        ranges: Whether fr_keras chooses the ranges of activations, on the float32 file, and keeps
            known ones. The file is quantized afterwards.
        calibrated: Whether ranges come from representative data.
        float16_weights: Whether weights are in float16.
        small_weights: Whether TensorFlow's converter stores weights smaller than float32.
        weight_bytes: The bytes of a weight.
        channel_bytes: The bytes of the bias and the scales of an output channel.
        op_bytes: About the bytes of everything else that an op adds to a file.
    """

    name: str
    bound: float
    weight_bytes: int
    channel_bytes: int
    op_bytes: int
    activations: str = "float32"
    ranges: bool = False
    calibrated: bool = False
    float16_weights: bool = False
    small_weights: bool = True

    def bytes_of(self, chain: Chain) -> int:
        """About the bytes that a chain takes in a file."""
        return (
            self.weight_bytes * chain.weights
            + self.channel_bytes * chain.channels
            + self.op_bytes * len(chain.roles)
        )


# The bytes are those of converted dense layers and convolutions of different widths.
FLOAT32 = Mode("float32", 1e-4, 4, 4, 250, small_weights=False)
FLOAT16 = Mode("float16", 1e-2, 2, 2, 400, float16_weights=True)
DYNAMIC = Mode("dynamic", 2e-2, 1, 4, 430)
INT8 = Mode("int8", 5e-2, 1, 12, 300, "int8", ranges=True, calibrated=True, small_weights=False)
INT16X8 = Mode("int16x8", 2e-2, 1, 24, 330, "int16", calibrated=True)
_BY_NAME = {mode.name: mode for mode in (FLOAT32, FLOAT16, DYNAMIC, INT8, INT16X8)}

#: The names of the modes, as `convert` and the command line take them.
MODES = tuple(_BY_NAME)


def mode_of(quantize: str) -> Mode:
    """Returns the mode of that name.

    Raises:
        ValueError: If there is none.
    """
    if quantize not in MODES:
        raise ValueError(f"`quantize` must be one of {MODES}. Received: {quantize!r}")
    return _BY_NAME[quantize]
