"""OTLP in both forms: what each message becomes, written with the SDK's own exporter code where it can be."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ingest.decode import Decode
from ingest.events import (
    Decoded,
    DecodeError,
    Event,
    LogEvent,
    MetricKind,
    MetricPoint,
    RejectReason,
    Resource,
    SpanEvent,
    SpanKind,
    TopicDefaults,
)
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
TRACE = bytes(range(1, 17))
SPAN = bytes(range(1, 9))


def decode(value: bytes, form: str = "auto", received: Nanos = NOW) -> Decoded:
    """Decode one record of a topic with this format."""
    record = Record(origin=Origin(topic="t", partition=0, offset=0), value=value, received=received)
    return Decode({"t": TopicDefaults(format=form)}).decode(record, NOW)


def attributes(**values: str | int | float | bool) -> list[Any]:
    """Make key-values; `__` in a name stands for a dot."""
    made = []
    for name, value in values.items():
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        pair = KeyValue(key=name.replace("__", "."))
        setattr(pair.value, kind, value)
        made.append(pair)
    return made


def logs_request(**fields: Any) -> Any:
    """Make a request with one log record."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(attributes(service__name="cart", host__name="h", service__version="2"))
    group.scope_logs.add().log_records.add(**fields)
    return request


def spans_request(**fields: Any) -> Any:
    """Make a request with one span."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes(service__name="cart"))
    times = {"start_time_unix_nano": NOW - SECOND, "end_time_unix_nano": NOW}
    group.scope_spans.add().spans.add(
        **{"trace_id": TRACE, "span_id": SPAN, "name": "GET", **times, **fields}
    )
    return request


def metrics_request() -> tuple[Any, Any]:
    """Make a request and its one metric, still without data."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(attributes(service__name="cart"))
    return request, group.scope_metrics.add().metrics.add(name="m", unit="s")


def one(request: Any) -> Event:
    """Decode a request that holds one event."""
    (event,) = decode(request.SerializeToString()).events
    return event


def one_log(**fields: Any) -> LogEvent:
    """Decode a request that holds one log record."""
    event = one(logs_request(**fields))
    assert isinstance(event, LogEvent)
    return event


def one_span(**fields: Any) -> SpanEvent:
    """Decode a request that holds one span."""
    event = one(spans_request(**fields))
    assert isinstance(event, SpanEvent)
    return event


def points(request: Any) -> list[tuple[str, float, MetricKind, str, tuple[tuple[str, str], ...]]]:
    """Decode a request of metrics to what matters of each point."""
    events = decode(request.SerializeToString()).events
    assert all(isinstance(event, MetricPoint) for event in events)
    return [(e.name, e.value, e.kind, e.unit, e.labels) for e in events if isinstance(e, MetricPoint)]


def test_a_log_record_is_read_in_full() -> None:
    """Time, body, severity, ids, attributes and whose it is."""
    event = one_log(
        time_unix_nano=NOW, body=AnyValue(string_value="hi"), severity_number=17, trace_id=TRACE,
        span_id=SPAN, attributes=attributes(n=1, ok=True, f=0.5),
    )  # fmt: skip
    assert event == LogEvent(
        origin=Origin(topic="t", partition=0, offset=0),
        resource=Resource(environment="default", service="cart", instance="h", node="h"),
        time=NOW, body="hi", severity_number=17, trace_id=TRACE.hex(), span_id=SPAN.hex(),
        sequence_key=TRACE.hex(),
        attributes=(("f", "0.5"), ("n", "1"), ("ok", "true"), ("service.version", "2")),
    )  # fmt: skip


def test_a_log_without_a_time_takes_the_observed_then_the_brokers() -> None:
    """The order in which a missing time is made good; without any the record is refused."""
    body = AnyValue(string_value="x")
    assert one_log(observed_time_unix_nano=NOW - 5, body=body).time == NOW - 5
    assert one_log(body=body).time == NOW
    with pytest.raises(DecodeError) as caught:
        decode(logs_request(body=body).SerializeToString(), received=0)
    assert caught.value.reject.reason is RejectReason.TIME_MISSING


