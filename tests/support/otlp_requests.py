"""Random OTLP requests by their descriptors, with values that decoders care about."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decoders.otlp_traces import KEPT, PEER_NAMES

NOW = 1_700_000_000_000_000_000
REQUESTS: dict[str, Any] = {
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
}
_NAMES = (
    *sorted(KEPT), *PEER_NAMES, "exception.type", "exception.message", "exception.stacktrace", "session.id",
    "thread.name", "thread.id", "service.version", "user.id", "a", "", "ключ", "naïve.name",
    "same.first.bytes.1",     "same.first.bytes.2", "k" * 63, "k" * 300, "ö" * 129,
)  # fmt: skip
_TEXTS = (
    "", "GET", "cart", "ERROR", "warn", "exception", "cart.shop.svc.cluster.local", "db.", "a.svc", "λ",
    "🙂" * 30,     "x" * 64, "x" * 65, "x" * 256, "x" * 257, "é" * 128, "é" * 129, "🙂" * 65, "level=error x",
    "y" * 17_000,
)  # fmt: skip
_USUAL = 11
"""Texts that are short."""
_VARINTS = (0, 1, 2, 3, 4, 5, 6, 9, 17, 24, 25, 127, 128, 2**31 - 1)
_REALS = (0.0, -0.0, 1.5, 1e300, float("nan"), float("inf"), -3.25e-9, 200.0)
_IDS = (b"", b"\0" * 16, b"\0" * 8, b"\x01" * 8, bytes(range(16)), b"\xff" * 16, b"\x01" * 17, b"\x02")
_RARE = 0.04
_DEPTH = 7


def request(signal: str, seed: int) -> bytes:
    """Return a request; most of its items are such as decoders take, some are not."""
    rng = Random(seed)
    message = REQUESTS[signal]()
    _fill(message, rng, 0)
    if rng.random() < 0.5:
        _same_resource(message, rng)
    if signal == "metrics":
        _make_plain(message, rng)
    if signal == "traces":
        _end_late(message, rng)
    return bytes(message.SerializeToString())


def _fill(message: Any, rng: Random, depth: int) -> None:
    fields = list(message.DESCRIPTOR.fields)
    ones = [field for field in fields if field.containing_oneof is not None]
    chosen = rng.choice([*ones, ones[0]]) if ones else None
    usual = 0.9 if depth < _DEPTH else 0.3
    for field in fields:
        if (
            field.containing_oneof is not None
            and field is not chosen
            and "_" + field.name not in {one.name for one in message.DESCRIPTOR.oneofs}
        ):
            continue
        if rng.random() < usual:
            _set(message, field, rng, depth)


def _set(message: Any, field: Any, rng: Random, depth: int) -> None:
    inside = field.message_type is not None
    if field.is_repeated:
        count = rng.choice((1, 1, 2, 3, 5)) if depth < _DEPTH else rng.choice((0, 0, 1))
        if field.name in {"attributes", "values"} and rng.random() < _RARE:
            count = rng.choice((31, 32, 33, 40)) if depth < _DEPTH else count
        for _ in range(count):
            if inside:
                _fill(getattr(message, field.name).add(), rng, depth + 1)
            else:
                getattr(message, field.name).append(_value(field, rng))
    elif inside:
        getattr(message, field.name).SetInParent()
        _fill(getattr(message, field.name), rng, depth + 1)
    else:
        setattr(message, field.name, _value(field, rng))


def _value(field: Any, rng: Random) -> Any:
    if field.name.endswith("unix_nano"):
        offset = rng.randrange(10**12)
        return NOW - offset if rng.random() > _RARE else rng.choice((0, 1, NOW * 2, 2**63, 2**64 - 1))
    kind = field.type
    if kind == FieldDescriptor.TYPE_STRING:
        if field.name == "key":
            return rng.choice(_NAMES) if rng.random() < 0.6 else f"key.{rng.randrange(200)}"
        return rng.choice(_TEXTS[:_USUAL] if rng.random() < 0.8 else _TEXTS)
    if kind == FieldDescriptor.TYPE_BYTES:
        return rng.choice(_IDS) if rng.random() < _RARE else rng.randbytes(16 if "trace" in field.name else 8)
    if kind == FieldDescriptor.TYPE_DOUBLE:
        return rng.choice(_REALS) if rng.random() < 0.5 else rng.uniform(-1e6, 1e6)
    if kind == FieldDescriptor.TYPE_BOOL:
        return rng.random() < 0.5
    if field.name == "flags":
        return 1 if rng.random() < _RARE else 0
    if kind in {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SFIXED64}:
        return rng.choice((0, 1, -1, 200, 2**63 - 1, -(2**63)))
    if kind == FieldDescriptor.TYPE_ENUM:
        return rng.choice((0, 1, 2, 3, 4, 5, 6, 9, 17, 24, 25, -1))
    return rng.choice(_VARINTS)


def _same_resource(message: Any, rng: Random) -> None:
    """Repeat the first resource, which decoders remember, in the other groups."""
    groups = getattr(message, message.DESCRIPTOR.fields[0].name)
    for group in groups[1:]:
        if rng.random() < 0.7:
            group.resource.CopyFrom(groups[0].resource)


def _make_plain(message: Any, rng: Random) -> None:
    """Make most histograms such as a sender would: as many counts as bounds allow, rising bounds."""
    metrics = [m for g in message.resource_metrics for s in g.scope_metrics for m in s.metrics]
    forms = [form for m in metrics for form in (m.histogram, m.exponential_histogram)]
    for point in [point for form in forms for point in form.data_points]:
        if rng.random() < _RARE:
            continue
        for name in ("sum", "min", "max"):
            if point.HasField(name) and rng.random() > _RARE:
                setattr(point, name, rng.uniform(-10, 10))
        if hasattr(point, "scale"):
            point.scale, point.zero_count = rng.randrange(-11, 12), rng.choice((0, 3))
            for side in (point.positive, point.negative):
                side.offset = rng.choice((0, -5, 2**31 - 1, -(2**31)))
                size = rng.choice((0, 1, 5, 160, 161))
                side.bucket_counts[:] = [rng.choice((0, 0, 1, 300)) for _ in range(size)]
        else:
            size = rng.choice((0, 1, 5, 159, 160, 200))
            point.explicit_bounds[:] = [number / 2 for number in range(size)]
            point.bucket_counts[:] = [rng.choice((0, 1, 300, 2**40)) for _ in range(size + 1)] if size else []


def _end_late(message: Any, rng: Random) -> None:
    """Let most spans end after they start."""
    for span in [p for g in message.resource_spans for s in g.scope_spans for p in s.spans]:
        if span.end_time_unix_nano < span.start_time_unix_nano <= NOW and rng.random() > _RARE:
            span.end_time_unix_nano = span.start_time_unix_nano + rng.randrange(10**9)
