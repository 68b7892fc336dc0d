"""`nest`: many capacities of one network, by NestDNN."""

import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Iterator

import keras

from fr_keras.methods._budget import Measure, Scores, cost_of
from fr_keras.methods._growth import grow, train_rest
from fr_keras.methods._heads import check_reached, heads, warn_of_unreached
from fr_keras.methods._nested import Nested
from fr_keras.methods._ranking import rank
from fr_keras.methods._roadmap import chosen, growing_order, roadmap
from fr_keras.methods._score import finite
from fr_keras.methods._selection import removable
from fr_keras.methods._stepwise import pruned
from fr_keras.models import channels
from fr_keras.models.walk import named_layers

_RECOVERIES = ("frozen", "full")


def nest(
    model: keras.Model,
    data: Iterable | None,
    tune: Callable[[keras.Model, list[keras.callbacks.Callback]], object],
    keep: int | float,
    steps: int,
    capacities: int = 5,
    criterion: str | Callable[[keras.Model], Scores] = "triplet",
    score: Callable[[keras.Model], float] | None = None,
    floor: float | None = None,
    measure: Measure = "multiply_adds",
    scope: str = "global",
    recover: str = "frozen",
) -> Nested:
    """Trains networks of several capacities, each of them the beginning of the next.

    The network is pruned step by step, as by `prune_stepwise`, down to the seed. Then it grows
    again: the channels that were removed last come back first. The channels that are there are
    frozen, with their weights and their normalizations, and do not read the new ones. Trained are
    the weights that make the new channels, from all channels, and the head, of which each network
    has its own: the layers behind all channels that come and go, such as the last one.

        W_k = [[W_(k-1), A], [0, B]],    rows: what is read, columns: what is made, old before new

    So a network computes within the next one what it computes alone. Only the order in which a
    processor adds up numbers may differ where it adds zeros.

    New channels begin with the weights that they have in `model`. While they are trained, batch
    normalizations take the moving statistics for frozen channels, as at inference, and those of the
    batch for new ones: new channels then learn from what they will read. The frozen numbers are put
    back after each batch, which with `steps_per_execution` is as many steps.

    Args:
        model: A trained functional or sequential model. It is not changed.
        data: What channels are ranked on, as for `rank`, again before each step. The labels are
            classes for `"triplet"`. It is not used if `criterion` is a function.
        tune: Trains the model that it is given, in place, and gives the callbacks to `fit`, before
            others of its own; there are none while all weights are trained. The model is compiled,
            with its optimizer as it was, if `model` is.
        keep: The budget of the smallest network that is tried, as for `select`. It is the seed if
            there is no `floor`.
        steps: The number of steps in which the model is pruned to `keep`.
        capacities: How many networks there are, from the seed to the whole network.
        criterion: How channels are ranked: a name, as for `rank`; or a function that returns the
            scores of a model's channels, as `select` takes them.
        score: Returns how good a model is, for instance its accuracy on validation rows. Higher is
            better.
        floor: The least score of the seed. It is the last network before one falls below. (The
            `floor` of `select` is a number of channels; here, each group keeps at least one.)
        measure: What the budget is counted in, as for `select`.
        scope: How channels are compared, as for `select`.
        recover: `"frozen"`, as above; or `"full"`, to train all weights of each network. They begin
            as they would otherwise, and each network has all its weights for itself.

    Raises:
        ValueError: As `rank` and `prune_stepwise` do; if an argument is out of range, no network
            reaches `floor`, or `tune` does not use its callbacks; if new channels would be read by
            nothing that is trained; if the groups of the model become others as it is pruned.

    Warns if there are fewer networks than `capacities`, because too few steps hold `floor` or
    remove channels; or if some new channels are read by nothing that is trained.

    Example:

    >>> import numpy as np
    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = np.random.default_rng(0).random((8, 4)), np.arange(8) % 2
    >>> def tune(model, callbacks):
    ...     model.fit(x, y, verbose=0, callbacks=callbacks)
    >>> nested = nest(model, (x, y), tune, keep=0.25, steps=2, capacities=3)
    >>> [one.get_layer("hidden").units for one in nested.models]
    [2, 4, 8]
    >>> kernels = [one.get_layer("hidden").kernel.numpy() for one in nested.models]
    >>> bool((kernels[0] == kernels[2][:, :2]).all())
    True
    >>> nested.own
    ('logits',)

    Source: Fang, Zeng and Zhang, "NestDNN: Resource-Aware Multi-Tenant On-Device Deep Learning for
    Continuous Mobile Vision", MobiCom 2018, arXiv 1810.10090, its offline stage.
    """
    _check(data, steps, capacities, score, floor, recover)
    found = channels.groups(model)
    sizes, own = removable(model, found), heads(model, found)
    if recover == "frozen":
        check_reached(found, own, [name for name, size in sizes.items() if size > 1])
    ranks = criterion if callable(criterion) else lambda one: rank(one, data, criterion)
    path = pruned(model, ranks, lambda one: tune(one, []), keep, steps, measure, scope)
    if floor is not None and (whole := finite(score(model))) < floor:
        raise ValueError(
            f"`floor` must be at most what `model` scores: {whole:.6g}. Received: floor={floor}"
        )
    seed, road = roadmap(found, path, score, floor)
    order, counts = growing_order(road), chosen(road, capacities)
    if recover == "frozen":
        warn_of_unreached(found, own, counts)
    ordered = channels.order(model, order)
    models = (seed, *_grown(ordered, seed, counts, own, tune, recover))
    kept = tuple({n: order[n][:count].tolist() for n, count in one.items()} for one in counts)
    costs = [cost_of(one, measure) for one in models]
    scores = None if score is None else tuple(finite(score(one)) for one in models)
    if recover == "full":
        own = [name for name, layer in named_layers(model).items() if layer.weights]
    return Nested(models, kept, tuple(one / costs[-1] for one in costs), scores, tuple(own))


