"""Daily profiles of series: what is usual at this time of day, gaps and late values included."""

from __future__ import annotations

import numpy as np

from detectors.metrics.seasons import Seasons
from ingest.record import SECOND

STEP = 300 * SECOND
DAY = 288
MIDNIGHT = 1_699_920_000 * SECOND
"""A multiple of a day."""
ROW = np.array([0])
STEPS = np.array([float(STEP)])


def _known(samples: int, seasons: Seasons | None = None, first: int = 0) -> Seasons:
    """Return profiles of one series that is as high as the hour of its day."""
    model = seasons or Seasons()
    model.columns.grow(1)
    for place in range(first, first + samples):
        _learn(model, place, place % DAY / 12)
    return model


def _learn(seasons: Seasons, place: int, value: float) -> None:
    seasons.learn(ROW, np.array([MIDNIGHT + place * STEP]), np.array([value]), STEPS)


def _away(seasons: Seasons, place: int, value: float) -> float:
    return float(seasons.residual(ROW, np.array([MIDNIGHT + place * STEP]), np.array([value]))[0])


def test_a_value_is_held_against_its_time_of_day() -> None:
    """After four days noon's value at noon is usual, and at midnight twelve away."""
    seasons = _known(4 * DAY)
    assert _away(seasons, 4 * DAY + 144, 12.0) < 0.1
    assert abs(_away(seasons, 4 * DAY + 1, 12.0) - 12.0) < 0.3
    assert np.isnan(_away(_known(DAY), DAY // 2, 6.0))


def test_a_late_value_wipes_out_nothing() -> None:
    """A value of days ago that comes at noon leaves what the morning taught as it was."""
    plain, late = (_known(4 * DAY + 144) for _ in range(2))
    _learn(late, 2 * DAY + 7, 999.0)
    for model in (plain, late):
        _known(DAY - 144, model, 4 * DAY + 144)
    assert late.dump() == plain.dump()


def test_days_without_a_value_leave_holes_and_shift_nothing() -> None:
    """After a week of nothing it knows no usual value; after days of values it does again."""
    seasons = _known(4 * DAY)
    _learn(seasons, 12 * DAY, 0.0)
    assert np.isnan(_away(seasons, 12 * DAY + 144, 12.0))
    _known(3 * DAY, seasons, 12 * DAY + 1)
    assert _away(seasons, 15 * DAY + 144, 12.0) < 0.1
