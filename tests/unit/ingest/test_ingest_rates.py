"""Counters to rates, histograms to quantiles: against the values behind them, over restarts and in parts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.distribution import Distribution
from ingest.events import MetricKind, MetricPoint
from ingest.merge import merge
from ingest.rates import Rates
from ingest.record import SECOND, Nanos
from ingest.summary import MAX_HISTOGRAMS, MAX_SAMPLES, ClosedWindow, SeriesWindow, WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.histograms import BOUNDS, VALUES, explicit, exponential, ranked
from tests.support.telemetry import T0, at, point

MODEST = settings(max_examples=80, deadline=None)
EVERY = 4
"""Seconds between two readings: two or three in a window of ten."""


@dataclass(frozen=True)
class Reading:
    """What one reading of a histogram adds: its values, and whether the process began anew before it."""

    values: tuple[float, ...]
    anew: bool = False


readings = st.lists(
    st.builds(Reading, values=VALUES.map(tuple), anew=st.sampled_from([False, False, False, True])),
    min_size=1,
    max_size=12,
)


def cumulative(given: Sequence[Reading], made: Any = explicit, *, known: bool = True) -> list[MetricPoint]:
    """Return the points of a running histogram that was last empty at T0; `known` if it says since when."""
    points: list[MetricPoint] = []
    running: list[float] = []
    start = at(0)
    for place, reading in enumerate(given):
        if reading.anew:
            running, start = [], at(place * EVERY + 1)
        running = [*running, *reading.values]
        points.append(_histogram((place + 1) * EVERY, made(running), start if known else 0, place))
    return points


def delta(given: Sequence[Reading], made: Any = explicit) -> list[MetricPoint]:
    """Return the points of a histogram that begins anew with each reading."""
    return [
        _histogram((place + 1) * EVERY, made(reading.values), at(place * EVERY), place, kind=MetricKind.DELTA)
        for place, reading in enumerate(given)
    ]


def _histogram(
    seconds: float, found: Distribution, start: Nanos, offset: int, kind: MetricKind = MetricKind.CUMULATIVE
) -> MetricPoint:
    return point(
        at(seconds),
        float(found.count),
        offset=offset,
        name="d",
        kind=kind,
        unit="s",
        start=start,
        distribution=found,
    )


def closed(points: Sequence[MetricPoint], **settings: Any) -> list[WindowSummary]:
    """Return the summaries of `cart` over the points, in whatever order they are given."""
    windows = Windows(Templates(), **settings)
    for one in points:
        windows.add(one, partition=("m", 0), wall=T0)
    return [s for window in windows.flush() for s in window.summaries if s.service == "cart"]


def values_of(summaries: Sequence[WindowSummary], name: str) -> list[tuple[Nanos, float]]:
    """Return the samples of a series over all windows."""
    return [
        sample
        for summary in summaries
        for series in summary.series
        if series.key.name == name
        for sample in series.samples
    ]


def by_window(given: Sequence[Reading]) -> dict[Nanos, list[int]]:
    """Return the places of the readings in each window, by its last reading's time."""
    groups: dict[int, list[int]] = {}
    for place in range(len(given)):
        groups.setdefault(at((place + 1) * EVERY) // (10 * SECOND), []).append(place)
    return {at((places[-1] + 1) * EVERY): places for places in groups.values()}


@MODEST
@given(
    given=readings, made=st.sampled_from([explicit, exponential]), form=st.sampled_from([cumulative, delta])
)
def test_each_window_has_the_quantiles_of_its_own_values(given: list[Reading], made: Any, form: Any) -> None:
    """In either temporality and either kind of bucket, over restarts that are known."""
    summaries = closed(form(given, made))
    for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        found = dict(values_of(summaries, f"d.{name}"))
        for time, places in by_window(given).items():
            values = [value for place in places for value in given[place].values]
            assert (time in found) == bool(values)
            if values:
                assert _near(found[time], ranked(values, q), made)


def _near(found: float, true: float, made: Any) -> bool:
    """Say whether a quantile is in the bucket of the true one (the last one is open)."""
    if made is exponential:
        return math.isclose(found, true, rel_tol=2 ** (2**-3) - 1 + 1e-9)
    low = max((bound for bound in BOUNDS if bound < true), default=0.0)
    high = min((bound for bound in BOUNDS if bound >= true), default=math.inf)
    return low <= found <= high


@MODEST
@given(given=readings, form=st.sampled_from([cumulative, delta]))
def test_each_window_has_the_mean_and_rate_of_its_own_values(given: list[Reading], form: Any) -> None:
    """The rate is over the time in which the values came, not over the window's width."""
    summaries = closed(form(given))
    means, rates = dict(values_of(summaries, "d.mean")), dict(values_of(summaries, "d.rate"))
    for time, places in by_window(given).items():
        values = [value for place in places for value in given[place].values]
        # After a restart the time before it is in no reading.
        missing = sum(given[place].anew for place in places) if form is cumulative else 0
        assert rates[time] == pytest.approx(len(values) / (len(places) * EVERY - missing))
        if values:
            assert means[time] == pytest.approx(math.fsum(values) / len(values), abs=1e-12)


@MODEST
@given(given=readings)
def test_an_unknown_restart_makes_no_negative_and_no_double_count(given: list[Reading]) -> None:
    """Where a fall shows it, what the histogram says since then is new; its rate is not known."""
    summaries = closed(cumulative(given, known=False))
    rates = values_of(summaries, "d.rate")
    assert all(rate >= 0 for _, rate in rates)
    most = sum(len(reading.values) for reading in given[1:])
    assert sum(rate * EVERY for _, rate in rates) <= most + 1e-9
    assert not values_of(summaries[:1], "d.p50") or len(given) > 1


@MODEST
@given(given=readings, form=st.sampled_from([cumulative, delta]), seed=st.integers(0, 999))
def test_a_window_does_not_depend_on_the_order_of_arrival(given: list[Reading], form: Any, seed: int) -> None:
    """Shuffled and with records that come twice, a running histogram gives the same bytes."""
    points = form(given)
    shuffled = points * 2 if form is cumulative else list(points)
    random.Random(seed).shuffle(shuffled)
    whole, other = closed(points), closed(shuffled)
    assert msgspec.msgpack.encode([s.series for s in other]) == msgspec.msgpack.encode(
        [s.series for s in whole]
    )


@MODEST
@given(given=readings, form=st.sampled_from([cumulative, delta]), data=st.data())
def test_parts_merge_into_the_whole(given: list[Reading], form: Any, data: st.DataObject) -> None:
    """Readings spread over partitions: merged in any order and then derived, the windows are the same."""
    points = form(given)
    parts: dict[int, list[MetricPoint]] = {}
    for one in points:
        parts.setdefault(data.draw(st.integers(0, 2)), []).append(one)
    by_start: dict[Nanos, list[WindowSummary]] = {}
    for part in parts.values():
        for summary in closed(part, whole=False):
            by_start.setdefault(summary.start, []).append(summary)
    rates, merged = Rates(), []
    for start in sorted(by_start):
        found = data.draw(st.permutations(by_start[start]))
        assert len({msgspec.msgpack.encode(reduce(merge, order)) for order in (found, found[::-1])}) == 1
        merged.append(rates.derive(reduce(merge, found)))
    assert merged == closed(points)


@MODEST
@given(given=readings, form=st.sampled_from([cumulative, delta]), cut=st.integers(0, 12))
def test_a_snapshot_changes_nothing(given: list[Reading], form: Any, cut: int) -> None:
    """Saved and restored between any two readings, the same windows come."""
    points, windows = form(given), Windows(Templates())
    found: list[ClosedWindow] = []
    for place, one in enumerate(points):
        if place == cut:
            state, windows = windows.dump(), Windows(Templates())
            windows.load(state)
        windows.add(one, partition=("m", 0), wall=one.time)
        found.extend(windows.advance(one.time))
    found.extend(windows.flush())
    assert [s for window in found for s in window.summaries] == closed(points)


def counter(values: Sequence[float], *, start: Nanos = 0, **known: Any) -> list[MetricPoint]:
    """Return a counter's readings, `EVERY` seconds apart."""
    kind = known.pop("kind", MetricKind.CUMULATIVE)
    return [
        point(at((n + 1) * EVERY), value, offset=n, name="c", kind=kind, start=start, unit="1", **known)
        for n, value in enumerate(values)
    ]


def test_a_counter_is_its_growth_by_the_second() -> None:
    """The first reading is a beginning; each other one stands at its own time."""
    assert values_of(closed(counter([10, 30, 30, 38])), "c") == [(at(8), 5.0), (at(12), 0.0), (at(16), 2.0)]
    (series, *_) = closed(counter([10, 30]))[-1].series
    assert (series.kind, series.unit) == (MetricKind.GAUGE, "/s")


def test_a_fall_says_nothing_about_the_time_in_between() -> None:
    """Unless the counter says since when it counts."""
    assert values_of(closed(counter([100, 8, 16])), "c") == [(at(12), 2.0)]
    anew = [*counter([100], start=at(0))[:1], *counter([0, 8, 16], start=at(6))[1:]]
    assert values_of(closed(anew), "c") == [(at(4), 25.0), (at(8), 4.0), (at(12), 2.0)]


def test_a_higher_value_after_a_known_restart_is_not_taken_for_growth() -> None:
    """Without the start it would be 20 more; with it, it is 120 in two seconds."""
    restarted = [*counter([100], start=at(-100)), *counter([0, 120], start=at(6))[1:]]
    assert values_of(closed(restarted), "c") == [(at(8), 60.0)]


def test_an_old_counter_seen_first_is_not_taken_for_new() -> None:
    """What it counted in an hour did not happen in this window."""
    assert values_of(closed(counter([7200], start=at(-3600))), "c") == []
    assert values_of(closed(counter([8], start=at(0))), "c") == [(at(4), 2.0)]


def test_amounts_are_spread_over_the_time_that_they_say() -> None:
    """A delta without a start stays what was sent."""
    timed = [replace_start(one, one.time - 2 * SECOND) for one in counter([6, 8], kind=MetricKind.DELTA)]
    assert values_of(closed(timed), "c") == [(at(4), 3.0), (at(8), 4.0)]
    assert values_of(closed(counter([6, 8], kind=MetricKind.DELTA)), "c") == [(at(4), 6.0), (at(8), 8.0)]


def replace_start(one: MetricPoint, start: Nanos) -> MetricPoint:
    """Return the point with another start."""
    return msgspec.structs.replace(one, start=start)


@pytest.mark.parametrize("number", [MAX_SAMPLES, MAX_SAMPLES + 1, 3 * MAX_SAMPLES])
def test_a_window_of_many_readings_is_bounded(number: int) -> None:
    """Beyond the limit the first and the last reading stay: the same growth, over the whole window."""
    points = [
        point(at(n / number * 10), 3.0 * n, offset=n, name="c", kind=MetricKind.CUMULATIVE)
        for n in range(number)
    ]
    (raw,) = closed(points, whole=False)
    kept = raw.counters[0].points
    assert (len(kept), raw.counters[0].count) == (number if number <= MAX_SAMPLES else 2, number)
    (_, rate) = values_of(closed(points), "c")[-1]
    assert rate == pytest.approx(3 * number / 10)


def test_a_window_of_many_amounts_adds_them_up() -> None:
    """Histograms of delta beyond the limit become one, which is what all of them say."""
    given = [Reading(values=(float(n),)) for n in range(MAX_HISTOGRAMS * 2)]
    points = [
        _histogram(n / 4, explicit(one.values), at(n / 4 - 0.25), n, kind=MetricKind.DELTA)
        for n, one in enumerate(given)
    ]
    (raw,) = closed(points, whole=False)
    (kept,) = raw.counters[0].points
    assert kept.distribution == explicit([value for one in given for value in one.values])
    ((time, rate),) = values_of(closed(points), "d.rate")
    assert time == points[-1].time
    assert rate == pytest.approx(4.0)


def test_the_longest_silent_counter_is_let_go_first() -> None:
    """Its next reading is a first one; that it happened is counted."""
    rates = Rates(limit=2)
    for seconds, name in ((4, "a"), (14, "b"), (24, "a"), (34, "c"), (44, "a"), (54, "b")):
        one = point(at(seconds), seconds, name=name, kind=MetricKind.CUMULATIVE)
        found = rates.derive(closed([one], whole=False)[0])
        assert bool(found.series) == (name == "a" and seconds > 4)
    assert rates.forgotten == 2


def test_a_gauge_and_a_counter_of_one_name_are_one_series() -> None:
    """A sender that changes its mind makes no second series of the same key."""
    mixed = [*counter([10, 30]), point(at(9), 7.0, name="c")]
    (found,) = closed(mixed)[-1:]
    keys = [series.key for series in found.series]
    assert len(keys) == len(set(keys))


def test_series_beyond_the_limit_are_refused_and_counted() -> None:
    """Counters and histograms count like any series."""
    points = [*counter([1, 2]), *cumulative([Reading(values=(1.0,))])]
    (found,) = closed(points, series_limit=1)
    assert {series.key.name for series in found.series} == {"c"}
    assert found.rejected == 1


def test_a_series_window_is_what_its_samples_say() -> None:
    """Count, total and extremes of derived series too."""
    points = [
        point(at(seconds), value, name="c", kind=MetricKind.CUMULATIVE, unit="{order}")
        for seconds, value in ((0, 1.0), (4, 5.0), (8, 6.0))
    ]
    ((found,),) = (summary.series for summary in closed(points))
    expected = SeriesWindow(
        key=found.key, kind=MetricKind.GAUGE, unit="order/s", samples=((at(4), 1.0), (at(8), 0.25)),
        count=2, total=1.25, minimum=0.25, maximum=1.0,
    )  # fmt: skip
    assert found == expected
