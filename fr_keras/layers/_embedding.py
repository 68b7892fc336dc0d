"""The embedding layer in the DCT domain."""

import keras

from fr_keras.layers._frequency import FrequencyKernel


@keras.saving.register_keras_serializable(package="fr_keras")
class FREmbedding(FrequencyKernel, keras.layers.Embedding):
    """`keras.layers.Embedding` whose table is held as truncated DCT coefficients.

    Tokens have no natural order, so truncation along the vocabulary makes tokens with neighbouring
    numbers similar. Sort the vocabulary (by how often words occur, as tokenizers do), or keep more
    frequencies along that axis with a small first value in `axis_weights`.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, ...)` of integers, output `(batch, ..., output_dim)`; coefficients and
        table `(input_dim, output_dim)`.

    Example:

    >>> layer = FREmbedding(100, 8)
    >>> layer(keras.ops.ones((2, 5), "int32")).shape
    TensorShape([2, 5, 8])
    """

    weight_name = "embeddings"
