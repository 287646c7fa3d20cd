"""Written back and read again an event is the same but for its origin; and no bytes break the decoder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from ingest.decode import Decode
from ingest.decoders.otlp_traces import KEPT
from ingest.decoders.severity import from_line
from ingest.distribution import Buckets, Distribution, fitted
from ingest.events import (
    ChangeEvent,
    DecodeError,
    Event,
    Labels,
    LogEvent,
    MetricKind,
    MetricPoint,
    Resource,
    SpanEvent,
    SpanKind,
    TopicDefaults,
)
from ingest.flat_encode import encode_flat, rfc3339
from ingest.otlp_encode import encode_logs, encode_metrics, encode_traces, in_requests
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
ORIGIN = Origin(topic="t", partition=0, offset=0)
MODEST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DERIVED = frozenset({"exception.type", "exception.message", "service.version"})
"""Attributes that a decoder writes into other fields or adds itself."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text("abcdefgh.ij_é", min_size=1, max_size=12).filter(lambda name: name not in DERIVED)
times = st.integers(946_684_800 * SECOND, NOW)
trace_ids = st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex)
span_ids = st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex)
resources = st.builds(
    Resource, environment=names, service=names, instance=st.none() | names, node=st.none() | names
)


def labels(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Labels]:
    """Draw sorted label pairs."""
    return st.dictionaries(keys, texts, max_size=5).map(lambda drawn: tuple(sorted(drawn.items())))


def _finish(event: LogEvent) -> LogEvent:
    number = event.severity_number or from_line(event.body)
    return structs.replace(event, severity_number=number, sequence_key=event.trace_id)


logs = st.builds(
    LogEvent,
    origin=st.just(ORIGIN),
    resource=resources,
    time=times,
    body=texts.filter(lambda body: body == body.rstrip("\r\n")),
    severity_number=st.integers(0, 24),
    trace_id=st.none() | trace_ids,
    span_id=st.none() | span_ids,
    attributes=labels(names),
).map(_finish)


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    """Draw a histogram of either form, in the form that decoding gives it."""
    finite = st.floats(allow_nan=False, allow_infinity=False)
    known: dict[str, Any] = {
        "total": draw(st.none() | finite),
        "minimum": draw(st.none() | finite),
        "maximum": draw(st.none() | finite),
    }
    counts = st.integers(0, 2**40)
    if draw(st.booleans()):
        bounds = tuple(sorted(draw(st.sets(finite.map(lambda x: x + 0.0), max_size=6))))
        inside = tuple(draw(counts) for _ in range(len(bounds) + 1)) if bounds else ()
        count = sum(inside) if inside else draw(counts)
        return Distribution(count=count, bounds=bounds, counts=inside, **known)
    sides = [
        Buckets(offset=draw(st.integers(-(2**30), 2**30)), counts=tuple(draw(st.lists(counts, max_size=5))))
        for _ in range(2)
    ]
    zero = draw(counts)
    count = zero + sum(sum(side.counts) for side in sides)
    scale = draw(st.integers(-20, 20))
    return fitted(
        Distribution(count=count, scale=scale, zero=zero, positive=sides[0], negative=sides[1], **known)
    )


def _counting(point: MetricPoint) -> MetricPoint:
    if point.distribution is not None:
        kind = MetricKind.CUMULATIVE if point.kind is MetricKind.GAUGE else point.kind
        return structs.replace(point, kind=kind, value=float(point.distribution.count))
    return structs.replace(point, start=0) if point.kind is MetricKind.GAUGE else point


metrics = st.builds(
    MetricPoint,
    origin=st.just(ORIGIN),
    resource=resources,
    time=times,
    name=names,
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.text("sBy%1/", max_size=4),
    kind=st.sampled_from(MetricKind),
    labels=labels(names),
    start=st.sampled_from([0, 946_684_800 * SECOND]),
    distribution=st.none() | distributions(),
).map(_counting)


@st.composite
def spans(draw: st.DrawFn) -> SpanEvent:
    """Draw a span whose peer stands in `peer`."""
    start, end = sorted((draw(times), draw(times)))
    return SpanEvent(
        origin=ORIGIN,
        resource=draw(resources),
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_span_id=draw(st.none() | span_ids),
        name=draw(names),
        start=start,
        end=end,
        kind=draw(st.sampled_from(SpanKind)),
        error=draw(st.booleans()),
        peer=draw(names),
        attributes=draw(labels(st.sampled_from(sorted(KEPT - DERIVED)))),
    )


changes = st.builds(
    ChangeEvent,
    origin=st.just(ORIGIN),
    resource=resources,
    time=times,
    kind=names,
    title=names,
    attributes=labels(names),
)


def decode(value: bytes, form: str = "auto") -> Sequence[Event]:
    """Decode one record without a reject."""
    record = Record(origin=ORIGIN, value=value, received=NOW)
    decoded = Decode({"t": TopicDefaults(format=form)}).decode(record, NOW)
    assert (decoded.rejects, decoded.cuts) == ((), ())
    return decoded.events


@settings(MODEST)
@given(st.lists(logs, min_size=1, max_size=5))
def test_logs_survive_otlp(events: list[LogEvent]) -> None:
    """Encode, decode, same events."""
    assert Counter(decode(encode_logs(events))) == Counter(events)


@settings(MODEST)
@given(st.lists(metrics, min_size=1, max_size=5))
def test_metrics_survive_otlp(events: list[MetricPoint]) -> None:
    """Encode, decode, same events."""
    assert Counter(decode(encode_metrics(events))) == Counter(events)


