"""Flat JSON spans: an object with trace id, span id, name, start and either end or duration. Pure."""

from __future__ import annotations

import math
from typing import Any

from ingest.decoders import flat_plan as names
from ingest.decoders.batch import Batch
from ingest.decoders.flat_fields import Fields, known_id, scalar_text
from ingest.decoders.otlp_traces import KEPT, KINDS, peer_of, span_times
from ingest.events import DecodeError, RejectReason, SpanEvent, SpanKind
from ingest.record import Nanos

NAME = ("name", "operation", "operation_name", "operationName", "span.name")
START = ("start", "start_time", "startTime", "startTimeUnixNano", "start_time_unix_nano")
END = ("end", "end_time", "endTime", "endTimeUnixNano", "end_time_unix_nano")
DURATION = {
    "duration": 0,
    "duration_ns": 1,
    "durationNano": 1,
    "duration_us": 1_000,
    "duration_ms": 1_000_000,
    "durationMs": 1_000_000,
    "duration_s": 1_000_000_000,
}
"""Nanoseconds of one unit; a plain `duration` counts in seconds."""
STATUS = ("status", "status.code", "status_code", "otel.status_code", "status.status_code")
KIND = ("kind", "span.kind", "span_kind", "spanKind")
_ERRORS = frozenset({"error", "status_code_error", "2"})


def is_span(top: dict[str, Any]) -> bool:
    """Tell whether the fields make a span."""
    return (
        any(name in top for name in names.TRACE_ID)
        and any(name in top for name in names.SPAN_ID)
        and any(name in top for name in NAME)
        and any(name in top for name in START)
        and (any(name in top for name in END) or any(name in top for name in DURATION))
    )


def read_span(fields: Fields, batch: Batch) -> SpanEvent:
    """Return the span; `DecodeError` when an id is empty or a time is not valid."""
    trace_id, span_id = known_id(fields.take_text(names.TRACE_ID)), known_id(fields.take_text(names.SPAN_ID))
    if trace_id is None or span_id is None:
        raise DecodeError(RejectReason.MALFORMED, "the span has no trace id or no span id")
    first = fields.take_time(START)
    last = fields.take_time(END)
    if first is None:
        raise DecodeError(RejectReason.TIME_MISSING, "the span has no start")
    start, end = span_times(first, first + _duration(fields) if last is None else last, batch)
    kind = _kind(fields.take(KIND))
    name = fields.take_text(NAME) or ""
    known = {**fields.extras, **fields.top}
    attributes = {key: scalar_text(known[key]) for key in KEPT if known.get(key) is not None}
    named = known.get("peer") or known.get("peer.service")
    peer = named if isinstance(named, str) else peer_of(kind, attributes)
    return SpanEvent(
        origin=batch.origin,
        resource=fields.take_resource(batch),
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=known_id(fields.take_text(names.PARENT_ID)),
        name=batch.name(name),
        start=start,
        end=end,
        kind=kind,
        error=_failed(fields),
        peer=None if peer is None else batch.name(peer),
        attributes=batch.labels(attributes.items()),
    )


def _duration(fields: Fields) -> Nanos:
    name = next((name for name in DURATION if name in fields.top), None)
    value = None if name is None else fields.top[name]
    if name is None or isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError(RejectReason.TIME_MISSING, "the span has neither an end nor a duration in numbers")
    length = value * (DURATION[name] or 1_000_000_000)
    if not math.isfinite(length):
        raise DecodeError(RejectReason.TIME_INVALID, "the span's duration is beyond all measure")
    return round(length)


def _kind(value: Any) -> SpanKind:
    if isinstance(value, int) and 0 <= value < len(KINDS):
        return KINDS[value]
    word = value.lower().removeprefix("span_kind_") if isinstance(value, str) else ""
    return SpanKind(word) if word in set(SpanKind) else SpanKind.UNKNOWN


def _failed(fields: Fields) -> bool:
    error = fields.top.get("error")
    if isinstance(error, bool):
        return error
    status = fields.take(STATUS)
    return str(status).lower() in _ERRORS or (isinstance(error, str) and error.lower() == "true")
