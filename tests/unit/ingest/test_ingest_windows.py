"""Windows: what closes when, that order of arrival does not matter, and that a snapshot is complete."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import MetricKind
from ingest.record import SECOND
from ingest.summary import MAX_LINES, MAX_SAMPLES, ClosedWindow
from ingest.templates import Templates
from ingest.windows import MAX_EMPTY, Windows
from tests.support.telemetry import (
    Windowed,
    at,
    change,
    deliver,
    events,
    in_time,
    log,
    of,
    point,
    resource,
    span,
)

A, B = ("logs", 0), ("logs", 1)


def _windows(**settings_: Any) -> Windows:
    return Windows(Templates(), **settings_)


def _starts(closed: tuple[ClosedWindow, ...] | list[ClosedWindow]) -> list[float]:
    return [(window.start - at(0)) / SECOND for window in closed]


def test_a_window_closes_once_the_lateness_is_over() -> None:
    """[0, 10) stays open until event time reaches 15."""
    windows = _windows()
    assert deliver(windows, [(at(1), A, log(at(1))), (at(14.9), A, log(at(14.9)))]) == []
    closed = deliver(windows, [(at(15), A, log(at(15)))])
    assert _starts(closed) == [0]
    assert closed[0].end == at(10)


def test_a_summary_holds_what_the_lines_say() -> None:
    """Templates with first lines, severities, pairs, instances and nodes of the window's lines."""
    where = resource(instance="cart-1", node="n1")
    lines = [
        log(at(i), f"user {i} paid", offset=i, of=where, severity_number=9, sequence_key="a")
        for i in range(5)
    ]
    lines.append(log(at(6), "out of stock", offset=9, of=where, severity_number=17, sequence_key="a"))
    closed = [*deliver(_w := _windows(), in_time(lines)), *_w.flush()]
    (summary,) = of(closed)
    paid = next(t for t in summary.templates if t.template == "user <num> paid")
    sold_out = next(t for t in summary.templates if t.template == "out of stock")
    assert (paid.count, paid.first, paid.last, paid.severity_number) == (5, at(0), at(4), 9)
    assert [line.text for line in paid.lines] == [f"user {i} paid" for i in range(MAX_LINES)]
    assert [line.origin for line in paid.lines] == [line.origin for line in lines[:MAX_LINES]]
    assert summary.severities == {9: 5, 17: 1}
    assert {(p.first, p.second): p.count for p in summary.pairs} == {
        (paid.template_id, paid.template_id): 4,
        (paid.template_id, sold_out.template_id): 1,
    }
    assert (summary.instances, summary.nodes) == (("cart-1",), (("cart-1", "n1"),))


def test_changes_and_samples_are_kept_in_time_order() -> None:
    """Samples and changes come out by time whatever their order of arrival."""
    windows = _windows()
    for event in (point(at(7), 2.0), point(at(3), 1.0), change(at(5), "b"), change(at(4), "a")):
        windows.add(event, partition=A, wall=at(7))
    (summary,) = of(windows.flush())
    assert summary.series[0].samples == ((at(3), 1.0), (at(7), 2.0))
    assert summary.series[0].kind is MetricKind.GAUGE
    assert [c.title for c in summary.changes] == ["a", "b"]


def test_many_samples_are_summed_up() -> None:
    """Past the limit only the last sample stays, beside count, total and extremes."""
    windows = _windows()
    values = [float(i % 7) for i in range(MAX_SAMPLES + 5)]
    for number, value in enumerate(values):
        windows.add(point(at(number / 10), value, offset=number), partition=A, wall=at(7))
    (series,) = of(windows.flush())[0].series
    assert series.samples == ((at((len(values) - 1) / 10), values[-1]),)
    assert (series.count, series.total, series.minimum, series.maximum) == (
        len(values),
        sum(values),
        0.0,
        6.0,
    )


