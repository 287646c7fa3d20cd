"""Used by the flat decoders: which of the names that people give a field an object has. Pure.

Objects with the same field names come by the million, so the answer is remembered by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ingest.identity import EVERY, Names

TIME = (
    "time", "timestamp", "@timestamp", "ts", "datetime", "eventTime", "event_time", "time_unix_nano",
    "timeUnixNano", "Timestamp", "@t", "asctime", "date", "time_iso8601",
)  # fmt: skip
BODY = (
    "body", "message", "msg", "log", "text", "event.original", "Message", "MESSAGE", "RenderedMessage", "@m",
    "@mt", "short_message", "event", "error.message",
)  # fmt: skip
LEVEL = (
    "severity_text", "severityText", "severity", "level", "lvl", "log.level", "loglevel", "log_level",
    "levelname", "Level", "@l", "levelno", "priority",
)  # fmt: skip
NUMBER = ("severity_number", "severityNumber")
TRACE_ID = ("trace_id", "traceId", "trace.id", "traceID", "traceid", "TraceId", "dd.trace_id")
SPAN_ID = ("span_id", "spanId", "span.id", "spanID", "spanid", "SpanId", "dd.span_id")
PARENT_ID = ("parent_span_id", "parentSpanId", "parent.id", "parent_id", "parentId")
_NAMES, _LONGEST = 64, 2048
"""Field names, and characters of all of them, up to which a plan is remembered."""


class Plan(NamedTuple):
    """The present names of each field, best first."""

    time: tuple[str, ...]
    body: tuple[str, ...]
    level: tuple[str, ...]
    number: tuple[str, ...]
    trace_id: tuple[str, ...]
    span_id: tuple[str, ...]
    whose: Names
    only_log: bool
    """Whether the names alone rule out a change, a span and a metric."""


def plan_of(fields: Mapping[str, Any]) -> Plan:
    """Return the plan of an object's field names."""
    names = tuple(fields)
    if len(names) > _NAMES or len("".join(names)) > _LONGEST:
        return _plan(names)
    return _remembered(names)


@lru_cache(maxsize=1024)
def _remembered(names: tuple[str, ...]) -> Plan:
    """At most 1,024 plans of at most 2,048 characters each."""
    return _plan(names)


def _plan(names: tuple[str, ...]) -> Plan:
    known = frozenset(names)

    def present(wanted: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in wanted if name in known)

    spans = present(SPAN_ID)
    starts = spans and any(name.startswith("start") for name in names)
    return Plan(
        time=present(TIME),
        body=present(BODY),
        level=present(LEVEL),
        number=present(NUMBER),
        trace_id=present(TRACE_ID),
        span_id=spans,
        whose=Names(*(present(wanted) for wanted in EVERY)),
        only_log=known.isdisjoint(("change", "title", "value")) and not starts,
    )