def _grown(
    ordered: keras.Model,
    seed: keras.Model,
    counts: list[dict[str, int]],
    own: list[str],
    tune: Callable,
    recover: str,
) -> Iterator[keras.Model]:
    """Yields the larger networks, each grown from the one before it."""
    before = seed
    for fewer, more in itertools.pairwise(counts):
        model = channels.remove(ordered, {name: range(count) for name, count in more.items()})
        growing = {name: count for name, count in fewer.items() if count < more[name]}
        held = grow(model, before, growing, own)
        if recover == "full":
            tune(model, [])
        else:
            train_rest(model, held, tune)
        yield model
        before = model


def _check(data, steps, capacities, score, floor, recover) -> None:
    whole = isinstance(capacities, numbers.Integral) and not isinstance(capacities, bool)
    if not whole or capacities < 2:
        raise ValueError(
            "`capacities` must be a number of networks, 2 or more: the seed and the whole network. "
            f"Received: {capacities!r}"
        )
    if isinstance(steps, int) and 0 < steps < capacities - 1:
        raise ValueError(
            "`steps` must be at least `capacities` - 1, for each network is the result of a step. "
            f"Received: steps={steps}, capacities={capacities}"
        )
    if recover not in _RECOVERIES:
        raise ValueError(f"`recover` must be one of {_RECOVERIES}. Received: {recover!r}")
    if isinstance(data, Iterator):
        raise ValueError(
            "`data` must be something that can be read again before each step, such as arrays, a "
            f"list of batches or a `tf.data.Dataset`. Received: {type(data).__name__}"
        )
    if floor is None:
        return
    if not isinstance(floor, numbers.Real) or not math.isfinite(floor):
        raise ValueError(f"`floor` must be a score, a finite number. Received: {floor!r}")
    if score is None:
        raise ValueError(
            "`floor` must come with `score`, a function that returns the score of a model; a "
            f"budget is `keep`. Received: floor={floor} and score=None"
        )
