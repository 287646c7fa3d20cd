"""What is too thin to wake somebody by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from detectors.anomaly import Anomaly
from detectors.calls import Calls
from detectors.joint import _bounded
from detectors.silence import Silence
from tests.support.windows import closed, logs, operation, template, traffic


def _silent(detector: Silence, index: int, services: Sequence[str]) -> Sequence[Anomaly]:
    window = closed(index, [logs(index, [template("t_ok", 5, index)], service=one) for one in services])
    for summary in window.summaries:
        detector.observe(summary)
    return detector.tick(window.end)


def test_others_that_begin_to_report_more_often_make_nobody_late() -> None:
    """All report once a minute; then one does every window, and those that go on as before are not missed."""
    detector, names = Silence(), ("cart", "orders", "nightly")
    found: list[Anomaly] = []
    for index in range(0, 360, 6):
        found.extend(_silent(detector, index, names))
    for index in range(360, 480):
        found.extend(_silent(detector, index, names if index % 6 == 0 else ("cart",)))
    assert not found


def test_nobodys_silence_is_not_held_against_one() -> None:
    """After ten minutes in which nothing came, who reports once a minute has its minutes from then on."""
    detector, names = Silence(), ("cart", "orders", "nightly")
    for index in range(0, 360, 6):
        _silent(detector, index, names)
    found = [one for index in range(420, 436) for one in _silent(detector, index, ("cart", "orders"))]
    assert all(one.score < 2 * one.threshold for one in found)
    late = [one for index in range(436, 480) for one in _silent(detector, index, ("cart", "orders"))]
    assert max(one.score / one.threshold for one in late) >= 2


@pytest.mark.parametrize(("windows", "told"), [(3, False), (6, True)])
def test_two_slow_calls_of_three_are_not_enough(windows: int, told: bool) -> None:
    """One call a window: three make a sample, and a shift must show in two samples."""
    detector = Calls()
    found: list[Anomaly] = []
    for index in range(150 + windows):
        took = [0.04 if index >= 150 else 0.005]
        found.extend(detector.observe(traffic(index, operations=[operation("GET /", took)])))
    assert bool(found) == told


def test_numbers_that_do_not_fit_open_nothing_alone() -> None:
    """The score grows with how far off they are, and stays below twice the threshold."""
    scores = [_bounded(size, 2.0) for size in (2.0, 3.0, 6.0, 50.0)]
    assert scores[0] == 2.0
    assert scores == sorted(set(scores))
    assert scores[-1] < 4.0
