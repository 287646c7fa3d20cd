"""Merging partial summaries, and the groups a minute makes of them."""

from __future__ import annotations

import itertools
from functools import reduce

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import LogEvent, MetricKind, SpanEvent
from ingest.merge import kept_points, merge
from ingest.minutes import MINUTE, Minutes
from ingest.record import SECOND, Nanos
from ingest.sketch import sketch
from ingest.summary import (
    MAX_HISTOGRAMS,
    MAX_SAMPLES,
    CallWindow,
    CounterPoint,
    CounterWindow,
    SeriesKey,
    SeriesWindow,
    TemplateCount,
    WindowSummary,
)
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.histograms import explicit
from tests.support.telemetry import T0, Windowed, at, events, log, point

EIGHTHS = st.integers(-80, 80).map(lambda n: n / 8)
"""Values whose sums are exact, so that grouping cannot show in the last bit."""


def _whole(records: list[Windowed]) -> WindowSummary | None:
    """Return the one summary of service `cart` over records forced into one window."""
    windows = Windows(Templates(), width=10_000_000 * SECOND)
    for record in records:
        windows.add(record, partition=("t", 0), wall=record.time)
    found = [s for window in windows.flush() for s in window.summaries if s.service == "cart"]
    return found[0] if found else None


_WINDOW = T0 - T0 % (10 * SECOND)


@st.composite
def _summaries(draw: st.DrawFn) -> WindowSummary:
    templates = tuple(
        TemplateCount(
            template_id=f"tpl_{name}",
            template=draw(st.sampled_from(["a b", "a <*>", "b <*>"])),
            count=draw(st.integers(1, 5)),
            severity_number=draw(st.integers(0, 24)),
            first=draw(st.integers(0, 9)),
            last=draw(st.integers(10, 19)),
            lines=(),
        )
        for name in sorted(draw(st.sets(st.sampled_from("abc"))))
    )
    count = draw(st.sampled_from([1, 3, 40]))
    samples = tuple(sorted((draw(st.integers(0, 9)), draw(EIGHTHS)) for _ in range(count)))
    series = SeriesWindow(
        key=SeriesKey(name="cpu"),
        kind=draw(st.sampled_from([MetricKind.GAUGE, MetricKind.DELTA])),
        unit=draw(st.sampled_from(["", "s"])),
        samples=samples,
        count=count,
        total=sum(value for _, value in samples),
        minimum=min(value for _, value in samples),
        maximum=max(value for _, value in samples),
    )
    counter = draw(_counters())
    call = CallWindow(
        callee=draw(st.sampled_from(["pay", "db"])),
        operation="op",
        count=draw(st.integers(1, 9)),
        errors=0,
        caller_latency=sketch(draw(st.lists(st.floats(0, 10), max_size=4))),
        callee_latency=sketch(draw(st.lists(st.floats(0, 10), max_size=4))),
    )
    return WindowSummary(
        environment="default",
        service="cart",
        start=_WINDOW,
        end=_WINDOW + 10 * SECOND,
        templates=templates,
        severities=draw(st.dictionaries(st.sampled_from([0, 9, 17]), st.integers(1, 4))),
        series=(series,),
        calls=(call,),
        instances=tuple(sorted(draw(st.sets(st.sampled_from("xyz"))))),
        late=draw(st.integers(0, 3)),
        counters=(counter,),
    )


@st.composite
def _counters(draw: st.DrawFn) -> CounterWindow:
    """Draw readings of counters or histograms, few or more than are kept apart."""
    kind = draw(st.sampled_from([MetricKind.CUMULATIVE, MetricKind.DELTA]))
    name = draw(st.sampled_from(["scalar", "histogram"]))
    count = draw(st.sampled_from([1, 3, MAX_HISTOGRAMS, MAX_SAMPLES]))
    values = draw(st.lists(EIGHTHS, min_size=count, max_size=count))
    points = [
        CounterPoint(
            time=draw(st.integers(0, 9)),
            value=value,
            start=draw(st.integers(0, 2)),
            distribution=explicit([abs(value)]) if name == "histogram" else None,
        )
        for value in values
    ]
    key = SeriesKey(name=f"{name}.{kind}")
    return CounterWindow(key=key, kind=kind, unit="", points=kept_points(points, count, kind), count=count)


def _bytes(summary: WindowSummary) -> bytes:
    return msgspec.msgpack.encode(summary)


