"""The shop's day: its shape by any seed, its mean, and its way through an environment variable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testbed.daily import Day

seeds = st.integers(0, 10**6)


def _at(day: Day, hour: float) -> float:
    return day.busy(hour / 24 * day.length_s)


@given(seeds)
def test_a_day_has_a_valley_a_dip_and_a_peak(seed: int) -> None:
    """Night below morning, lunch below both its sides, evening above all, whatever the seed."""
    day = Day(length_s=7200, depth=1, seed=seed)
    assert 0 < _at(day, 4) < 0.5 < _at(day, 10.5)
    assert _at(day, 13) < min(_at(day, 10.5), _at(day, 16))
    assert _at(day, 20) > 1.5
    assert _at(day, 20) > max(_at(day, hour) for hour in (2, 7, 10.5, 13, 16, 23.9))


@given(seeds, st.floats(0, 1), st.floats(0, 24))
def test_the_mean_over_a_day_is_one(seed: int, depth: float, begins: float) -> None:
    """A rate is what it says over a day, wherever the day begins and however much it swings."""
    day = Day(length_s=600, depth=depth, begins=begins, seed=seed)
    mean = sum(day.busy(second) for second in range(600)) / 600
    assert mean == pytest.approx(1, abs=0.01)


@given(seeds, st.floats(0, 50_000))
def test_days_repeat_without_a_jump(seed: int, passed: float) -> None:
    """The next day is as this one, and a second changes little, at midnight too."""
    day = Day(length_s=7200, depth=1, seed=seed)
    assert day.busy(passed + 7200) == pytest.approx(day.busy(passed), abs=1e-6)
    assert day.busy(passed + 1) == pytest.approx(day.busy(passed), abs=0.01)


def test_a_day_survives_the_environment() -> None:
    """What one process writes another reads; nothing at all is a flat day."""
    day = Day(length_s=300, depth=0.5, begins=7.5, seed=3)
    assert Day.parse(day.text()) == day
    assert Day.parse("").busy(1234) == 1.0
