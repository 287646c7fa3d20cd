"""Several processes that write one counter: each is followed by since when it counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import MetricKind, MetricPoint
from ingest.growth import MAX_WRITERS
from ingest.rates import Rates
from ingest.record import SECOND
from ingest.summary import ClosedWindow, WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.histograms import explicit
from tests.support.telemetry import T0, at, point

LAST = 60
"""Seconds for which writers write."""


def writers(starts: Sequence[int], per_second: Sequence[int]) -> list[MetricPoint]:
    """Return what processes with one identity send in turn, each its own running total, by time."""
    every = 4 * len(starts)
    points = [
        _reading(seconds, rate * (seconds - start), start)
        for place, (start, rate) in enumerate(zip(starts, per_second, strict=True))
        for seconds in range(4 * place + 2, LAST, every)
    ]
    return sorted(points, key=lambda one: one.time)


def _reading(seconds: float, value: float, start: float) -> MetricPoint:
    kind = MetricKind.CUMULATIVE
    return point(at(seconds), value, offset=int(seconds * 10), name="c", start=at(start), kind=kind)


def closed(points: Iterable[MetricPoint], *, whole: bool = True, cut: int = LAST) -> list[WindowSummary]:
    """Return the summaries over the points; at `cut` seconds the state is saved and restored."""
    windows = Windows(Templates(), whole=whole)
    found: list[ClosedWindow] = []
    for one in points:
        if (one.time - T0) // SECOND == cut:
            state, windows = windows.dump(), Windows(Templates(), whole=whole)
            windows.load(state)
        windows.add(one, partition=("m", 0), wall=one.time)
        found.extend(windows.advance(one.time))
    found.extend(windows.flush())
    return [summary for window in found for summary in window.summaries]


def rates_in(summaries: Iterable[WindowSummary], name: str = "c") -> list[float]:
    """Return the values of a series over all windows."""
    return [
        value
        for summary in summaries
        for series in summary.series
        if series.key.name == name
        for _, value in series.samples
    ]


def test_replicas_that_nothing_tells_apart_are_followed_one_by_one() -> None:
    """Only the service's name is in their resource: one's total is not the other's restart."""
    points = writers((-7200, -300, -90), (5, 7, 11))
    found = rates_in(closed(points))
    assert found == pytest.approx([5, 7, 11] * (len(found) // 3))
    assert len(found) == len(points) - 3, "the first reading of each says nothing yet"


def test_a_replica_that_joins_counts_from_its_beginning() -> None:
    """It began while the others were seen, so all that it counted is new."""
    joined = [*writers((-7200, -300), (5, 5)), _reading(40, 3 * 9, 31), _reading(44, 3 * 13, 31)]
    found = rates_in(closed(sorted(joined, key=lambda one: one.time)))
    assert sorted(found)[:3] == pytest.approx([3, 3, 5])


@settings(max_examples=60, deadline=None)
@given(
    starts=st.sets(st.integers(-9000, -1), min_size=1, max_size=4).map(sorted),
    cut=st.integers(1, LAST),
    data=st.data(),
)
def test_no_writer_is_taken_for_another(starts: list[int], cut: int, data: st.DataObject) -> None:
    """Whatever each counts by the second, no other rate appears, over a snapshot too."""
    rates = data.draw(st.lists(st.integers(1, 99), min_size=len(starts), max_size=len(starts)))
    points = writers(starts, rates)
    summaries = closed(points, cut=cut)
    assert {round(rate, 6) for rate in rates_in(summaries)} <= set(map(float, rates))
    assert summaries == closed(points)


def test_histograms_of_replicas_are_followed_too() -> None:
    """Their quantiles are those of what came in between, not of all that one of them ever saw."""
    slow, fast = [4.0] * 50, [0.05] * 40
    points = []
    for seconds in range(2, LAST, 4):
        mine = fast if seconds // 4 % 2 else slow
        mine.append(0.05)
        start = at(-500 if mine is fast else -900)
        told = explicit(mine)
        kind = MetricKind.CUMULATIVE
        points.append(
            point(at(seconds), float(told.count), name="d", start=start, kind=kind, distribution=told)
        )
    found = rates_in(closed(points), "d.p95")
    assert found
    assert max(found) < 1


def test_writers_are_bounded() -> None:
    """Of too many, those silent for longest are let go; the next reading of one is a first one."""
    rates = Rates()
    for summary in closed([_reading(n, float(n), -900 + n) for n in range(3 * MAX_WRITERS)], whole=False):
        rates.derive(summary)
    kept = {one.point.start for one in rates.dump()}
    assert kept == {at(-900 + n) for n in range(2 * MAX_WRITERS, 3 * MAX_WRITERS)}
