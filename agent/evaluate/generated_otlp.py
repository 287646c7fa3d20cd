"""OTLP requests for speed measurements, as SDKs write them and a Collector batches them: seeded and varied.

Several pods in a request, each with the attributes that a Kubernetes resource has; log bodies of about 200 B
with 4 to 8 attributes; spans of HTTP, databases and queues, some with an exception; metrics of which a
seventh are histograms.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent.evaluate.generated import SERVICES, START, Shapes
from ingest.record import Nanos

_PODS = 4
"""Resources in a request."""
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets that OpenTelemetry's conventions advise for durations in seconds."""
_ROUTES = tuple(f"/api/v1/{service}/{{id}}" for service in SERVICES)
_METRICS = (
    "process.cpu.time",
    "process.memory.usage",
    "http.server.active_requests",
    "db.client.connections.usage",
    "jvm.gc.count",
    "queue.length",
)


def logs(items: int, seed: int) -> bytes:
    """Return an `ExportLogsServiceRequest` of so many records, about 430 B each."""
    request, chance = ExportLogsServiceRequest(), _seeded(seed)
    shapes = Shapes(seed)
    for place in range(_PODS):
        group = request.resource_logs.add()
        _resource(group.resource, chance)
        scope = group.scope_logs.add()
        scope.scope.name = "com.example.shop.web.OrderController"
        for number in range(place, items, _PODS):
            record = scope.log_records.add(
                time_unix_nano=_time(number),
                observed_time_unix_nano=_time(number) + 512_000,
                severity_number=chance.choice((5, 9, 9, 9, 9, 13, 17)),
                severity_text="INFO",
                trace_id=chance.randbytes(16),
                span_id=chance.randbytes(8),
                flags=1,
            )
            record.body.string_value = " ".join(shapes.body() for _ in range(3))[:200]
            _log_attributes(record.attributes, chance)
    return bytes(request.SerializeToString())


def traces(items: int, seed: int) -> bytes:
    """Return an `ExportTraceServiceRequest` of so many spans, about 370 B each."""
    request, chance = ExportTraceServiceRequest(), _seeded(seed)
    for place in range(_PODS):
        group = request.resource_spans.add()
        _resource(group.resource, chance)
        scope = group.scope_spans.add()
        scope.scope.name = "io.opentelemetry.spring-webmvc-6.0"
        trace = chance.randbytes(16)
        for number in range(place, items, _PODS):
            if chance.random() < 0.2:
                trace = chance.randbytes(16)
            start = _time(number)
            span = scope.spans.add(
                trace_id=trace,
                span_id=chance.randbytes(8),
                parent_span_id=chance.randbytes(8) if chance.random() < 0.8 else b"",
                start_time_unix_nano=start,
                end_time_unix_nano=start + chance.randrange(100_000, 500_000_000),
                flags=257,
            )
            chance.choice((_server_span, _client_span, _database_span))(span, chance)
            if chance.random() < 0.03:
                _fail(span, chance)
    return bytes(request.SerializeToString())


def metrics(items: int, seed: int) -> bytes:
    """Return an `ExportMetricsServiceRequest` of so many points, about 140 B each."""
    request, chance = ExportMetricsServiceRequest(), _seeded(seed)
    for place in range(_PODS):
        group = request.resource_metrics.add()
        _resource(group.resource, chance)
        scope = group.scope_metrics.add()
        scope.scope.name = "io.opentelemetry.runtime-telemetry"
        for first in range(place * 7, items, _PODS * 7):
            name = chance.choice(_METRICS)
            if chance.random() < 0.5:
                data = scope.metrics.add(name=name, description="What it counts.", unit="1").sum
                data.aggregation_temporality, data.is_monotonic = 2, chance.random() < 0.7
            else:
                data = scope.metrics.add(name=name, description="What it shows.", unit="By").gauge
            for _ in range(min(6, items - first)):
                _number(data.data_points.add(), first, chance)
            if items - first > 6:
                histogram = scope.metrics.add(name="http.server.request.duration", unit="s").histogram
                histogram.aggregation_temporality = 2
                _histogram(histogram.data_points.add(), first, chance)
    return bytes(request.SerializeToString())


MAKERS: dict[str, tuple[Callable[[int, int], bytes], int]] = {
    "logs": (logs, 430),
    "metrics": (metrics, 140),
    "traces": (traces, 370),
}
"""Signal: (what makes a request, bytes of an item)."""


