"""Shares that were whole and no longer are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from detectors.anomaly import Anomaly, Direction
from detectors.shares import Shares, missed_share
from tests.support.windows import metrics, series


def _told(values: Sequence[float], name: str = "success.rate", unit: str = "%") -> list[tuple[int, Anomaly]]:
    detector = Shares()
    return [
        (index, one)
        for index, value in enumerate(values)
        for one in detector.observe(metrics(index, [series(name, index, [value], unit=unit)]))
    ]


def test_a_few_percent_for_a_while_are_found_where_all_succeeded() -> None:
    """Two windows are worth a word, three open an incident; one is nothing."""
    found = _told([100.0] * 20 + [96.0, 95.0, 96.5])
    assert [index for index, _ in found] == [21, 22]
    assert found[0][1].score < 2 * found[0][1].threshold <= found[1][1].score
    assert found[0][1].direction is Direction.DOWN
    assert found[0][1].evidence[0].expected == 100.0


def test_more_failures_are_worse() -> None:
    """The score grows with what fails."""
    scores = [_told([100.0] * 20 + [left, left])[0][1].score for left in (98.0, 50.0)]
    assert scores[0] < scores[1]


def test_what_flickers_needs_a_longer_row() -> None:
    """Where every tenth window has a failure, two in a row are nothing and six are something."""
    usual = [95.0 if index % 10 == 0 else 100.0 for index in range(100)]
    assert not _told([*usual[1:], 95.0, 95.0])
    assert _told([*usual[1:], *[95.0] * 6])


def test_error_shares_leave_zero() -> None:
    """The same from the other end, told as a rise."""
    found = _told([0.0] * 20 + [0.04, 0.05, 0.04], name="http.error.ratio", unit="1")
    assert found[-1][1].direction is Direction.UP
    assert found[-1][1].score >= 2 * found[-1][1].threshold


@pytest.mark.parametrize(
    ("name", "unit", "value", "missed"),
    [
        ("success.rate", "%", 97.0, 0.03),
        ("availability", "1", 0.9, 0.1),
        ("error_ratio", "ratio", 0.25, 0.25),
        ("cpu.utilization", "%", 97.0, None),
        ("errors", "", 3.0, None),
        ("success.rate", "%", 130.0, None),
        ("error_success_ratio", "%", 50.0, None),
    ],
)
def test_which_series_are_shares(name: str, unit: str, value: float, missed: float | None) -> None:
    """By unit and name, and only within the bounds of the unit."""
    found = missed_share(series(name, 0, [value], unit=unit))
    assert found == (None if missed is None else pytest.approx(missed))


def test_a_level_that_stands_is_normal() -> None:
    """After half an hour a share that is not whole is how it is."""
    found = _told([100.0] * 20 + [90.0] * 400)
    assert 20 + 178 <= max(index for index, _ in found) <= 20 + 190