def test_series_beyond_the_limit_are_refused_and_counted() -> None:
    """A new series past the limit is counted as rejected; known ones go on; forgotten ones make room."""
    windows = _windows(series_limit=1)
    windows.add(point(at(1), 1.0, name="a"), partition=A, wall=at(1))
    windows.add(point(at(2), 1.0, name="b"), partition=A, wall=at(2))
    windows.add(point(at(3), 1.0, name="a"), partition=A, wall=at(3))
    (summary,) = of(windows.flush())
    assert [(s.key.name, s.count) for s in summary.series] == [("a", 2)]
    assert summary.rejected == 1
    assert windows.counts["series_limit"] == 1
    windows.add(point(at(7200), 1.0, name="b"), partition=A, wall=at(7200))
    assert [s.key.name for s in of(windows.flush())[-1].series] == ["b"]


def test_time_is_that_of_the_slowest_active_partition() -> None:
    """A partition behind holds windows open, until it has been idle for 15 s."""
    windows = _windows()
    windows.add(log(at(1)), partition=B, wall=at(1))
    windows.add(log(at(14)), partition=A, wall=at(14))
    windows.add(log(at(15.5), offset=1), partition=A, wall=at(15.5))
    assert windows.advance(at(15.5)) == ()
    assert windows.stream_time(at(15.5)) == at(1)
    assert _starts(windows.advance(at(16))) == [0]
    assert windows.stream_time(at(16)) == at(15.5)


def test_an_announced_partition_is_waited_for() -> None:
    """What is known to come holds time back before its first event; forgotten, it does not."""
    windows = _windows()
    windows.expect([A, B], wall=at(0))
    assert deliver(windows, [(at(14), A, log(at(14))), (at(14), A, log(at(25), offset=1))]) == []
    windows.forget([B])
    assert _starts(windows.advance(at(14))) == [10]


def test_when_all_are_idle_time_goes_on_with_the_clock() -> None:
    """The last windows close although nobody speaks."""
    windows = _windows()
    deliver(windows, [(at(3), A, log(at(2)))])
    assert windows.advance(at(17)) == ()
    assert _starts(windows.advance(at(18))) == [0]
    assert windows.stream_time(at(40)) == at(39)


def test_late_records_are_counted_in_the_next_summary() -> None:
    """A record for a closed window is in no window, and in the count of the next."""
    windows = _windows()
    deliver(windows, [(at(1), A, log(at(1))), (at(15), A, log(at(15), service="shop"))])
    windows.add(log(at(2), offset=7), partition=A, wall=at(15))
    closed = windows.flush()
    assert [(s.late, s.lines) for s in of(closed)] == [(1, 0)]
    assert windows.counts["late"] == 1


def test_empty_windows_between_are_told() -> None:
    """Silence is information: windows without records come out too."""
    closed = deliver(_windows(), in_time([log(at(1)), log(at(45))]))
    assert _starts(closed) == [0, 10, 20, 30]
    assert [len(window.summaries) for window in closed] == [1, 0, 0, 0]


def test_a_long_gap_is_jumped() -> None:
    """No more empty windows in a row than the limit; the next one has records."""
    windows = _windows()
    closed = [*deliver(windows, in_time([log(at(1)), log(at(86_400))])), *windows.flush()]
    starts = _starts(closed)
    assert starts[: MAX_EMPTY + 1] == [10.0 * i for i in range(MAX_EMPTY + 1)]
    assert starts[MAX_EMPTY + 1 :] == [86_390, 86_400]
    assert of(closed)[-1].lines == 1


def test_one_wrong_clock_closes_nothing() -> None:
    """An event far ahead is held, and refused and counted once its partition goes on as before."""
    windows = _windows()
    deliver(windows, [(at(1), A, log(at(1))), (at(2), A, log(at(3000), offset=1))])
    assert windows.stream_time(at(2)) == at(1)
    closed = [*deliver(windows, [(at(3), A, log(at(3), offset=2))]), *windows.flush()]
    assert [(s.lines, s.rejected) for s in of(closed)] == [(2, 1)]
    assert windows.counts["time_ahead"] == 1