@settings(max_examples=80, deadline=None)
@given(first=_summaries(), second=_summaries(), third=_summaries())
def test_merge_is_associative_and_commutative(
    first: WindowSummary, second: WindowSummary, third: WindowSummary
) -> None:
    """Any order and grouping gives the same bytes."""
    results = {
        _bytes(merge(merge(a, b), c)) for a, b, c in itertools.permutations((first, second, third))
    } | {_bytes(merge(a, merge(b, c))) for a, b, c in itertools.permutations((first, second, third))}
    assert len(results) == 1


@settings(max_examples=60, deadline=None)
@given(records=events(), data=st.data())
def test_merged_parts_are_the_whole(records: list[Windowed], data: st.DataObject) -> None:
    """Logs, metrics and changes split over partitions merge into what one window over all would be.

    Lines that generalise are left out: which of them gives birth to the template depends on the part.
    """
    unkeyed: list[Windowed] = [
        msgspec.structs.replace(r, sequence_key=None) if isinstance(r, LogEvent) else r
        for r in records
        if not isinstance(r, SpanEvent) and not (isinstance(r, LogEvent) and r.body.startswith("order"))
    ]
    parts: dict[int, list[Windowed]] = {}
    for record in unkeyed:
        parts.setdefault(data.draw(st.integers(0, 2)), []).append(record)
    summaries = [summary for part in parts.values() if (summary := _whole(part)) is not None]
    merged = reduce(merge, summaries) if summaries else None
    assert merged == _whole(unkeyed)


def test_many_samples_merge_into_a_sum() -> None:
    """Two halves below the limit, together above it: count, total, extremes and the last sample stay."""
    records: list[Windowed] = [point(at(i / 10), float(i), offset=i) for i in range(MAX_SAMPLES + 10)]
    whole, first, second = _whole(records), _whole(records[::2]), _whole(records[1::2])
    assert first is not None
    assert second is not None
    assert merge(first, second) == whole


def test_other_windows_do_not_merge() -> None:
    """Merging what does not belong together is a mistake and says so."""
    one = WindowSummary(environment="e", service="s", start=0, end=10)
    with pytest.raises(ValueError, match="not the same window"):
        merge(one, WindowSummary(environment="e", service="s", start=10, end=20))


def _empty(start: Nanos, service: str = "cart") -> WindowSummary:
    return WindowSummary(environment="e", service=service, start=start, end=start + 10 * SECOND)


def test_a_group_is_handed_out_whole_each_time_it_grows() -> None:
    """A row is replaced as a whole, so what was handed out before comes again with what is new."""
    minutes = Minutes()
    minutes.add([_empty(0), _empty(0, "shop")])
    assert minutes.dirty() == (("e", "cart", 0, (_empty(0),)), ("e", "shop", 0, (_empty(0, "shop"),)))
    assert minutes.dirty() == ()
    minutes.add([_empty(10 * SECOND)])
    assert minutes.dirty() == (("e", "cart", 0, (_empty(0), _empty(10 * SECOND))),)


def test_partial_summaries_of_a_window_are_merged() -> None:
    """Two parts of one window are one summary of the group."""
    one, two = (
        WindowSummary(environment="e", service="s", start=0, end=10 * SECOND, severities={9: n})
        for n in (1, 2)
    )
    minutes = Minutes()
    minutes.add([one, two])
    assert minutes.dirty()[0][3][0].severities == {9: 3}


def test_groups_are_let_go_once_over_and_handed_out() -> None:
    """Only the current minutes are held."""
    minutes = Minutes()
    minutes.add([_empty(0)])
    minutes.dirty()
    minutes.add([_empty(MINUTE)])
    assert len(minutes) == 2
    assert [group[2] for group in minutes.dirty()] == [MINUTE]
    assert len(minutes) == 1


def test_minutes_go_on_from_a_snapshot() -> None:
    """Groups and what has changed in them survive."""
    minutes, resumed = Minutes(), Minutes()
    minutes.add([_empty(0)])
    minutes.dirty()
    minutes.add([_empty(0, "shop")])
    resumed.load(minutes.dump())
    for each in (minutes, resumed):
        each.add([_empty(20 * SECOND)])
    assert resumed.dirty() == minutes.dirty()
    assert len(resumed) == len(minutes) == 2


def test_lines_of_all_parts_compete_for_the_first_places() -> None:
    """The three earliest lines stay, whichever part they came from."""
    records: list[Windowed] = [log(at(i), "same words", offset=i) for i in range(6)]
    first, second = _whole(records[3:]), _whole(records[:3])
    assert first is not None
    assert second is not None
    assert [line.time for line in merge(first, second).templates[0].lines] == [at(0), at(1), at(2)]
