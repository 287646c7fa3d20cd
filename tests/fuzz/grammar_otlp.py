"""Samples of OTLP, in protobuf through the published messages and in JSON by its specification."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fuzz.case import Case
from tests.fuzz.grammar_words import HOSTS, NOW_S, SERVICES, hexed, line

_NAMES = (
    "http.route",
    "thread.name",
    "k8s.pod.name",
    "exception.message",
    "session.id",
    "db.statement",
    "n",
    "",
)


def logs(rng: Random) -> Case:
    """Make an `ExportLogsServiceRequest` of a few records."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    _resource(group.resource, rng)
    scope = group.scope_logs.add()
    scope.scope.name = "fuzz"
    for _ in range(rng.choice((1, 1, 2, 4))):
        record = scope.log_records.add(
            time_unix_nano=_time(rng),
            observed_time_unix_nano=_time(rng),
            severity_number=rng.randrange(25),
            severity_text=rng.choice(("", "ERROR", "warn")),
        )
        _value(record.body, rng)
        if rng.random() < 0.5:
            record.trace_id, record.span_id = rng.randbytes(16), rng.randbytes(8)
        _attributes(record.attributes, rng)
    return Case(value=request.SerializeToString())


def metrics(rng: Random) -> Case:
    """Make an `ExportMetricsServiceRequest` with metrics of every form."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    _resource(group.resource, rng)
    scope = group.scope_metrics.add()
    for _ in range(rng.choice((1, 1, 2, 3))):
        metric = scope.metrics.add(name=rng.choice(("http.server.duration", "cpu", "queue.size")), unit="ms")
        form = rng.choice(("gauge", "sum", "histogram", "exponential_histogram", "summary"))
        data = getattr(metric, form)
        if form not in {"gauge", "summary"}:
            data.aggregation_temporality = rng.randrange(3)
        if form == "sum":
            data.is_monotonic = rng.random() < 0.5
        point = data.data_points.add(time_unix_nano=_time(rng), start_time_unix_nano=_time(rng))
        _attributes(point.attributes, rng)
        _fill_point(form, point, rng)
    return Case(value=request.SerializeToString())


def _fill_point(form: str, point: Any, rng: Random) -> None:
    if form in {"gauge", "sum"}:
        if rng.random() < 0.5:
            point.as_double = rng.uniform(-1e6, 1e6)
        else:
            point.as_int = rng.randrange(-(2**40), 2**40)
        return
    point.count, point.sum = 6, 12.5
    if form == "histogram":
        point.bucket_counts.extend([1, 2, 3])
        point.explicit_bounds.extend([0.1, 5.0])
    elif form == "exponential_histogram":
        point.scale, point.zero_count = rng.choice((-10, 0, 3, 20)), 1
        point.positive.offset = rng.choice((-5, 0, 1000))
        point.positive.bucket_counts.extend([1, 0, 4])
        point.negative.bucket_counts.extend([1])
    else:
        for quantile in (0.5, 0.99):
            point.quantile_values.add(quantile=quantile, value=rng.random())


def traces(rng: Random) -> Case:
    """Make an `ExportTraceServiceRequest` of a few spans."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _resource(group.resource, rng)
    scope = group.scope_spans.add()
    trace = rng.randbytes(16)
    for _ in range(rng.choice((1, 1, 2, 4))):
        start = _time(rng)
        span = scope.spans.add(
            trace_id=trace,
            span_id=rng.randbytes(8),
            parent_span_id=rng.choice((b"", rng.randbytes(8))),
            name=rng.choice(("GET /cart", "SELECT", "")),
            kind=rng.randrange(6),
            start_time_unix_nano=start,
            end_time_unix_nano=start + rng.randrange(10**9),
        )
        span.status.code = rng.randrange(3)
        _attributes(span.attributes, rng)
        if rng.random() < 0.3:
            _attributes(span.events.add(name="exception", time_unix_nano=start).attributes, rng)
        if rng.random() < 0.2:
            span.links.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
    return Case(value=request.SerializeToString())


def _time(rng: Random) -> int:
    return (NOW_S - rng.randrange(3600)) * 10**9 + rng.randrange(10**9)


def _resource(resource: Any, rng: Random) -> None:
    for name, values in (("service.name", SERVICES), ("host.name", HOSTS), ("service.version", ("1.2.3",))):
        if rng.random() < 0.8:
            resource.attributes.add(key=name).value.string_value = rng.choice(values)