def test_a_jump_that_many_agree_on_is_taken() -> None:
    """The twentieth agreeing event proves the jump; none of them is lost."""
    windows = _windows()
    deliver(windows, [(at(1), A, log(at(1)))])
    closed = deliver(windows, [(at(2), A, log(at(3000 + i / 10), offset=i)) for i in range(19)])
    assert closed == []
    closed = deliver(windows, [(at(2), A, log(at(3009), offset=20))])
    assert windows.stream_time(at(2)) == at(3009)
    assert sum(s.lines for s in of([*closed, *windows.flush()])) == 21
    assert windows.counts["time_ahead"] == 0


def test_events_ahead_that_disagree_are_refused() -> None:
    """Clocks that are wrong each in its own way never move time."""
    windows = _windows()
    deliver(windows, [(at(1), A, log(at(1)))])
    deliver(windows, [(at(2), A, log(at(3000 + 700 * i), offset=i)) for i in range(30)])
    assert windows.stream_time(at(2)) == at(1)
    windows.flush()
    assert windows.counts["time_ahead"] == 30


def test_a_gap_that_the_clock_has_seen_is_no_jump() -> None:
    """After a quiet night the first event counts at once."""
    windows = _windows()
    deliver(windows, [(at(1), A, log(at(1))), (at(40_000), A, log(at(40_000), offset=1))])
    assert windows.stream_time(at(40_000)) == at(40_000)


def test_held_events_count_once_the_clock_has_caught_up() -> None:
    """An event ahead is no longer ahead when enough time has passed."""
    windows = _windows()
    deliver(windows, [(at(1), A, log(at(1))), (at(2), A, log(at(700), offset=1))])
    assert windows.stream_time(at(2)) == at(1)
    windows.advance(at(105))
    assert windows.buffered == 1
    assert windows.stream_time(at(105)) == at(700)


@pytest.mark.parametrize("first", [3000.0, -3000.0])
def test_a_first_event_far_ahead_of_the_clock_does_not_set_the_time(first: float) -> None:
    """A new partition is measured by the wall clock; being behind it is allowed."""
    windows = _windows()
    windows.add(log(at(first)), partition=A, wall=at(0))
    windows.advance(at(0))
    assert windows.stream_time(at(0)) == (at(0) if first > 0 else at(first))


@settings(max_examples=80, deadline=None)
@given(data=st.data(), records=events())
def test_order_of_arrival_within_the_lateness_does_not_matter(
    data: st.DataObject, records: list[Windowed]
) -> None:
    """Any delay up to the allowed lateness gives the same windows, template ids included."""
    plain, shuffled = (_windows(series_limit=2, span_limit=3) for _ in range(2))
    straight = [*deliver(plain, in_time(records)), *plain.flush()]
    delays = data.draw(st.lists(st.integers(0, 5000), min_size=len(records), max_size=len(records)))
    late = [
        (event.time + delay * 1_000_000, (event.origin.topic, delay % 2), event)
        for event, delay in zip(records, delays, strict=True)
    ]
    closed = [*deliver(shuffled, sorted(late, key=lambda item: item[0])), *shuffled.flush()]
    assert closed == straight
    assert shuffled.counts == plain.counts