@settings(MODEST)
@given(st.lists(spans(), min_size=1, max_size=5))
def test_spans_survive_otlp(events: list[SpanEvent]) -> None:
    """Encode, decode, same events."""
    assert Counter(decode(encode_traces(events))) == Counter(events)


@settings(MODEST)
@given(logs | metrics | spans() | changes)
def test_events_survive_a_recording_line(event: LogEvent | MetricPoint | SpanEvent | ChangeEvent) -> None:
    """A line of a recording holds all of an event, in the same bytes each time."""
    line = encode_flat(event)
    assert b"\n" not in line
    assert decode(line, "json") == (event,)
    assert encode_flat(event) == line


@settings(MODEST)
@given(times)
def test_written_times_keep_their_nanoseconds(time: Nanos) -> None:
    """RFC 3339 with nine digits is exact."""
    event = ChangeEvent(
        origin=ORIGIN,
        resource=Resource(environment="e", service="s"),
        time=time,
        kind="deploy",
        title="v2",
    )
    assert orjson.loads(encode_flat(event))["time"] == rfc3339(time)
    assert decode(encode_flat(event)) == (event,)


def test_ids_that_are_not_hex_stay_joined_across_signals() -> None:
    """A foreign id becomes the same hash in a log and in a span."""
    resource = Resource(environment="e", service="s")
    log = LogEvent(origin=ORIGIN, resource=resource, time=NOW, body="x", trace_id="req-77")
    span = SpanEvent(
        origin=ORIGIN, resource=resource, trace_id="req-77", span_id="1", parent_span_id=None,
        name="n", start=NOW, end=NOW,
    )  # fmt: skip
    (written,), (spanned,) = decode(encode_logs([log])), decode(encode_traces([span]))
    assert isinstance(written, LogEvent)
    assert isinstance(spanned, SpanEvent)
    assert written.trace_id == spanned.trace_id != "req-77"


def test_requests_are_split_by_size_and_keep_their_order() -> None:
    """No request grows past the broker's limit; changes are left to the caller."""
    resource = Resource(environment="e", service="s")
    made: list[Event] = [
        LogEvent(origin=ORIGIN, resource=resource, time=NOW, body=f"{place} " + "x" * 1000, severity_number=9)
        for place in range(50)
    ]
    made.insert(3, MetricPoint(origin=ORIGIN, resource=resource, time=NOW, name="m", value=1.0))
    made.insert(5, ChangeEvent(origin=ORIGIN, resource=resource, time=NOW, kind="deploy", title="t"))
    requests = list(in_requests(made, max_bytes=10_000))
    assert max(len(value) for _, value in requests) <= 10_000
    back = [event for signal, value in requests if signal == "logs" for event in decode(value)]
    assert back == [event for event in made if isinstance(event, LogEvent)]
    assert [signal for signal, _ in requests].count("metrics") == 1


FORMATS = Decode({}).formats


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a valid record of any format with some of its bytes changed, cut or doubled."""
    event = draw(logs | metrics | spans())
    if isinstance(event, LogEvent):
        otlp = encode_logs([event, event])
    elif isinstance(event, MetricPoint):
        otlp = encode_metrics([event, event])
    else:
        otlp = encode_traces([event, event])
    value = bytearray(draw(st.sampled_from([otlp, encode_flat(event) * 2, b"[" + encode_flat(event) + b"]"])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        action = draw(st.sampled_from(["set", "cut", "insert"]))
        if action == "cut":
            del value[at : at + draw(st.integers(1, 20))]
        elif action == "insert":
            value[at:at] = draw(st.binary(min_size=1, max_size=4))
        else:
            value[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(value)


KNOWN_NAMES = [
    "time", "message", "level", "name", "value", "trace_id", "span_id", "start", "end", "duration",
    "log", "stream", "change", "title", "kind", "labels", "resource", "attributes", "service",
    "host", "unit", "resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans",
    "spans", "traceId", "body", "resourceMetrics", "scopeMetrics", "metrics", "gauge", "dataPoints",
    "asDouble", "timeUnixNano",
]  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KNOWN_NAMES),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


def survives(value: bytes, form: str) -> None:
    """Decode; nothing may come out but a `DecodeError` or events of valid time that can be written again."""
    record = Record(origin=ORIGIN, value=value, received=NOW)
    try:
        decoded = Decode({"t": TopicDefaults(format=form)}).decode(record, NOW)
    except DecodeError:
        return
    for event in decoded.events:
        assert 946_684_800 * SECOND <= event.time <= NOW + 3600 * SECOND
    assert sum(1 for _ in in_requests(decoded.events)) <= 3


@settings(MODEST)
@given(st.binary(max_size=200), st.sampled_from(FORMATS))
@example(b"\n\x00", "auto")
@example(b"\n\xe8", "auto")
@example(b'{"log":1}', "docker")
def test_arbitrary_bytes_never_break_the_decoder(value: bytes, form: str) -> None:
    """Nothing but a `DecodeError` comes out of garbage."""
    survives(value, form)


@settings(MODEST)
@given(mutated(), st.sampled_from(FORMATS))
def test_damaged_records_never_break_the_decoder(value: bytes, form: str) -> None:
    """Nothing but a `DecodeError` comes out of what was valid once."""
    survives(value, form)


@settings(MODEST, max_examples=150)
@given(json_values, st.sampled_from(["auto", "json", "docker", "otlp_json"]))
def test_odd_json_never_breaks_the_decoder(value: object, form: str) -> None:
    """Known names with values of any type are refused or read."""
    survives(json.dumps(value).encode(), form)