def test_bodies_of_every_kind_become_text() -> None:
    """Structures become JSON, bytes base64, and an absent body the event's name."""
    nested = AnyValue()
    nested.kvlist_value.values.extend(attributes(a=1, b="x"))
    inner = nested.kvlist_value.values.add(key="c").value.array_value.values.add()
    inner.bytes_value = b"\xff"
    assert one_log(body=nested).body == '{"a":1,"b":"x","c":["/w=="]}'
    assert one_log(body=AnyValue(int_value=-5)).body == "-5"
    assert one_log(body=AnyValue(bytes_value=b"hi")).body == base64.b64encode(b"hi").decode()
    assert one_log(time_unix_nano=NOW, event_name="boom").body == "boom"


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"severity_number": 13, "severity_text": "ERROR"}, 13),
        ({"severity_text": "Error"}, 17),
        ({"body": AnyValue(string_value="x [error] y")}, 17),
        ({"severity_number": 99, "severity_text": "info"}, 9),
        ({}, 0),
    ],
)
def test_severity_is_the_number_then_the_name_then_the_text(fields: dict[str, Any], severity: int) -> None:
    """The most exact statement wins; a number out of range is none."""
    assert (
        one_log(**{"time_unix_nano": NOW, "body": AnyValue(string_value="x"), **fields}).severity_number
        == severity
    )


def test_an_exception_is_told_in_the_body() -> None:
    """A log's exception attributes are evidence that its line must show."""
    said = attributes(exception__type="IOError", exception__message="disk full")
    assert one_log(body=AnyValue(string_value="failed"), attributes=said).body == "failed\nIOError: disk full"


def test_a_span_is_read_in_full() -> None:
    """Kind, parent, status, the exception in its events, and only attributes of use."""
    request = spans_request(
        kind=3,
        parent_span_id=SPAN[::-1],
        attributes=attributes(http__route="/x", user="bob", server__address="db.local"),
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.status.code = 2
    span.events.add(name="exception").attributes.extend(
        attributes(exception__type="E", exception__stacktrace="s")
    )
    event = one(request)
    assert isinstance(event, SpanEvent)
    assert (event.kind, event.error, event.parent_span_id) == (SpanKind.CLIENT, True, SPAN[::-1].hex())
    assert (event.start, event.end, event.peer) == (NOW - SECOND, NOW, "db.local")
    assert event.attributes == (("exception.type", "E"), ("http.route", "/x"), ("server.address", "db.local"))


def test_a_root_span_has_no_parent() -> None:
    """Neither an empty nor an all-zero parent is one."""
    assert one_span(parent_span_id=b"").parent_span_id is None
    assert one_span(parent_span_id=bytes(8)).parent_span_id is None


@pytest.mark.parametrize(
    ("kind", "said", "peer"),
    [
        (3, {"peer__service": "pay", "server__address": "x"}, "pay"),
        (3, {"db__system": "redis"}, "redis"),
        (3, {"db__system__name": "postgresql", "server__address": "db"}, "postgresql:db"),
        (1, {"db__system": "redis"}, "redis"),
        (3, {"net__peer__name": "pay.shop.svc.cluster.local"}, "pay"),
        (4, {"messaging__system": "kafka", "messaging__destination__name": "orders"}, "kafka:orders"),
        (3, {"rpc__service": "shop.Pay"}, "shop.Pay"),
        (2, {"server__address": "me"}, None),
        (3, {}, None),
    ],
)
def test_the_peer_is_named_as_well_as_the_span_can(kind: int, said: dict[str, str], peer: str | None) -> None:
    """An explicit peer, else the system and its address; a server's own address is no peer."""
    assert one_span(kind=kind, attributes=attributes(**said)).peer == peer


@pytest.mark.parametrize("fields", [{"trace_id": b""}, {"span_id": bytes(8)}])
def test_a_span_without_ids_is_malformed(fields: dict[str, bytes]) -> None:
    """Ids are what spans are joined by."""
    with pytest.raises(DecodeError) as caught:
        decode(spans_request(**fields).SerializeToString(), "otlp_traces")
    assert caught.value.reject.reason is RejectReason.MALFORMED


def test_a_gauge_keeps_integers_and_doubles() -> None:
    """Values become floats; attributes become sorted labels."""
    request, metric = metrics_request()
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=7, attributes=attributes(b="2", a="1"))
    metric.gauge.data_points.add(time_unix_nano=NOW, as_double=0.5)
    assert points(request) == [
        ("m", 7.0, MetricKind.GAUGE, "s", (("a", "1"), ("b", "2"))),
        ("m", 0.5, MetricKind.GAUGE, "s", ()),
    ]


