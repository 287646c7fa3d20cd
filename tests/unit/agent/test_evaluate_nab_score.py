"""NAB's formula against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluate.nab_score import Scores, best, outcome, position, probation, weights


def spikes(rows: int, *at: int, height: float = 1.0) -> Scores:
    """Return scores that are `height` at some rows and 0 elsewhere."""
    scores = np.zeros(rows)
    scores[list(at)] = height
    return scores


def test_the_sigmoid_by_hand() -> None:
    """0 at the end of the window, nearly 1 a window before it, and -1 from three windows after it on."""
    assert position(0.0) == 0.0
    assert position(-1.0) == pytest.approx(2 / (1 + math.exp(-5)) - 1)
    assert position(1.0) == pytest.approx(-position(-1.0))
    assert position(3.01) == -1.0


def test_probation_is_a_share_of_at_most_750_rows() -> None:
    """15 % of short series; long ones have 750 rows."""
    assert (probation(100), probation(4032), probation(5000), probation(22695)) == (15, 604, 750, 750)


def test_worth_of_rows_by_hand() -> None:
    """The window's first row is worth 1, its last a quarter; rows outside cost by their distance."""
    weighed = weights(200, [(50, 59), (150, 159)])
    assert weighed.first == 30
    assert weighed.worth[49] == -0.11
    assert weighed.worth[50] == pytest.approx(1.0)
    assert weighed.worth[59] == pytest.approx(0.244919 / 0.986614, rel=1e-5)
    # One row behind: a ninth of a window; 27 rows behind are three windows, then all is lost.
    assert weighed.worth[60] == pytest.approx(0.11 * (2 / (1 + math.exp(5 / 9)) - 1))
    assert weighed.worth[86] == pytest.approx(-0.11, rel=1e-5)
    assert weighed.worth[87] == -0.11
    assert [int(weighed.window[row]) for row in (49, 50, 59, 60, 150)] == [-1, 0, 0, -1, 1]


def test_nothing_found_is_0_and_all_at_once_100() -> None:
    """The scale's two ends."""
    weighed = [weights(200, [(50, 59), (150, 159)])]
    assert outcome(weighed, [np.zeros(200)], 0.5).score == 0.0
    perfect = outcome(weighed, [spikes(200, 50, 150)], 0.5)
    assert perfect.score == pytest.approx(100.0)
    assert (perfect.found, perfect.windows, perfect.false_alarms) == (2, 2, 0)


def test_one_window_found_late_and_a_false_alarm_by_hand() -> None:
    """Found at its last row: 1 + 0.24824; an alarm before costs 0.11; the other window is missed."""
    found = outcome([weights(200, [(50, 59), (150, 159)])], [spikes(200, 40, 59)], 0.5)
    assert found.score == pytest.approx(100 * (1 + 0.244919 / 0.986614 - 0.11) / 4, rel=1e-5)
    assert found.false_alarms == 1


def test_only_the_earliest_detection_of_a_window_counts() -> None:
    """More detections inside change nothing."""
    weighed = [weights(200, [(50, 99)])]
    once, often = spikes(200, 55), spikes(200, *range(55, 100))
    assert outcome(weighed, [once], 0.5).score == outcome(weighed, [often], 0.5).score


def test_what_is_found_in_the_probation_does_not_count() -> None:
    """Neither for nor against."""
    weighed = [weights(200, [(150, 159)])]
    assert outcome(weighed, [spikes(200, *range(30))], 0.5).score == 0.0


def test_one_threshold_for_all_series() -> None:
    """The window seen weakly is worth a false alarm elsewhere, but not thirty."""
    weighed = [weights(200, [(50, 59)]), weights(200, [(50, 59)])]
    strong = spikes(200, 50, height=0.9)
    cheap = spikes(200, 50, height=0.5) + spikes(200, 190, height=0.6)
    assert best(weighed, [strong, cheap]).threshold == 0.5
    assert best(weighed, [strong, cheap]).score == pytest.approx(100 * (4 - 0.11) / 4, rel=1e-4)
    dear = spikes(200, 50, height=0.5) + spikes(200, *range(100, 200), height=0.6)
    assert best(weighed, [strong, dear]).threshold == 0.9
    assert best(weighed, [strong, dear]).score == pytest.approx(50.0)


def test_a_detector_that_only_cries_wolf_scores_nothing() -> None:
    """The best threshold of a useless detector is above all its scores."""
    found = best([weights(200, [(50, 59)])], [spikes(200, *range(120, 200))])
    assert found.score == 0.0
    assert found.threshold == math.inf


def test_series_without_windows_can_only_cost() -> None:
    """An alarm on a series in which nothing is labelled costs 0.11."""
    weighed = [weights(200, [(50, 59)]), weights(100, [])]
    found = outcome(weighed, [spikes(200, 50), spikes(100, 60)], 0.5)
    assert found.score == pytest.approx(100 * (2 - 0.11) / 2)


@given(
    st.lists(st.floats(0, 1), min_size=60, max_size=60),
    st.lists(st.floats(0, 1), min_size=80, max_size=80),
)
def test_the_best_threshold_is_the_best(first: list[float], second: list[float]) -> None:
    """No score taken as threshold gives more."""
    weighed = [weights(60, [(20, 25), (40, 47)]), weights(80, [(60, 66)])]
    scores = [np.array(first), np.array(second)]
    top = best(weighed, scores).score
    tried = [outcome(weighed, scores, threshold).score for threshold in {*first, *second}]
    assert top == pytest.approx(max([*tried, 0.0]))
