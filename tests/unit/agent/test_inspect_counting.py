"""What is counted of a recording: entries of services, series as rates, kinds of log lines."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from agent.evaluate.inspection import meaning
from agent.evaluate.inspection.entries import Entries
from agent.evaluate.inspection.lines import Lines
from agent.evaluate.inspection.samples import Samples, Series
from ingest.distribution import Distribution
from ingest.events import LogEvent, MetricKind, MetricPoint, Resource, SpanEvent, SpanKind
from ingest.record import SECOND, Origin

_ORIGIN = Origin(topic="t", partition=0, offset=0)


def _span(
    name: str, service: str, parent: str | None, kind: SpanKind = SpanKind.UNKNOWN, trace: str = "1"
) -> SpanEvent:
    return SpanEvent(
        origin=_ORIGIN,
        resource=Resource(environment="", service=service),
        trace_id=trace,
        span_id=name,
        parent_span_id=parent,
        name=name,
        start=0,
        end=SECOND,
        kind=kind,
        peer="cedar" if kind is SpanKind.CLIENT else None,
    )


def _point(
    second: int, value: float, name: str = "n", kind: MetricKind = MetricKind.CUMULATIVE, pod: str = "a"
) -> MetricPoint:
    resource = Resource(environment="", service="birch", instance=pod)
    return MetricPoint(
        origin=_ORIGIN, resource=resource, time=second * SECOND, name=name, value=value, unit="1", kind=kind
    )


def _series(*points: MetricPoint) -> list[Series]:
    samples = Samples()
    for one in points:
        samples.add(one, "birch")
    return samples.series()["birch"]


def test_kinds_tell_entries() -> None:
    """Server spans are entries at once, client spans are calls of their peer."""
    entries = Entries()
    assert [told[1:] for told in entries.add(_span("a", "birch", None, SpanKind.SERVER))] == [(True, "")]
    assert [told[1:] for told in entries.add(_span("b", "birch", "a", SpanKind.CLIENT))] == [(False, "cedar")]
    assert list(entries.rest()) == []


def test_without_kinds_the_parent_tells_whichever_comes_first() -> None:
    """A span below another service's is an entry and makes its parent a call, in both orders of arrival."""
    spans = [
        _span("a", "alder", None),
        _span("b", "alder", "a"),
        _span("c", "birch", "b"),
        _span("d", "birch", "c"),
    ]
    for order in (spans, spans[::-1]):
        entries = Entries()
        told = [item for span in order for item in entries.add(span)] + list(entries.rest())
        assert {span.span_id: rest for span, *rest in told} == {
            "a": [True, ""],
            "b": [False, "birch"],
            "c": [True, ""],
            "d": [False, ""],
        }


def test_waiting_spans_are_bounded_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest trace is decided when too many wait."""
    monkeypatch.setattr("agent.evaluate.inspection.entries._HELD", 10)
    entries = Entries()
    early = [item for n in range(25) for item in entries.add(_span(f"s{n}", "alder", None, trace=str(n)))]
    assert len(early) == 15
    assert len(early) + len(list(entries.rest())) == 25


def test_counters_become_rates_and_restarts_are_no_drops() -> None:
    """A counter is shown as change per second; a fall is left out, a new pod goes on in the same curve."""
    (made,) = _series(
        _point(0, 10),
        _point(10, 30),
        _point(20, 5),
        _point(30, 25),
        _point(40, 0, pod="b"),
        _point(50, 20, pod="b"),
    )
    assert made.rate
    assert made.unit == "/s"
    assert list(made.values) == [2.0, 2.0, 2.0]


def test_sum_and_count_become_a_mean() -> None:
    """What a histogram's counters say is the mean duration since the sample before."""
    points = [_point(t, v, name="d.sum") for t, v in ((0, 0), (10, 4), (20, 10))]
    points += [_point(t, v, name="d.count") for t, v in ((0, 0), (10, 2), (20, 4))]
    (made,) = _series(*points)
    assert made.label == "d (mean)"
    assert list(made.values) == [2.0, 3.0]