@pytest.mark.parametrize(
    ("temporality", "rising", "kind"),
    [
        (2, True, MetricKind.CUMULATIVE),
        (2, False, MetricKind.GAUGE),
        (1, True, MetricKind.DELTA),
        (1, False, MetricKind.DELTA),
        (0, True, MetricKind.CUMULATIVE),
    ],
)
def test_a_sum_is_a_counter_only_when_it_rises(temporality: int, rising: bool, kind: MetricKind) -> None:
    """An up-down counter's total is a level, not a count."""
    request, metric = metrics_request()
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = rising
    metric.sum.data_points.add(time_unix_nano=NOW, as_int=1)
    assert points(request) == [("m", 1.0, kind, "s", ())]


@pytest.mark.parametrize("form", ["histogram", "exponential_histogram"])
def test_a_histogram_becomes_its_count_and_sum(form: str) -> None:
    """Two counters, with the sum left out where the sender leaves it out."""
    request, metric = metrics_request()
    data = getattr(metric, form)
    data.aggregation_temporality = 1
    data.data_points.add(time_unix_nano=NOW, count=3, sum=1.5)
    data.data_points.add(time_unix_nano=NOW, count=4)
    assert points(request) == [
        ("m.count", 3.0, MetricKind.DELTA, "1", ()),
        ("m.sum", 1.5, MetricKind.DELTA, "s", ()),
        ("m.count", 4.0, MetricKind.DELTA, "1", ()),
    ]


def test_a_summary_becomes_counters_and_quantiles() -> None:
    """Each quantile is a gauge of its own label."""
    request, metric = metrics_request()
    point = metric.summary.data_points.add(time_unix_nano=NOW, count=3, sum=1.5)
    point.quantile_values.add(quantile=0.99, value=0.8)
    assert points(request) == [
        ("m.count", 3.0, MetricKind.CUMULATIVE, "1", ()),
        ("m.sum", 1.5, MetricKind.CUMULATIVE, "s", ()),
        ("m", 0.8, MetricKind.GAUGE, "s", (("quantile", "0.99"),)),
    ]


def test_a_point_without_a_recorded_value_is_no_event_and_no_reject() -> None:
    """The flag says that a series ended, not that its value is zero."""
    request, metric = metrics_request()
    metric.gauge.data_points.add(time_unix_nano=NOW, flags=1)
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    decoded = decode(request.SerializeToString())
    assert (len(decoded.events), decoded.rejects) == (1, ())


def test_a_point_without_time_or_value_is_refused_alone() -> None:
    """Both are required; the rest of the metric goes on."""
    request, metric = metrics_request()
    metric.gauge.data_points.add(as_int=1)
    metric.gauge.data_points.add(time_unix_nano=NOW)
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    decoded = decode(request.SerializeToString())
    assert len(decoded.events) == 1
    assert [reject.reason for reject in decoded.rejects] == [
        RejectReason.TIME_MISSING,
        RejectReason.MALFORMED,
    ]