def _attributes(attributes: Any, rng: Random) -> None:
    for _ in range(rng.choice((0, 1, 2, 5))):
        _value(attributes.add(key=rng.choice(_NAMES)).value, rng)


def _value(value: Any, rng: Random, depth: int = 3) -> None:
    form = rng.randrange(8)
    if form == 0:
        value.int_value = rng.randrange(-(2**63), 2**63)
    elif form == 1:
        value.double_value = rng.choice((0.5, float("nan"), float("inf"), -1e300))
    elif form == 2:
        value.bool_value = True
    elif form == 3:
        value.bytes_value = rng.randbytes(9)
    elif form == 4 and depth:
        for _ in range(2):
            _value(value.array_value.values.add(), rng, depth - 1)
    elif form == 5 and depth:
        _value(value.kvlist_value.values.add(key="k").value, rng, depth - 1)
    else:
        value.string_value = line(rng)


def in_json(rng: Random) -> Case:
    """Make one request of logs, metrics or traces in OTLP's JSON."""
    root = rng.choice((_logs_json, _metrics_json, _traces_json))(rng)
    value = json.dumps(root, ensure_ascii=False)
    return Case(value=(value + "\n" + value if rng.random() < 0.2 else value).encode("utf-8", "replace"))


def _json_resource(rng: Random) -> dict[str, Any]:
    pairs = {"service.name": rng.choice(SERVICES), "host.name": rng.choice(HOSTS)}
    return {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()]}


def _json_attributes(rng: Random) -> list[dict[str, Any]]:
    values: tuple[dict[str, Any], ...] = (
        {"stringValue": line(rng)}, {"intValue": "42"}, {"doubleValue": 1.5}, {"boolValue": True},
        {"bytesValue": "AQID"}, {"arrayValue": {"values": [{"intValue": 1}]}},
        {"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}},
    )  # fmt: skip
    return [{"key": rng.choice(_NAMES), "value": rng.choice(values)} for _ in range(rng.choice((0, 1, 3)))]


def _logs_json(rng: Random) -> dict[str, Any]:
    record = {
        "timeUnixNano": str(_time(rng)),
        "severityNumber": rng.randrange(25),
        "severityText": "Error",
        "body": {"stringValue": line(rng)},
        "traceId": hexed(rng, 16),
        "spanId": hexed(rng, 8),
        "attributes": _json_attributes(rng),
    }
    return {
        "resourceLogs": [{"resource": _json_resource(rng), "scopeLogs": [{"logRecords": [record, record]}]}]
    }


def _metrics_json(rng: Random) -> dict[str, Any]:
    base = {"timeUnixNano": str(_time(rng)), "attributes": _json_attributes(rng)}
    forms: tuple[dict[str, Any], ...] = (
        {"gauge": {"dataPoints": [{**base, "asDouble": 0.5}]}},
        {"sum": {"dataPoints": [{**base, "asInt": "7"}], "aggregationTemporality": 2, "isMonotonic": True}},
        {"histogram": {"dataPoints": [{**base, "count": "3", "sum": 9, "bucketCounts": ["1", "2"],
         "explicitBounds": [5]}]}},
        {"exponentialHistogram": {"dataPoints": [{**base, "count": 3, "scale": 2, "positive": {"offset": 1,
         "bucketCounts": [3]}}]}},
        {"summary": {"dataPoints": [{**base, "count": 3, "sum": 1, "quantileValues": [{"quantile": 0.9,
         "value": 2}]}]}},
    )  # fmt: skip
    metric = {"name": "m", "unit": "1", **rng.choice(forms)}
    return {"resourceMetrics": [{"resource": _json_resource(rng), "scopeMetrics": [{"metrics": [metric]}]}]}


def _traces_json(rng: Random) -> dict[str, Any]:
    start = _time(rng)
    span = {
        "traceId": hexed(rng, 16), "spanId": hexed(rng, 8), "parentSpanId": rng.choice(("", hexed(rng, 8))),
        "name": "GET", "kind": rng.choice((2, "SPAN_KIND_CLIENT")), "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 5), "status": {"code": 2}, "attributes": _json_attributes(rng),
        "links": [{"traceId": hexed(rng, 16)}],
    }  # fmt: skip
    return {"resourceSpans": [{"resource": _json_resource(rng), "scopeSpans": [{"spans": [span]}]}]}
