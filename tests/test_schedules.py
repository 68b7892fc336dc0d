import pytest
from hypothesis import given
from hypothesis import strategies as st

from fr_keras import schedules


@given(st.sampled_from(sorted(schedules.BY_NAME)), st.integers(1, 60))
def test_every_schedule_falls_from_the_start_to_the_target(name, epochs):
    schedule = schedules.get(name, epochs)
    fractions = [schedule(epoch) for epoch in range(epochs + 5)]
    assert fractions == sorted(fractions, reverse=True)
    assert all(0 <= f <= 1 for f in fractions)
    assert fractions[epochs - 1 :] == [0.0] * 6
    if name != "constant" and epochs > 1:
        assert fractions[0] == 1.0


def test_geometric_is_frereg_decay():
    """k <- k - rate * (k - target), step by step, until the clamp."""
    schedule, kept, target = schedules.geometric(10, rate=0.3), 1000.0, 50.0
    for epoch in range(9):
        assert target + (1000 - target) * schedule(epoch) == pytest.approx(kept)
        kept -= 0.3 * (kept - target)
    assert schedule(9) == 0


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: schedules.get("quadratic", 3), "schedule"),
        (lambda: schedules.get(3, 3), "schedule"),
        (lambda: schedules.get(lambda e: 0.1 * e, 3), "schedule"),
        (lambda: schedules.get(lambda e: 1.5, 3), "schedule"),
        (lambda: schedules.get(lambda e: float("nan"), 3), "schedule"),
        (lambda: schedules.linear(0), "epochs"),
        (lambda: schedules.linear(2.5), "epochs"),
        (lambda: schedules.geometric(3, rate=0), "rate"),
        (lambda: schedules.step(3, every=0), "every"),
        (lambda: schedules.step(3, factor=1.0), "factor"),
    ],
)
def test_bad_arguments_are_named(make, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        make()