def test_instances_side_by_side_stay_apart() -> None:
    """Two pods at once are two curves: one drawn through both would jump between them."""
    points = [
        _point(t, v, kind=MetricKind.GAUGE, pod=pod) for t in (0, 10, 20) for pod, v in (("a", 1), ("b", 9))
    ]
    assert sorted(set(one.values) == {1.0} for one in _series(*points)) == [False, True]


def test_a_long_series_is_thinned_and_keeps_its_span() -> None:
    """Memory does not grow with a recording's length; times stay in order."""
    samples = Samples()
    for second in range(20_000):
        samples.add(_point(second, 5.0, kind=MetricKind.GAUGE), "birch")
    (made,) = samples.series()["birch"]
    assert len(made.times) <= 4_096
    assert made.times[-1] - made.times[0] > 19_900 * SECOND
    assert all(a < b for a, b in pairwise(made.times))


@pytest.mark.parametrize(
    ("name", "unit", "family", "capacity"),
    [
        ("process.cpu.percent", "%", "cpu", False),
        ("container.memory.limit", "By", "memory", True),
        ("redis.maxmemory.total", "By", "memory", True),
        ("db.client.connection.max", "{connection}", "pool", True),
        ("db.client.connection.count", "{connection}", "pool", False),
        ("system.filesystem.usage", "By", "disk", False),
        ("NodeCpuUsageRate", "%", "machine", False),
        ("SyscallRead", "", "calls", False),
    ],
)
def test_names_tell_what_is_measured(name: str, unit: str, family: str, capacity: bool) -> None:
    """Families and capacities are read from names and units, of any source."""
    point = MetricPoint(
        origin=_ORIGIN,
        resource=Resource(environment="", service="birch"),
        time=0,
        name=name,
        value=1.0,
        unit=unit,
    )
    (made,) = _series(point)
    if family != "machine":
        assert meaning.family(made) == family
    assert meaning.is_capacity(made) is capacity


def _line(second: int, body: str, severity: int = 9) -> LogEvent:
    resource = Resource(environment="", service="birch")
    return LogEvent(
        origin=_ORIGIN, resource=resource, time=second * SECOND, body=body, severity_number=severity
    )


def test_new_gone_and_more_lines_are_told_with_samples_of_the_incident() -> None:
    """Errors that were never logged come first; what stays as it was is not told."""
    lines = Lines()
    for second in range(0, 600, 10):
        lines.add(_line(second, f"served page {second}"), "birch", 0)
        lines.add(_line(second, "cache refreshed by timer"), "birch", 0)
    for second in range(600, 1200, 10):
        lines.add(_line(second, f"served page {second}"), "birch", 1)
        lines.add(_line(second, f"trace_id={second:032x} lost customer {second} for ever", 17), "birch", 1)
    told = lines.told("birch", 600 * SECOND, 600 * SECOND, incident=True)
    assert [one.what for one in told] == ["new", "gone"]
    assert told[0].severe
    assert told[0].lines[0][0] == 600 * SECOND
    assert (told[0].before, told[0].during) == (0, 6)
    assert told[0].gist.startswith("lost customer")


def test_a_stack_trace_keeps_its_first_and_last_lines() -> None:
    """The last line of a trace names the error: it must not be what is cut off."""
    lines = Lines()
    body = "\n".join(["it broke", *(f'  File "a.py", line {n}' for n in range(40)), "KeyError: 'gold'"])
    lines.add(_line(1, body, 17), "birch", 1)
    (told,) = lines.told("birch", SECOND, SECOND, incident=True)
    shown = told.lines[0][1].split("\n")
    assert shown[0] == "it broke"
    assert shown[-1] == "KeyError: 'gold'"
    assert len(shown) < 10


def test_a_histogram_is_its_rate_and_mean() -> None:
    """What its count and its sum would have been as two counters."""
    points = [
        msgspec.structs.replace(_point(n, 0), distribution=Distribution(count=2 * n, total=6.0 * n))
        for n in range(1, 6)
    ]
    (mean,) = [series for series in _series(*points) if "(mean)" in series.id.name]
    assert mean.values.tolist() == pytest.approx([3.0] * len(mean.values))
