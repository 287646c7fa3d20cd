"""What a series has done before says less, and hardly anything at even intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from detectors.metrics.events import KEPT, Events

ROW = np.array([0])


def known(heights: Sequence[float], times: Sequence[int]) -> Events:
    """Return the events of one series."""
    events = Events()
    events.columns.grow(1)
    for height, time in zip(heights, times, strict=True):
        events.learn(ROW, np.array([time]), np.array([height]))
    return events


def weighed(events: Events, now: int, score: float) -> float:
    """Return what is left of a score."""
    return float(events.weighed(ROW, np.array([now]), np.array([score]))[0])


def test_what_was_reached_before_counts_less() -> None:
    """By hand: two events as high, of age 0 and 5,000: 1 + (1 + 1/e) / 4; a lower one does not count."""
    events = known([2.0, 2.0, 1.0], [5_000, 10_000, 10_000])
    assert weighed(events, 10_000, 2.0) == pytest.approx(2.0 / (1 + (1 + np.exp(-1)) / 4))
    assert weighed(events, 10_000, 3.0) == 3.0


def test_everyday_scores_are_neither_events_nor_weighed() -> None:
    """Up to 0.3 nothing is remembered and nothing changed."""
    events = known([0.3, 0.2], [1, 2])
    assert events.columns.at["count"][0] == 0
    assert weighed(known([2.0], [1]), 10, 0.3) == 0.3


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((100, 388, 676, 964), True),
        # Two hundredths off, as a job that begins when the last one ended.
        ((103, 386, 680, 962), True),
        ((100, 388, 676), False),
        ((100, 400, 676, 900), False),
        ((300, 676, 860, 964), False),
    ],
)
def test_an_event_at_even_intervals_is_expected(times: Sequence[int], expected: bool) -> None:
    """The fifth of a row, 288 values apart, is; after three, or at uneven intervals, it is not."""
    height = 1.0
    left = weighed(known([height] * len(times), times), 1252, 1.5)
    assert left == pytest.approx(1.5 * (0.2 if expected else 1.0))


def test_of_another_kind_is_not_expected() -> None:
    """What is more than twice as high as those that came evenly is news."""
    times = (100, 388, 676, 964)
    assert weighed(known([1.0] * 4, times), 1252, 2.5) == 2.5


def test_the_lowest_event_gives_way() -> None:
    """No more than there is room for, and the highest stay."""
    events = known([5.0, *np.linspace(1.0, 2.0, 3 * KEPT).tolist()], range(3 * KEPT + 1))
    heights = events.columns.at["height"][0]
    assert heights.max() == 5.0
    assert heights.min() > 1.6
