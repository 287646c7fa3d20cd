"""OTLP's JSON form: the same events as the binary form, and damage that costs only itself."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ingest.events import MetricPoint, RejectReason, SpanEvent, SpanKind
from tests.support.otlp import (
    NOW,
    SPAN,
    TRACE,
    attributes,
    decode,
    logs_request,
    metrics_request,
    spans_request,
)


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
