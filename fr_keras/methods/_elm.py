"""`elm`: the extreme learning machine, a network of a random layer and a ridge regression."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from fr_keras.methods._elm_choice import choose, warn_of_ends
from fr_keras.methods._elm_hidden import answers, hidden
from fr_keras.methods._elm_targets import Choice, Targets
from fr_keras.methods._ridge import Ridge

PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
# One of so many rows is set aside if there are no validation rows.
_ASIDE = 10


def elm(
    data: Iterable,
    neurons: int,
    validation: Iterable | None = None,
    seed: int = 0,
    activation: str | Callable = "relu",
    penalty: float | Sequence[float] = PENALTIES,
    progress: Callable[[str, float | None], None] | None = None,
) -> keras.Model:
    """Returns an extreme learning machine: a random hidden layer, and an output layer solved for.

    For rows `x`, flattened to `d` numbers, and labels `t`, the network is

        h = activation(x W + c),    outputs = h K + b    (classes: softmax(s (h K + b)))

    where `W` is `(d, neurons)` and `K` is `(neurons, outputs)`. `W` holds `+a` and `-a` by
    `SeededSigns(seed, a)`, where `a` is the power of two nearest to `1 / sqrt(d)`, and `c` holds
    evenly spaced numbers from `-a` to `a`, in ascending order; both are frozen, and take next to
    nothing in an archive. `K` and `b` have the least

        sum over rows |h K + b - t|^2 + penalty * m |K|^2

    with `m` the mean over the neurons of their sums of squares about their means. For classes, `t`
    is one-hot. Of several penalties, and for classes of 15 factors `s` from 1 to 128, those are
    taken whose loss on the validation rows is least: cross-entropy for classes; for numbers the
    squared error, where the unit of an output is its standard deviation in the first batch.

    The rows are gone through once, in batches of any size. Half of `h^T h` is held in memory:
    `4 n^2` bytes for `n` up to 8,000 neurons, in float64, and `2 n^2` above, in float32, which is
    722 MB for 19,000. With several penalties a file in the temporary folder has as many bytes.

    Scale inputs to about -1 to 1, for that is where `c` makes a difference between neurons, and
    where activations such as `"tanh"` bend. A `.keras` file has all weights; `import fr_keras`
    before it is loaded, because the config names `SeededSigns`.

    Args:
        data: A tuple of arrays `(rows, ...)` and labels, or a finite iterable of batches of such
            tuples. Labels are whole numbers from 0 for classes (int), one-hot rows, or floats, one
            or several a row, for regression; floats are never classes, unless they are one-hot.
        neurons: The size of the hidden layer, 1 to 65,534.
        validation: Rows as for `data` that choose. If there are none, every tenth row of `data`
            does, and is not fitted; so a tenth of the data is held in memory. Where nothing is to
            be chosen, which is for one penalty and numbers, all rows are fitted.
        seed: The seed of the hidden layer, 0 to 2^64 - 1.
        activation: The activation of the hidden layer, a name or a function of Keras.
        penalty: One number above 0, or several to choose among.
        progress: A function that is called with what is being done, and with the share of it that
            is done, or `None` where that is not known. The last call says what was chosen.

    Returns:
        A plain model that is not compiled, with the layers `hidden` and `output`, and `flatten` if
        inputs have several axes.

    Raises:
        ImportError: If scipy is not installed, which the extra `elm` brings.
        ValueError: If an argument is out of range; if there are no rows or no labels, numbers that
            are not finite, labels of different tasks or of a single class; if no penalty can be
            solved.
        OSError: If the temporary folder has no room.

    Example:

    >>> x = np.random.default_rng(0).random((200, 20), np.float32)
    >>> model = elm((x, (x[:, 0] > x[:, 1]).astype(int)), neurons=50)
    >>> model.output_shape
    (None, 2)
    >>> model.get_layer("hidden").trainable
    False

    Source: Huang, Zhu and Siew, "Extreme learning machine: theory and applications",
    Neurocomputing 70, 2006.
    """
    penalties, report = _penalties(penalty), progress or (lambda text, share: None)
    network, data = hidden(data, neurons, seed, activation)
    ridge, targets = Ridge(neurons), Targets()
    report("Adding rows", None)
    rows = _add(ridge, targets, network, data, len(penalties), validation)
    _check_classes(ridge, targets)
    solutions = []
    for one in ridge.solutions(penalties):
        solutions.append(one)
        report(f"Solved with penalty {one[0]:g}", len(solutions) / len(penalties))
    del ridge  # its memory is wanted elsewhere
    if not solutions:
        raise ValueError(
            "`penalty` must be so large that the regression has a solution, and the inputs in "
            f"`data` must differ. Received: penalty={penalty!r}"
        )
    best = Choice(solutions[0])
    if rows is not None:
        name = "data" if validation is None else "validation"
        best = choose(solutions, targets, answers(network, rows, name), name)
        warn_of_ends(solutions, penalties, best.solution)
        report(f"Penalty {best.solution.penalty:g} has the least loss, {best.loss:.4f}", 1.0)
    last = "softmax" if targets.classes else None
    output = keras.layers.Dense(len(best.solution.bias), last, name="output")
    model = keras.Model(network.input, output(network.output), name="elm")
    output.set_weights(targets.layer(best))
    return model


def _penalties(penalty: float | Sequence[float]) -> list[float]:
    found = [penalty] if isinstance(penalty, (int, float)) else penalty
    several = isinstance(found, (list, tuple, np.ndarray)) and len(found)
    if not several or not all(_is_positive(one) for one in found):
        raise ValueError(
            f"`penalty` must be a number above 0, or a list of them. Received: {penalty!r}"
        )
    return sorted({float(one) for one in found})


def _is_positive(number: object) -> bool:
    real = isinstance(number, (int, float, np.floating)) and not isinstance(number, bool)
    return real and 0 < number < math.inf


def _add(
    ridge: Ridge,
    targets: Targets,
    network: keras.Model,
    data: Iterable,
    choices: int,
    validation: Iterable | None,
) -> Iterable | None:
    """Adds the rows and returns those that choose, or `None` if there is nothing to choose."""
    aside, count = [], 0
    for x, h, labels in answers(network, data, "data"):
        t = targets.of(labels, "data")
        places = np.arange(count, count + len(x))
        choose = places % _ASIDE == _ASIDE - 1
        if validation is not None or (choices == 1 and not targets.classes):
            choose[:] = False
        ridge.add(h[~choose], t[~choose])
        if choose.any():
            aside.append((x[choose], labels[choose]))
        count += len(x)
    if choices == 1 and not targets.classes:
        return None
    if validation is None and not aside:
        raise ValueError(
            f"`data` must have at least {_ASIDE} rows, of which one chooses; or give `validation`. "
            f"Received: {count} rows"
        )
    return aside if validation is None else validation


def _check_classes(ridge: Ridge, targets: Targets) -> None:
    """Warns of classes without rows, and refuses a single class."""
    (missing,) = np.nonzero(ridge.sums == 0)
    if not targets.classes:
        return
    if targets.classes - len(missing) < 2:
        raise ValueError(
            "the labels in `data` must be of at least two classes; for numbers give floats. "
            f"Received: {targets.classes - len(missing)}"
        )
    if len(missing):
        warnings.warn(
            f"`data` has no rows to fit for {len(missing)} of {targets.classes} classes: "
            f"{', '.join(map(str, missing[:5]))}{', ...' if len(missing) > 5 else ''}. The network "
            "cannot tell these.",
            stacklevel=3,
        )
