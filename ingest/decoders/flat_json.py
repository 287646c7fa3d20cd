"""Flat JSON as shippers and applications write it: one object, an array, or one object a line.

What an object is shows in its fields: a change, a span, a metric value or else a log line. Each object is
taken or refused by itself. There are two paths that say the same: the reference here, and a compiled one for
plain objects, which leaves every other one to the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ingest.decoders import flat_plan as names
from ingest.decoders import severity
from ingest.decoders.batch import MAX_ITEMS, Batch
from ingest.decoders.flat_fields import Fields, known_id, read_fields, scalar_text
from ingest.decoders.flat_histograms import read_histogram
from ingest.decoders.flat_plan import Plan, plan_of
from ingest.decoders.flat_spans import is_span, read_span
from ingest.decoders.json_text import parse_json
from ingest.decoders.log_fields import sequence_key, with_error
from ingest.events import ChangeEvent, DecodeError, Event, LogEvent, MetricKind, MetricPoint, RejectReason
from ingest.record import Nanos

if TYPE_CHECKING:
    from ingest.decoders import _flat

METRIC = ("name", "metric", "metric_name", "__name__", "metric.name")
METRIC_KIND = ("kind", "type", "metric_type")
_KINDS = {
    "counter": MetricKind.CUMULATIVE,
    "cumulative": MetricKind.CUMULATIVE,
    "sum": MetricKind.CUMULATIVE,
    "delta": MetricKind.DELTA,
    "gauge": MetricKind.GAUGE,
}
_CHANGE = ("change", "type", "kind", "event.type")
_CHANGES = frozenset(
    {"deploy", "deployment", "config", "flag", "feature_flag", "restart", "scale", "rollback"}
)
_TITLE = ("title", "summary", "message", "description")


def compiled_lines() -> _flat.Lines | None:
    """Return the compiled reader, None where it was not built."""
    try:
        from ingest.decoders._flat import Lines
    except ImportError:
        return None
    return Lines()


def compiled_times() -> Callable[[bytes, tuple[bytes, ...]], list[tuple[Nanos, int, int]] | None] | None:
    """Return what finds the times of a line without reading it, None where it was not built."""
    try:
        from ingest.decoders._flat import line_times
    except ImportError:
        return None
    return line_times


def decode(value: bytes, batch: Batch) -> None:
    """Read every object that the bytes hold."""
    read_each(value, read_object, batch)


def read_each(value: bytes, read: Callable[[Any, Batch], Event], batch: Batch) -> None:
    """Add what `read` makes of every object that the bytes hold; one that it refuses is refused alone."""
    for item in documents(value, batch):
        try:
            batch.events.append(read(item, batch))
        except DecodeError as error:
            batch.rejects.append(error.reject)


def documents(value: bytes, batch: Batch) -> Sequence[Any]:
    """Return the values of a document, of its array, or of its lines; a bad line is refused alone.

    Raises `DecodeError` (too large) on more than `MAX_ITEMS`, which are hardly telemetry and take seconds.
    """
    try:
        whole = parse_json(value)
    except DecodeError as error:
        lines = [line for line in value.split(b"\n") if line.strip()]
        if len(lines) < 2:
            raise
        return _by_line(_bounded(lines), error, batch)
    return _bounded(whole) if isinstance(whole, list) else (whole,)


def _bounded(items: list[Any]) -> list[Any]:
    if len(items) > MAX_ITEMS:
        detail = f"{len(items)} items in one record, the limit is {MAX_ITEMS}; send smaller batches"
        raise DecodeError(RejectReason.TOO_LARGE, detail)
    return items


def _by_line(lines: list[bytes], whole: DecodeError, batch: Batch) -> list[Any]:
    found: list[Any] = []
    rejects = []
    for line in lines:
        try:
            found.append(parse_json(line))
        except DecodeError as error:
            rejects.append(error.reject)
    # Without a good line it is one broken document over several lines, not several documents.
    batch.rejects.extend(rejects if found else [whole.reject])
    return found


def read_object(item: Any, batch: Batch) -> Event:
    """Return the event that one object is; `DecodeError` when it is none or says no valid time."""
    if not isinstance(item, dict):
        raise DecodeError(RejectReason.MALFORMED, "an item is not a JSON object")
    fields = read_fields(item)
    plan = plan_of(fields.top)
    other = None if plan.only_log else other_reader(fields.top)
    return _log(fields, item, plan, batch) if other is None else other(fields, batch)


def other_reader(top: dict[str, Any]) -> Callable[[Fields, Batch], Event] | None:
    """Return what reads the fields where they make a change, a span or a metric, None for a log."""
    if _is_change(top):
        return _change
    if is_span(top):
        return read_span
    return _metric if _is_metric(top) else None


def _is_change(top: dict[str, Any]) -> bool:
    if isinstance(top.get("change"), str):
        return True
    return "title" in top and any(
        top.get(name) in _CHANGES for name in _CHANGE if isinstance(top.get(name), str)
    )


def _is_metric(top: dict[str, Any]) -> bool:
    value = top.get("value")
    if (
        value is None
        or isinstance(value, bool)
        or any(name in top for name in ("body", "message", "msg", "log"))
    ):
        return False
    named = any(isinstance(top.get(name), str) for name in METRIC)
    return named and (isinstance(value, int | float) or _number(value) is not None)


def _number(value: Any) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _time(fields: Fields, batch: Batch) -> Nanos:
    configured = batch.defaults.time_field
    among = (configured, *names.TIME) if configured else names.TIME
    time = fields.take_time(among, batch.defaults.time_zone)
    return batch.stamped(batch.received) if time is None else batch.valid_time(time)


def _change(fields: Fields, batch: Batch) -> ChangeEvent:
    time = _time(fields, batch)
    kind = fields.take_text(name for name in _CHANGE if isinstance(fields.top.get(name), str)) or "change"
    title = fields.take_text(_TITLE) or kind
    resource = fields.take_resource(batch)
    return ChangeEvent(
        origin=batch.origin,
        resource=resource,
        time=time,
        kind=batch.name(kind),
        title=batch.text(title),
        attributes=batch.labels(fields.rest()),
    )


def _metric(fields: Fields, batch: Batch) -> MetricPoint:
    time = _time(fields, batch)
    name = fields.take_text(METRIC) or ""
    value = _number(fields.take(("value",)))
    if value is None or not math.isfinite(value):
        raise DecodeError(RejectReason.NOT_FINITE, "a metric value is NaN or infinite")
    kind = _KINDS.get(str(next((fields.top[key] for key in METRIC_KIND if key in fields.top), "")).lower())
    if kind is not None:
        fields.take(METRIC_KIND)
    unit = fields.take_text(("unit",)) or ""
    start = fields.take_time(("start_time",)) or 0
    distribution = read_histogram(fields)
    resource = fields.take_resource(batch)
    # Numbers beside the value are other measurements, not labels: they would make a series of every sample.
    labels = [
        pair
        for pair in fields.rest()
        if pair[0] in fields.extras or isinstance(fields.top[pair[0]], str | bool)
    ]
    return MetricPoint(
        origin=batch.origin,
        resource=resource,
        time=time,
        name=batch.name(name),
        value=value,
        unit=batch.name(unit),
        kind=kind or MetricKind.GAUGE,
        labels=batch.labels(labels),
        start=start if start <= time else 0,
        distribution=distribution,
    )


def _log(fields: Fields, item: dict[str, Any], plan: Plan, batch: Batch) -> LogEvent:
    configured = (batch.defaults.time_field,) if batch.defaults.time_field else ()
    told = fields.take_readable_time((*configured, *plan.time), batch.defaults.time_zone, batch.cuts)
    time = batch.stamped(batch.received) if told is None else batch.valid_time(told)
    number, stated = level_and_stated(fields, plan.number, plan.level)
    body = _body(fields, item, plan.body, stated)
    trace_id = known_id(fields.take_text(plan.trace_id))
    span_id = known_id(fields.take_text(plan.span_id))
    resource = fields.take_resource(batch, plan)
    attributes = dict(fields.rest())
    return LogEvent(
        origin=batch.origin,
        resource=resource,
        time=time,
        body=batch.text(with_error(body.rstrip("\r\n"), attributes)),
        severity_number=number or severity.from_line(body),
        trace_id=trace_id,
        span_id=span_id,
        sequence_key=trace_id or sequence_key(attributes, resource.instance),
        attributes=batch.labels(attributes.items()),
    )


def _body(fields: Fields, item: dict[str, Any], among: tuple[str, ...], has_level: bool) -> str:
    value = fields.take(among)
    if value is None:
        # `body: {...}` was flattened away; a structured body is kept as JSON.
        inner = next((item[name] for name in names.BODY if isinstance(item.get(name), dict)), None)
        if inner is not None:
            return scalar_text(inner)
        blank = next((name for name in names.BODY if fields.top.get(name) == ""), None)
        if blank is not None:
            fields.used.add(blank)
            return ""
        if not has_level:
            raise DecodeError(RejectReason.MALFORMED, "no field holds a log text, a metric value or a span")
        return scalar_text(item)
    return scalar_text(value)


def level_of(fields: Fields) -> int:
    """Return the severity number that the fields state, 0 when they state none."""
    plan = plan_of(fields.top)
    return level_and_stated(fields, plan.number, plan.level)[0] if plan.number or plan.level else 0


def level_and_stated(fields: Fields, numbers: tuple[str, ...], levels: tuple[str, ...]) -> tuple[int, bool]:
    """Return (severity number, whether any field states a level)."""
    number = fields.take(numbers)
    shown = fields.take(levels)
    if isinstance(number, int) and 1 <= number <= 24:
        return number, shown is not None
    if isinstance(shown, str):
        return severity.from_name(shown), True
    return severity.from_number(shown) if isinstance(shown, int | float) else 0, shown is not None
