"""The allow-list: everything that the architecture of an archive may name.

A file says `"Conv2D"`, never a module. The name is looked up here, so nothing that a file names is
imported. Classes that somebody registered with Keras are not found, except those that the program
itself gave to `register_twin`.
"""

import math

import keras
import numpy as np

from fr_archive import ArchiveError
from fr_keras.layers import TWINS, FRBatchNormalization

_PLAIN = """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
    AdditiveAttention AlphaDropout Attention AutoContrast Average AveragePooling1D AveragePooling2D
    AveragePooling3D BatchNormalization CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose
    Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D Dense
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding
    Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity
    InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPooling1D
    MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MultiHeadAttention Multiply
    Normalization PReLU Permute RMSNormalization RandomCrop ReLU RepeatVector Rescaling Reshape
    Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SimpleRNN
    SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D Subtract
    UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
"""
#: Name -> class of every layer of Keras and fr_keras that an archive may hold, except models and
#: `WRAPPERS`; `find` also knows the classes given to `register_twin`.
LAYERS: dict[str, type[keras.layers.Layer]] = {
    **{name: getattr(keras.layers, name) for name in _PLAIN.split()},
    **{twin.__name__: twin for twin in TWINS.values()},
}
NAMES = {cls: name for name, cls in LAYERS.items()} | {FRBatchNormalization: "BatchNormalization"}

#: Name of a layer that holds others -> {the argument that takes them: the attribute with them}.
WRAPPERS = {
    "Bidirectional": {"layer": "forward_layer", "backward_layer": "backward_layer"},
    "Pipeline": {"layers": "layers"},
    "RNN": {"cell": "cell"},
    "SpectralNormalization": {"layer": "layer"},
    "StackedRNNCells": {"cells": "cells"},
    "TimeDistributed": {"layer": "layer"},
}
WRAPPER_NAMES = {getattr(keras.layers, name): name for name in WRAPPERS}
#: Layers that change images at random in training and do nothing at inference: an archive leaves
#: them out.
AUGMENTATION = tuple(
    getattr(keras.layers, name)
    for name in """
    AugMix CutMix MixUp RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
    RandomContrast RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom Solarization
    """.split()  # noqa: SIM905
)
_VOCABULARY = "it looks words up in a vocabulary, and an archive holds no vocabularies"
_CODE = "it calls code that an archive does not hold"
_REASONS = {
    **dict.fromkeys(("IntegerLookup", "StringLookup", "TextVectorization"), _VOCABULARY),
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"), _CODE),
    "Lambda": _CODE,
}

