"""Random archives for the tests."""

import math

from hypothesis import strategies as st

from fr_archive import Archive, Codebook, Config, Kernel, Quantized, Reference, Signs
from fr_archive._integers import LARGEST
from fr_archive._steps import HIGHEST, LOWEST

numbers = st.one_of(
    st.integers(-3, 3), st.integers(-40, 40), st.integers(-LARGEST, LARGEST), st.just(0)
)
steps = st.one_of(st.integers(-40, 0), st.integers(LOWEST, HIGHEST))
quantized = st.builds(Quantized, st.lists(numbers, max_size=30), steps)
series = st.lists(quantized, max_size=6)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _text,
)
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(_text, _json, max_size=5)
architectures = st.one_of(
    st.builds(Reference, _text.filter(len), objects), st.builds(Config, objects)
)
kernels = st.builds(
    lambda rows, columns, step, data: Kernel(
        data.draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns)),
        step,
        columns,
    ),
    st.integers(0, 6),
    st.integers(1, 6),
    steps,
    st.data(),
)
_reals = st.one_of(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), st.floats(width=32)).filter(
    math.isfinite
)
levels = st.lists(_reals, min_size=1, max_size=8, unique=True).map(sorted)
# Half of them mirrored at 0.
levels = levels | levels.map(lambda some: sorted({*some, *(-one for one in some)}))
codebooks = st.builds(
    lambda levels, rows, columns, data: Codebook(
        data.draw(
            st.lists(
                st.integers(0, len(levels) - 1),
                min_size=rows * columns,
                max_size=rows * columns,
            )
        ),
        levels,
        columns,
    ),
    levels,
    st.integers(0, 8),
    st.integers(1, 6),
    st.data(),
)
seeds = st.integers(0, 2**64 - 1) | st.integers(0, 3)
signs = st.builds(
    lambda seed, scale, rows, columns: Signs(seed, scale, rows * columns, columns),
    seeds,
    _reals.filter(lambda one: one > 0),
    st.integers(0, 40),
    st.integers(1, 9),
)
archives = st.builds(
    Archive,
    architectures,
    series,
    series,
    st.none() | st.binary(max_size=40),
    st.lists(kernels | codebooks | signs, max_size=4),
)


def as_on_the_page(one: Kernel | Codebook | Signs) -> tuple:
    """A kernel as a reader written from the page gives it: signs are the places of two levels."""
    if isinstance(one, Signs):
        places = tuple((one.reals() > 0).astype(int).tolist())
        return places, (-one.scale, one.scale), one.columns
    return one.values, one.levels if isinstance(one, Codebook) else one.step, one.columns
