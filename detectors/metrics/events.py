"""What a series has done before: its high scores are events, and an event like earlier ones says less.

Each earlier event at least as high takes something off; one that comes at an even interval after three
others (a nightly job, a backup every hour) says hardly anything. The lowest event gives way: what counts is
how often high scores were reached.
"""

from __future__ import annotations

import numpy as np

from detectors.metrics.columns import Array, Column, Columns, Rows, Values

KEPT = 24
LEAST = 0.3
"""Scores from here on are events."""
_FADE = 5000.0
"""Values after which an event counts for a third."""
_REPEATED = 0.25
_EVEN = 4
"""Earlier events at one, two, three ... times the same interval that make another one expected."""
_APART = 0.02
"""How uneven the intervals may be."""
_EXPECTED = 0.2
"""What is left of an expected event's score."""
_ALIKE = 0.5
"""Events of this part of its height are of its kind."""
_SOONEST = 12
"""Values; what comes again sooner is the same event."""


class Events:
    """The highest scores of each series, and when they were."""

    def __init__(self) -> None:
        self.columns = Columns(
            {
                "height": Column(dtype="<f4", shape=(KEPT,)),
                "at": Column(dtype="<i4", shape=(KEPT,)),
                "count": Column(dtype="<i4"),
            }
        )

    def weighed(self, rows: Rows, now: Array, scores: Values) -> Values:
        """Return the scores, lower where the series has reached them before. `now` counts its values."""
        high = np.flatnonzero(scores > LEAST)
        if not len(high):
            return scores
        at, some = self.columns.at, rows[high]
        heights, ages = at["height"][some], (now[high][:, None] - at["at"][some]).astype(np.float64)
        reached = (heights >= scores[high, None]) * np.exp(-ages / _FADE)
        weighed = scores.copy()
        weighed[high] /= 1.0 + _REPEATED * reached.sum(axis=1)
        alike = (heights >= _ALIKE * scores[high, None]) & (ages > _SOONEST)
        expected = _expected(np.where(alike, ages, np.nan))
        weighed[high[expected]] *= _EXPECTED
        return weighed

    def learn(self, rows: Rows, now: Array, scores: Values) -> None:
        """Remember the high scores of now."""
        at = self.columns.at
        high = scores > LEAST
        some = rows[high]
        if not len(some):
            return
        count = at["count"][some]
        place = np.where(count < KEPT, count % KEPT, at["height"][some].argmin(axis=1))
        at["height"][some, place], at["at"][some, place] = scores[high], now[high]
        at["count"][some] += 1


def _expected(ages: Values) -> Array:
    """Return which rows of ages (NaN for none) hold one with its multiples, each about as uneven as it."""
    found = np.ones(ages.shape, dtype=np.bool_)
    for times in range(2, _EVEN + 1):
        near = np.maximum(2.0, _APART * ages) * np.sqrt(times)
        away = np.abs(ages[:, None, :] - times * ages[:, :, None])
        found &= (away <= near[:, :, None]).any(axis=2)
    even: Array = np.any(found, axis=1)
    return even
