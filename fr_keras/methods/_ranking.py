"""`rank`: a score for each channel of a model."""

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from fr_keras.methods import _filters
from fr_keras.methods._information import information
from fr_keras.methods._observing import Layout
from fr_keras.methods._relevance import relevance
from fr_keras.methods._responses import nonzeros, positives, residuals
from fr_keras.methods._rows import batches
from fr_keras.methods._selection import removable
from fr_keras.models import channels

_FROM_WEIGHTS: dict[str, Callable] = {
    "l1": lambda found, groups, seed: _filters.norms(found, groups, 1),
    "l2": lambda found, groups, seed: _filters.norms(found, groups, 2),
    "batch_norm": lambda found, groups, seed: _filters.scales(groups),
    "random": lambda found, groups, seed: _filters.chances(groups, seed),
}
_FROM_DATA: dict[str, Callable] = {
    "active": positives,
    "apoz": nonzeros,
    "triplet": residuals,
    "relevance": relevance,
}
#: The criteria of `rank`.
CRITERIA = (*_FROM_WEIGHTS, *_FROM_DATA, "information")
_LABELLED = ("triplet", "relevance")


def rank(
    model: keras.Model,
    data: Iterable | None,
    criterion: str,
    seed: int = 0,
    outputs: str | Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Returns how much each channel of a model matters, by one of nine criteria.

    The channels are those of `channels.groups` that can be removed. What a channel is on data is
    what the layers that read it see, so behind a Flatten it has several values a row, and behind a
    skip connection it is the sum. In the table, `a` are these values; the sums and the means run
    over positions and rows.

    | criterion | score of a channel | source |
    |---|---|---|
    | `"l1"` | `sum abs(w)` over the filters that make it, without biases | Li et al. 2017 |
    | `"l2"` | `sqrt(sum w^2)`, the same | He et al. 2018 |
    | `"batch_norm"` | `mean abs(gamma)` of its batch normalizations | Liu et al. 2017 |
    | `"active"` | how often `a > 0` | activation-based pruning |
    | `"apoz"` | the share of `a` other than 0, which is 1 - APoZ | Hu et al. 2016 |
    | `"triplet"` | `mean(abs(a - b)^2 - abs(a - c)^2)` | NestDNN, Fang et al. 2018 |
    | `"information"` | `1/2 E sum_k p_k (sum a dlog(p_k)/da)^2` | EasiEdge; our form |
    | `"relevance"` | `E sum R(a)` | Yeom et al. 2021 |
    | `"random"` | a number from 0 to 1: what the others must beat | |

    In `"triplet"`, the mean is over all triplets of a row with values `a`, one of another class
    with `b`, and another one of its own class with `c`; each row `a` weighs the same.

    Several layers may make or read a channel. A norm is that of all its filters together. Triplets
    and relevance are summed over the layers that read it, and `"active"` and `"apoz"` averaged. In
    `"information"`, the inner sum runs over all of them: `p` are the model's own probabilities, of
    classes from a softmax or from logits, or of each label and of its absence. Numbers, as in a
    regression, stand for normal distributions around them with variance 1, so that their sum is
    `sum_k (sum a dy_k/da)^2`. To the second order, the score is the Kullback-Leibler divergence of
    `p` without the channel from `p` with it. It is the mean over the positions of a mask, over
    labels or over numbers, and the sum over several outputs, as in losses.

    `"information"` costs a backward pass for each class, label or number. Where an output has
    positions, as a mask has, there are too many of them, and the score is estimated by a single
    pass: for random signs `s_k`, `sum_k p_k d_k^2` is the mean of `(sum_k s_k sqrt(p_k) d_k)^2`
    (Hutchinson 1990). More rows make it more exact.

    `"relevance"` uses the z+ rule, layer by layer from the output of the row's own class, which
    has relevance 1: `R_i = sum_j (a_i w_ij)+ R_j / sum_k (a_k w_kj)+`. Biases get none. A batch
    normalization right behind a kernel counts to it. Activations and other normalizations pass
    relevance on, maximum pooling passes it to the largest, and additions and mean pooling share it
    by the positive parts. `"triplet"` holds a sum of all values of a row for each class in memory.

    Args:
        model: A built functional or sequential model. It is not changed.
        data: For `"apoz"`, `"active"` and `"information"` inputs: an array `(rows, *input)`, a dict
            of arrays by input name, or a finite iterable of batches of either, such as a
            `tf.data.Dataset`. For `"triplet"` and `"relevance"` also labels: a tuple
            `(inputs, labels)` or batches of such tuples; the labels are the numbers of the classes,
            `(rows,)`. For the other criteria it is not used and may be `None`.
        criterion: A name in the table.
        seed: Seeds `"random"`, and the signs of `"information"`.
        outputs: What the outputs are, for `"information"`: `"classes"` along the last axis,
            `"labels"`, each with a probability of its own, or `"numbers"`; for several outputs, a
            list of these. By default a softmax and logits of two or more numbers are classes, and
            a sigmoid gives labels. For the other criteria it is not used.

    Returns:
        For the name of each group that can be removed a float64 array `(channels,)`; the higher,
        the more the channel matters. Only `"triplet"` gives negative numbers. How the scores of
        different groups compare depends on their size; divide by the mean of a group to compare.

    Raises:
        ValueError: If `criterion` is unknown; if no channels can be removed; if `data` is missing,
            is empty, has no labels that are needed, or leads to values that are not finite; if a
            normalization has no scale, for norms and `"batch_norm"`, or a group has no batch
            normalization, for the latter; if there are no zeros for `"apoz"`, too few rows for
            `"triplet"`, outputs for `"information"` that are not known or not what `outputs` says,
            or a layer without a rule for `"relevance"`.

    Example:

    >>> from fr_keras.methods import rank
    >>> inputs = keras.Input((2,))
    >>> x = keras.layers.Dense(3, activation="relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    >>> model.layers[1].set_weights([np.array([[1, 0, -2], [1, 3, 0]]), np.zeros(3)])
    >>> rank(model, None, "l1")
    {'hidden': array([2., 3., 2.])}
    >>> rank(model, np.array([[1.0, 0.0], [2.0, 2.0]]), "apoz")
    {'hidden': array([1. , 0.5, 0. ])}
    """
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        raise ValueError(f"`criterion` must be one of {CRITERIA}. Received: {criterion!r}")
    found = channels.groups(model)
    groups = [found[name] for name in removable(model, found)]
    if criterion in _FROM_WEIGHTS:
        return _FROM_WEIGHTS[criterion](found, groups, seed)
    if data is None:
        raise ValueError(
            f"`data` must be given for criterion='{criterion}': rows like those that the model was "
            "trained on. Received: None"
        )
    if criterion == "information":
        return information(Layout(groups), model, data, outputs, seed)
    labels_for = f"criterion='{criterion}'" if criterion in _LABELLED else None
    return _FROM_DATA[criterion](Layout(groups), model, batches(model, data, labels_for))