def test_each_explicit_format_reads_its_own_request() -> None:
    """A topic may be pinned to one signal; an empty request is a batch of nothing."""
    body = logs_request(time_unix_nano=NOW, body=AnyValue(string_value="x")).SerializeToString()
    for form in ("otlp", "otlp_logs"):
        assert isinstance(decode(body, form).events[0], LogEvent)
    span = spans_request().SerializeToString()
    for form in ("otlp", "otlp_traces"):
        assert isinstance(decode(span, form).events[0], SpanEvent)
    assert decode(b"", "otlp_metrics") == Decoded()


def as_json(request: Any) -> bytes:
    """Write a request as OTLP/JSON does: camelCase, 64-bit integers as strings, ids in hex."""
    tree = json_format.MessageToDict(request)
    for group in [*tree.get("resourceLogs", ()), *tree.get("resourceSpans", ())]:
        for scope in [*group.get("scopeLogs", ()), *group.get("scopeSpans", ())]:
            for item in [*scope.get("logRecords", ()), *scope.get("spans", ())]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in item:
                        item[name] = base64.b64decode(item[name]).hex().upper()
    return orjson.dumps(tree)


def test_the_json_form_gives_the_same_events() -> None:
    """Both forms of one request decode to equal events, recognised or pinned."""
    request, metric = metrics_request()
    metric.sum.is_monotonic = True
    metric.sum.data_points.add(time_unix_nano=NOW, as_int=2**53)
    nested = AnyValue()
    nested.kvlist_value.values.extend(attributes(a=1))
    log = logs_request(time_unix_nano=NOW, body=nested, severity_number=9, trace_id=TRACE, span_id=SPAN)
    span = spans_request(kind=2, parent_span_id=SPAN, attributes=attributes(http__route="/"))
    for made in (request, log, span):
        expected = decode(made.SerializeToString())
        assert expected.events
        assert decode(as_json(made)) == decode(as_json(made), "otlp_json") == expected


def test_the_json_form_takes_snake_case_links_and_unknown_fields() -> None:
    """What other writers send besides must not cost the span."""
    span = {
        "trace_id": TRACE.hex(), "span_id": SPAN.hex(), "name": "x", "new_field": {"a": [1]},
        "links": [{"traceId": "not read"}], "kind": "SPAN_KIND_SERVER",
        "start_time_unix_nano": str(NOW), "end_time_unix_nano": NOW,
    }  # fmt: skip
    document = {"resource_spans": [{"scope_spans": [{"spans": [span]}]}]}
    (event,) = decode(orjson.dumps(document)).events
    assert isinstance(event, SpanEvent)
    assert (event.trace_id, event.kind) == (TRACE.hex(), SpanKind.SERVER)


def test_a_half_good_json_batch_gives_its_good_half() -> None:
    """Items that are not what they should be are refused one by one."""
    good = {"timeUnixNano": str(NOW), "body": {"stringValue": "x"}}
    bad = [
        7,
        {"timeUnixNano": "soon"},
        {**good, "traceId": "xyz"},
        {**good, "timeUnixNano": "1"},
        {"body": "x"},
    ]
    document = {"resourceLogs": [5, {"scopeLogs": [{"logRecords": [*bad, good]}, None]}]}
    decoded = decode(orjson.dumps(document))
    assert len(decoded.events) == 1
    reasons = [reject.reason for reject in decoded.rejects]
    assert reasons.count(RejectReason.MALFORMED) == 5
    assert reasons.count(RejectReason.TIME_INVALID) == 1


def test_json_values_that_are_not_finite_refuse_their_own_point() -> None:
    """Proto's "NaN" and a bare NaN alike."""
    for written in (b'"NaN"', b"NaN", b'"Infinity"', b"1e999"):
        point = b'{"timeUnixNano":"%d","asDouble":%s}' % (NOW, written)
        good = b'{"timeUnixNano":"%d","asDouble":1}' % NOW
        metric = b'{"name":"m","gauge":{"dataPoints":[%s,%s]}}' % (point, good)
        decoded = decode(b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[%s]}]}]}' % metric)
        assert [event.value for event in decoded.events if isinstance(event, MetricPoint)] == [1.0]
        assert [reject.reason for reject in decoded.rejects] == [RejectReason.NOT_FINITE]
