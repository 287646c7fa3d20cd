"""The default rules over weeks: the rhythm of days and weekends is no drift, a lasting change is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from detectors.manifest import Status
from detectors.retraining import DAY, Rules
from detectors.versioned import Versioned
from ingest.record import SECOND
from ingest.summary import WindowSummary
from tests.support.learners import Doubling
from tests.support.windows import metrics, series

STEP = 300 * SECOND
PER_DAY = DAY // STEP
MONDAY = 1_700_438_400 * SECOND
"""2023-11-20 00:00 UTC."""
Traffic = Callable[[int, float], float]
"""Day and hour to a share of the usual traffic."""


def _rhythm(day: int, hour: float) -> float:
    """Return more by day than by night, and half of it at weekends."""
    weekend = 0.5 if day % 7 >= 5 else 1.0
    return weekend * (1.0 + 0.7 * math.sin((hour - 9.0) / 24.0 * 2.0 * math.pi))


def _windows(days: range, traffic: Traffic) -> Sequence[WindowSummary]:
    """Return windows of five minutes in which four metrics follow the traffic, with noise."""
    rng = random.Random(days.start)
    found = []
    for index in range(days.start * PER_DAY, days.stop * PER_DAY):
        load = traffic(index // PER_DAY, index % PER_DAY * 24 / PER_DAY)
        levels = {"requests": 200 * load, "cpu": 5 + 40 * load, "memory": 60 + load, "queue": 3 * load}
        values = [series(name, 0, [level * rng.lognormvariate(0.0, 0.05)]) for name, level in levels.items()]
        start = MONDAY + index * STEP
        found.append(replace(metrics(0, values), start=start, end=start + STEP))
    return found


def _play(detector: Versioned, days: range, traffic: Traffic) -> None:
    for summary in _windows(days, traffic):
        detector.observe(summary)
        detector.tick(summary.end)


@pytest.fixture(scope="module")
def two_weeks() -> bytes:
    """Return the state after two weeks that begin on a Monday."""
    detector = Versioned(Doubling())
    _play(detector, range(14), _rhythm)
    return detector.dump()


def _after(state: bytes) -> Versioned:
    detector = Versioned(Doubling(), Rules())
    detector.load(state)
    return detector


def test_days_and_weekends_are_no_drift(two_weeks: bytes) -> None:
    """Two weeks pass by one version; on the last Sunday its inputs had moved, and that is not enough."""
    (active,) = _after(two_weeks).live()
    assert active.number == 1
    assert active.drift == 0.75
    assert active.learned.windows == 14 * PER_DAY


def test_a_lasting_change_is_learned_anew_after_three_days(two_weeks: bytes) -> None:
    """From Wednesday on three times the traffic: on Friday night a version begins, a day later it judges."""
    detector = _after(two_weeks)

    def grown(day: int, hour: float) -> float:
        return (3.0 if day >= 16 else 1.0) * _rhythm(day, hour)

    _play(detector, range(14, 18), grown)
    assert [one.number for one in detector.live()] == [1]
    _play(detector, range(18, 19), grown)
    assert [one.status for one in detector.live()] == [Status.ACTIVE, Status.SHADOW]
    assert "drift for 72 h: 3 of 4 inputs moved" in detector.live()[1].why
    _play(detector, range(19, 20), grown)
    assert [(one.number, one.status) for one in detector.live()] == [(2, Status.ACTIVE)]
    ((old, state),) = detector.retired()
    assert (old.number, state is not None) == (1, True)
