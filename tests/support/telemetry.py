"""Events for window tests: short builders, a way to deliver them, and strategies that mix all kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from ingest.events import ChangeEvent, LogEvent, MetricKind, MetricPoint, Resource, SpanEvent, SpanKind
from ingest.record import SECOND, Nanos, Origin
from ingest.summary import ClosedWindow, WindowSummary
from ingest.windows import Windows

T0: Nanos = 1_700_000_000 * SECOND
"""A whole number of minutes would hide edges; this is 20 s past one and a whole number of windows."""
Windowed = LogEvent | MetricPoint | SpanEvent | ChangeEvent
Delivery = tuple[Nanos, tuple[str, int], Windowed]
"""Wall time, partition, event."""


def at(seconds: float) -> Nanos:
    """Return the time `seconds` after `T0`."""
    return T0 + round(seconds * SECOND)


def resource(service: str = "cart", **known: Any) -> Resource:
    """Return a resource in the default environment."""
    return Resource(environment="default", service=service, **known)


def log(
    time: Nanos, body: str = "cache miss", *, offset: int = 0, service: str = "cart", **known: Any
) -> LogEvent:
    """Return a log line of topic `logs`."""
    origin = Origin(topic="logs", partition=0, offset=offset)
    return LogEvent(origin=origin, resource=known.pop("of", resource(service)), time=time, body=body, **known)


def point(time: Nanos, value: float, *, offset: int = 0, name: str = "cpu", **known: Any) -> MetricPoint:
    """Return a metric sample of topic `metrics`."""
    origin = Origin(topic="metrics", partition=0, offset=offset)
    kind = known.pop("kind", MetricKind.GAUGE)
    where = known.pop("of", resource())
    return MetricPoint(origin=origin, resource=where, time=time, name=name, value=value, kind=kind, **known)


def span(
    span_id: str,
    start: Nanos,
    end: Nanos,
    *,
    service: str = "cart",
    parent: str | None = None,
    offset: int = 0,
    name: str = "GET /",
    kind: SpanKind = SpanKind.UNKNOWN,
    **known: Any,
) -> SpanEvent:
    """Return a span of trace `t` and topic `spans`."""
    return SpanEvent(
        origin=Origin(topic="spans", partition=0, offset=offset),
        resource=resource(service),
        trace_id=known.pop("trace_id", "t"),
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        start=start,
        end=end,
        kind=kind,
        **known,
    )


def change(time: Nanos, title: str = "deploy 7", *, offset: int = 0) -> ChangeEvent:
    """Return a deploy of topic `changes`."""
    origin = Origin(topic="changes", partition=0, offset=offset)
    return ChangeEvent(origin=origin, resource=resource(), time=time, kind="deploy", title=title)


def deliver(windows: Windows, deliveries: Iterable[Delivery]) -> list[ClosedWindow]:
    """Add events one by one, with a tick after each."""
    closed: list[ClosedWindow] = []
    for wall, partition, event in deliveries:
        windows.add(event, partition=partition, wall=wall)
        closed.extend(windows.advance(wall))
    return closed


def in_time(events: Sequence[Windowed]) -> list[Delivery]:
    """Deliver each event when it happens, on a partition of its topic."""
    return [(e.time, (e.origin.topic, 0), e) for e in sorted(events, key=lambda e: e.time)]


def of(closed: Iterable[ClosedWindow], service: str = "cart") -> list[WindowSummary]:
    """Return one service's summaries."""
    return [s for window in closed for s in window.summaries if s.service == service]


_SERVICES = st.sampled_from(["cart", "shop", "pay"])
_TIMES = st.integers(0, 90_000).map(lambda ms: T0 + ms * 1_000_000)
_BODIES = st.sampled_from(
    ["cache miss", "user 7 paid", "user 8 paid", "order 12 for ann failed", "order 13 for bob failed", "up"]
)
_KEYS = st.sampled_from([None, "a", "b"])


@st.composite
def _one(draw: st.DrawFn) -> Any:
    """Return a function from an offset to an event, so that no two events share an origin."""
    kind = draw(st.integers(0, 9))
    time, service = draw(_TIMES), draw(_SERVICES)
    where = resource(
        service, instance=draw(st.sampled_from([None, f"{service}-1", f"{service}-2"])), node="n1"
    )
    if kind < 4:
        body, key = draw(_BODIES), draw(_KEYS)
        number = draw(st.sampled_from([0, 9, 17]))
        return lambda n: log(time, body, offset=n, of=where, sequence_key=key, severity_number=number)
    if kind < 6:
        value, name = draw(st.integers(-40, 40)) / 8, draw(st.sampled_from(["cpu", "rps"]))
        return lambda n: point(time, value, offset=n, of=where, name=name)
    if kind < 7:
        return lambda n: change(time, offset=n)
    length, parent = draw(st.integers(0, 15_000)), draw(st.integers(0, 20))
    how = draw(st.sampled_from(list(SpanKind)))
    peer = draw(st.sampled_from([None, "db"]))
    error = draw(st.booleans())
    return lambda n: span(
        str(n), time - length * 1_000_000, time, service=service, parent=str(parent), offset=n, kind=how,
        peer=peer, error=error,
    )  # fmt: skip


def events(most: int = 50) -> st.SearchStrategy[list[Windowed]]:
    """Return a strategy of mixed events over 90 s, their parents among each other."""
    # A list's length is drawn first: lists left to themselves have five items on average.
    makers = st.integers(0, most).flatmap(lambda n: st.lists(_one(), min_size=n, max_size=n))
    return makers.map(lambda items: [make(number) for number, make in enumerate(items)])