@settings(max_examples=60, deadline=None)
@given(data=st.data(), records=events())
def test_a_snapshot_goes_on_as_if_never_stopped(data: st.DataObject, records: list[Windowed]) -> None:
    """Dump and load anywhere in the stream change nothing that comes after, jumps and late ones included."""
    odd = [log(at(3000 + i), offset=1000 + i) for i in range(data.draw(st.integers(0, 3)))]
    size = len(records) + len(odd)
    delays = data.draw(st.lists(st.integers(0, 25), min_size=size, max_size=size))
    walls = [
        min(event.time, at(90)) + delay * SECOND
        for event, delay in zip([*records, *odd], delays, strict=True)
    ]
    deliveries = sorted(
        (
            (wall, (event.origin.topic, wall % 2), event)
            for wall, event in zip(walls, [*records, *odd], strict=True)
        ),
        key=lambda item: item[0],
    )
    cut = data.draw(st.integers(0, len(deliveries)))
    whole, resumed = (_windows(series_limit=2, span_limit=9) for _ in range(2))
    deliver(whole, deliveries[:cut])
    resumed.load(whole.dump())
    assert resumed.counts == whole.counts
    rest = [*deliver(whole, deliveries[cut:]), *whole.flush()]
    assert [*deliver(resumed, deliveries[cut:]), *resumed.flush()] == rest
    assert resumed.counts == whole.counts
    assert resumed.dump() == whole.dump()


def test_a_snapshot_keeps_what_is_between_windows() -> None:
    """Late and refused counts not told yet, spans waiting for their parents, and the totals are in it."""
    windows, resumed = _windows(), _windows()
    deliver(
        windows,
        [
            (at(2), A, span("c", at(1), at(2), service="pay", parent="p")),
            (at(15), A, log(at(15), offset=1)),
            (at(15), A, log(at(3), offset=2)),
            (at(15), A, log(at(5000), offset=3)),
            (at(15), A, log(at(15), offset=4)),
        ],
    )
    resumed.load(windows.dump())
    deliver(resumed, [(at(16), A, span("p", at(1), at(16), service="shop"))])
    closed = resumed.flush()
    assert [(s.late, s.rejected, s.lines) for s in of(closed)] == [(1, 1, 2)]
    assert [(call.callee, call.count) for call in of(closed, "shop")[0].calls] == [("pay", 1)]
    assert resumed.counts["late"] == resumed.counts["time_ahead"] == 1


def test_after_a_restart_the_backlog_is_not_late() -> None:
    """An hour of down time is not silence once the partitions are announced again."""
    windows, resumed = _windows(), _windows()
    deliver(windows, [(at(1), A, log(at(1)))])
    resumed.load(windows.dump())
    resumed.expect([A], wall=at(3600))
    assert resumed.advance(at(3601)) == ()
    closed = deliver(resumed, [(at(3602), A, log(at(5 + i), offset=i)) for i in range(60)])
    assert sum(s.lines for s in of([*closed, *resumed.flush()])) == 61
    assert resumed.counts["late"] == 0


def test_after_a_restart_a_backlog_with_a_gap_is_no_jump() -> None:
    """The clock has seen the gap, so the first event after it counts at once."""
    windows, resumed = _windows(), _windows()
    deliver(windows, [(at(1), A, log(at(1)))])
    resumed.load(windows.dump())
    resumed.expect([A], wall=at(3600))
    deliver(resumed, [(at(3600), A, log(at(1800), offset=1))])
    assert resumed.stream_time(at(3600)) == at(1800)


def test_a_backlog_that_ends_a_silence_waits_for_the_other_partitions() -> None:
    """Two partitions replayed at once are both in time, although one is read first."""
    windows = _windows()
    windows.expect([A, B], wall=at(3000))
    windows.advance(at(3100))
    first = deliver(windows, [(at(3101), A, log(at(i * 10), offset=i)) for i in range(50)])
    assert first == []
    closed = deliver(windows, [(at(3105), B, log(at(i * 10), service="pay", offset=i)) for i in range(50)])
    assert windows.counts["late"] == 0
    assert sum(s.lines for s in of([*closed, *windows.flush()], "pay")) == 50


def test_live_events_after_a_silence_do_not_wait_for_partitions_that_say_nothing() -> None:
    """Only what is old announces a backlog: a sparse live stream goes on at its own pace."""
    windows = _windows()
    windows.expect([A, B], wall=at(0))
    windows.advance(at(40))
    closed = deliver(windows, [(at(40), A, log(at(40))), (at(40), A, log(at(56), offset=1))])
    assert _starts(closed) == [40]
