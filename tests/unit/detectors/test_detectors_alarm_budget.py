"""The promise of `detectors.alarms_a_day`: a long calm stream brings no more findings than were asked for."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from detectors.metrics.surprise import Surprise
from ingest.record import SECOND
from ingest.summary import WindowSummary
from tests.support.windows import metrics, series

STEP = 300 * SECOND
PER_DAY = 288
MONDAY = 1_700_438_400 * SECOND
DAYS = 9
SETTLED = 2
"""Days after which the budget is measured; before, it knows its own tail only roughly."""


def _calm(days: int) -> Iterator[WindowSummary]:
    """Yield five-minute windows of eight series: a day's rhythm, noise, a tail and a slow walk, twice."""
    chance = random.Random(7)
    walks = [0.0, 0.0]
    for index in range(days * PER_DAY):
        load = 1.0 + 0.7 * math.sin((index % PER_DAY / PER_DAY * 24.0 - 9.0) / 24.0 * 2.0 * math.pi)
        values = []
        for place in range(2):
            walks[place] = 0.95 * walks[place] + chance.gauss(0.0, 1.0)
            values += [
                100.0 * load * chance.lognormvariate(0.0, 0.05),
                chance.gauss(50.0, 3.0),
                chance.expovariate(0.2),
                200.0 + 5.0 * walks[place],
            ]
        start = MONDAY + index * STEP
        made = metrics(0, [series(f"s{place}", 0, [value]) for place, value in enumerate(values)])
        yield replace(made, start=start, end=start + STEP)


def _findings_a_day(alarms_a_day: float) -> float:
    """Return how many findings that may page began on a settled day, on average."""
    detector = Surprise(alarms_a_day=alarms_a_day)
    begun: dict[str, int] = {}
    for summary in _calm(DAYS):
        for anomaly in detector.observe(summary):
            if not anomaly.learning:
                begun.setdefault(anomaly.id, (summary.start - MONDAY) // (86_400 * SECOND))
        detector.tick(summary.end)
    days = Counter(begun.values())
    return sum(days[day] for day in range(SETTLED, DAYS)) / (DAYS - SETTLED)


def test_a_calm_week_stays_within_the_budget() -> None:
    """About single series, all of an environment together; who asks for more is told more."""
    few, many = _findings_a_day(2.0), _findings_a_day(10.0)
    assert few <= 2.0
    assert few < many <= 10.0