def requests(signal: str, size: int, count: int, seed: int = 11) -> list[bytes]:
    """Return requests of about `size` bytes each."""
    make, each = MAKERS[signal]
    return [make(max(_PODS, size // each), seed + number) for number in range(count)]


def _resource(resource: Any, chance: random.Random) -> None:
    service, pod = chance.choice(SERVICES), f"{chance.getrandbits(40):010x}"
    named = (
        ("service.name", service), ("service.namespace", "shop"), ("service.version", "1.14.2"),
        ("service.instance.id", f"{chance.getrandbits(128):032x}"),
        ("deployment.environment.name", "production"), ("k8s.namespace.name", "shop"),
        ("k8s.deployment.name", service), ("k8s.pod.name", f"{service}-{pod}"),
        ("k8s.node.name", f"node-{chance.randrange(12)}"), ("host.name", f"{service}-{pod}"),
        ("telemetry.sdk.language", "java"), ("telemetry.sdk.name", "opentelemetry"),
    )  # fmt: skip
    for key, value in named:
        _add(resource.attributes, key, value)


def _log_attributes(attributes: Any, chance: random.Random) -> None:
    possible: tuple[tuple[str, str | int], ...] = (
        ("thread.name", f"http-nio-8080-exec-{chance.randrange(16)}"), ("code.function.name", "place"),
        ("http.route", chance.choice(_ROUTES)), ("user.id", f"u-{chance.randrange(100_000)}"),
        ("log.logger", "com.example.shop.OrderService"), ("order.items", chance.randrange(12)),
        ("tenant", chance.choice(("eu", "us", "apac"))), ("feature.checkout", "new"),
    )  # fmt: skip
    for key, value in possible[: chance.randrange(4, 9)]:
        _add(attributes, key, value)


def _server_span(span: Any, chance: random.Random) -> None:
    route = chance.choice(_ROUTES)
    span.name, span.kind = f"GET {route}", 2
    named: tuple[tuple[str, str | int], ...] = (
        ("http.request.method", "GET"), ("http.route", route),
        ("url.path", f"{route[:-4]}{chance.randrange(9_999)}"),
        ("url.scheme", "http"), ("http.response.status_code", chance.choice((200, 200, 200, 404, 500))),
        ("network.protocol.version", "1.1"),
        ("client.address", f"10.0.{chance.randrange(4)}.{chance.randrange(256)}"),
        ("user_agent.original", "okhttp/4.12.0"),
    )  # fmt: skip
    for key, value in named:
        _add(span.attributes, key, value)


def _client_span(span: Any, chance: random.Random) -> None:
    service = chance.choice(SERVICES)
    span.name, span.kind = "POST", 3
    named: tuple[tuple[str, str | int], ...] = (
        ("http.request.method", "POST"), ("server.address", f"{service}.shop.svc.cluster.local"),
        ("server.port", 8080), ("url.full", f"http://{service}:8080/api/v1/{service}/{chance.randrange(9_999)}"),
        ("http.response.status_code", 200),
    )  # fmt: skip
    for key, value in named:
        _add(span.attributes, key, value)


def _database_span(span: Any, chance: random.Random) -> None:
    table = chance.choice(SERVICES)
    span.name, span.kind = f"SELECT {table}", 3
    named = (
        ("db.system.name", "postgresql"), ("db.namespace", "shop"), ("db.collection.name", table),
        ("db.operation.name", "SELECT"), ("server.address", "postgres"),
        ("db.query.text", f"SELECT id, state, total FROM {table} WHERE customer = ?"),  # noqa: S608
    )  # fmt: skip
    for key, value in named:
        _add(span.attributes, key, value)


def _fail(span: Any, chance: random.Random) -> None:
    span.status.code = 2
    event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
    _add(event.attributes, "exception.type", "java.net.SocketTimeoutException")
    _add(event.attributes, "exception.message", f"no answer within {chance.randrange(9_000)} ms")
    _add(event.attributes, "exception.stacktrace", "\tat com.example.shop.Client.call(Client.java:88)\n" * 20)


def _number(point: Any, number: int, chance: random.Random) -> None:
    point.start_time_unix_nano, point.time_unix_nano = START, _time(number)
    if chance.random() < 0.5:
        point.as_double = chance.random() * 1_000
    else:
        point.as_int = chance.randrange(1_000_000)
    _add(point.attributes, "pool", chance.choice(SERVICES))
    _add(point.attributes, "state", chance.choice(("idle", "used", "waiting")))


def _histogram(point: Any, number: int, chance: random.Random) -> None:
    counts = [chance.randrange(1_000) for _ in range(len(_BOUNDS) + 1)]
    point.start_time_unix_nano, point.time_unix_nano = START, _time(number)
    point.count, point.sum, point.min, point.max = sum(counts), chance.random() * 100, 0.001, 11.5
    point.bucket_counts.extend(counts)
    point.explicit_bounds.extend(_BOUNDS)
    _add(point.attributes, "http.request.method", "GET")
    _add(point.attributes, "http.route", chance.choice(_ROUTES))
    _add(point.attributes, "http.response.status_code", 200)


def _add(attributes: Any, key: str, value: str | int) -> None:
    slot = attributes.add(key=key).value
    if isinstance(value, int):
        slot.int_value = value
    else:
        slot.string_value = value


def _time(number: int) -> Nanos:
    return START + number * 1_000_003


def _seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - nothing here is secret