_ACTIVATIONS = tuple(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign
    sparse_plus sparse_sigmoid sparsemax squareplus tanh tanh_shrink threshold
    """.split()  # noqa: SIM905
)
_PENALTIES = {
    "regularizer": (keras.regularizers, ("L1", "L2", "L1L2")),
    "constraint": (keras.constraints, ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm")),
}
_POLICIES = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")
_TENSOR_TYPES = (*_POLICIES[:4], "bool", "uint8", "int8", "int16", "int32", "int64", "string")

# Objects inside layers that an archive does not hold.
_NEVER = ("quantization_config",)

#: No length in an architecture is larger.
LARGEST = 1 << 24
_LONGEST_TEXT = 200
_DEEPEST = 4


def find(name: str) -> type[keras.layers.Layer] | None:
    """Returns the class that a name in an archive means, or `None`; no models and wrappers."""
    return LAYERS.get(name) or _registered().get(name)


def name_of(cls: type[keras.layers.Layer]) -> str | None:
    """Returns the name of a class in archives, or `None`."""
    own = (name for name, one in _registered().items() if one is cls)
    return NAMES.get(cls) or next(own, None)


def _registered() -> dict[str, type[keras.layers.Layer]]:
    """Classes given to `register_twin`, by their registered names; no name of Keras has a >."""
    classes = [cls for pair in TWINS.items() for cls in pair if cls not in NAMES]
    names = [keras.saving.get_registered_name(cls) for cls in classes]
    return {name: cls for name, cls in zip(names, classes, strict=True) if ">" in name}


def reason(layer: object) -> str:
    """Returns why an archive cannot hold a layer or operation that is in none of the lists."""
    cls = type(layer)
    if not isinstance(layer, keras.layers.Layer):
        return "it is a bare operation, such as Keras makes for masks: use a layer of Keras"
    if getattr(keras.layers, cls.__name__, None) is cls:
        return _REASONS.get(cls.__name__, "this version of fr_keras does not know it")
    return (
        "its class does not belong to Keras or fr_keras and is not registered with both "
        "fr_keras.register_twin and keras.saving.register_keras_serializable"
    )


def is_left_out(key: str) -> bool:
    """Whether an argument is not stored: all weights come from the archive, so their initializers
    do not matter, and `stored` is the corner of the kept coefficients."""
    return key == "stored" or key.endswith("_initializer")


def to_data(key: str, value: object) -> object:
    """Returns an argument in a layer's config as plain data with short names.

    Raises:
        ArchiveError: If an archive cannot hold it.
    """
    if isinstance(value, dict) and set(value) >= {"class_name", "config"}:
        if key == "dtype":
            value = value["config"].get("name")
        else:
            value = [value["class_name"], value["config"]]
    value = _plain(value)
    check(key, value)
    return value


def from_data(key: str, value: object) -> object:
    """Returns the argument that `to_data` was given, from checked data."""
    kind = key.rpartition("_")[2]
    if kind in _PENALTIES and value is not None:
        module, _ = _PENALTIES[kind]
        name, config = value
        return getattr(module, name)(**config)
    return value


def check(key: str, value: object) -> None:
    """Refuses an argument that names anything unknown or exceeds a limit.

    Raises:
        ArchiveError: If it does; the message has the argument and the rule.
    """
    kind = key.rpartition("_")[2]
    if kind == "activation":
        _check_choice(key, value, (None, *_ACTIVATIONS))
    elif key == "dtype":
        _check_choice(key, value, (*_POLICIES, *_TENSOR_TYPES))
    elif key in _NEVER:
        if value is not None:
            raise ArchiveError(f"`{key}` must be None. Received: {value!r:.100}")
    elif kind in _PENALTIES and value is not None:
        if type(value) is not list or len(value) != 2 or type(value[1]) is not dict:
            raise ArchiveError(f"`{key}` must be [name, {{arguments}}]. Received: {value!r:.100}")
        _check_choice(key, value[0], _PENALTIES[kind][1])
        for inner, one in value[1].items():
            _check_data(f"{key}.{inner}", one)
    else:
        _check_data(key, value)


def _check_choice(key: str, value: object, choices: tuple) -> None:
    if not (value is None or type(value) is str) or value not in choices:
        raise ArchiveError(
            f"`{key}` must be one of Keras' own: {', '.join(map(str, choices))}. "
            f"Received: {value!r:.100}"
        )


def _check_data(key: str, value: object, depth: int = 0) -> None:
    kind = type(value)
    if kind is list and depth < _DEEPEST:
        for one in value:
            _check_data(key, one, depth + 1)
    elif kind is int and key != "seed" and abs(value) > LARGEST:
        raise ArchiveError(f"`{key}` must be at most {LARGEST}. Received: {value}")
    elif (kind is str and len(value) > _LONGEST_TEXT) or (
        kind is not str and kind not in (int, float, bool, type(None))
    ):
        raise ArchiveError(
            f"`{key}` must be None, a number, a string of at most {_LONGEST_TEXT} characters or a "
            f"list of these, nested at most {_DEEPEST} deep. Received: {value!r:.100}"
        )


def _plain(value: object) -> object:
    """Tuples and numpy numbers as JSON has them."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ArchiveError(f"An archive holds finite numbers only. Received: {value}")
    return value
