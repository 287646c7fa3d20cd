"""What `auto` goes by: which format a record is in, told by its headers, its first bytes and its field names.

Pure, and of each record alone: no record is read differently because of those before it, so the same
records give the same events in any order. Which form an object has depends on its field names only, and is
remembered for the sets of names that come again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from ingest.decoders import (
    alertmanager,
    cloudevents,
    collectd,
    docker,
    ecs,
    flat_json,
    fluent,
    otlp,
    otlp_json,
    prometheus_json,
    syslog,
    syslog_json,
    telegraf,
    text,
)
from ingest.decoders.batch import Batch
from ingest.events import DecodeError, RejectReason

_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[\[{\]])")
_OTLP_START = re.compile(rb"\n(?:[\x80-\xff]{0,4}[\x00-\x7f](?:[\n\x12]|\Z)|[\x80-\xff]{1,4}\Z|\Z)")
"""Tag 1, a length, and tag 1 or 2 of what is inside: how every OTLP request begins, whole or cut."""
_CONTROL = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})
_STRAY, _FIRST = 0.05, 4
"""Share of control characters up to which bytes still count as text; none may be among the first few."""
_ZEROS = re.compile(rb"\0{8,}")
"""How a line begins whose file was truncated while it was written; frames of other formats have fewer."""
_PACKED = range(0x80, 0xA0)
"""What a MessagePack map or array begins with, and no text in UTF-8 or Latin-1."""
_FOREIGN = 0.3
"""The same share of characters that are not UTF-8: a line in Latin-1 has some, binary data far more."""
_NAMES, _LONGEST = 64, 2048
"""Field names, and characters of all of them, up to which a form is remembered."""
_ANOTHER = frozenset({RejectReason.MALFORMED, RejectReason.UNKNOWN_FORMAT})
"""Refusals after which an object may still be something else."""


class Seen(NamedTuple):
    """The format of a record and why it was taken for that, as a person would say it."""

    format: str
    why: str


class Form(NamedTuple):
    """One JSON format: how its objects are told from others, and what adds one to the batch."""

    seen: Seen
    has: Callable[[dict[str, Any]], bool]
    """By field names alone, never by values."""
    add: Callable[[Any, Batch], None]


def _adding(read: Callable[[Any, Batch], Any]) -> Callable[[Any, Batch], None]:
    def add(item: Any, batch: Batch) -> None:
        batch.events.append(read(item, batch))

    return add


FLAT = Form(
    Seen("json", "a JSON object whose field names are no other format's"),
    lambda item: True,  # noqa: ARG005
    _adding(flat_json.read_object),
)
FORMS: tuple[Form, ...] = (
    Form(
        Seen("otlp_json", "it has `resourceLogs`, `resourceMetrics` or `resourceSpans`"),
        otlp_json.is_request,
        otlp_json.read_document,
    ),
    Form(
        Seen("alertmanager", "it has `alerts`, `groupKey` and `version`"),
        alertmanager.is_webhook,
        alertmanager.read_webhook,
    ),
    Form(
        Seen("cloudevents", "it has `specversion`, `id`, `source` and `type`"),
        cloudevents.is_event,
        cloudevents.read_structured,
    ),
    Form(
        Seen("telegraf", "it has `fields`, `name`, `tags` and `timestamp`, or only `metrics`"),
        telegraf.is_metric,
        telegraf.read_document,
    ),
    Form(
        Seen("prometheus_json", "it has `labels`, `name`, `timestamp` and `value` and nothing else"),
        prometheus_json.is_sample,
        prometheus_json.read_sample,
    ),
    Form(
        Seen("collectd", "it has `values`, `dstypes`, `dsnames` and `plugin`"),
        collectd.is_values,
        collectd.read_values,
    ),
    Form(
        Seen("docker", "it has `log`, `stream` and `time` and nothing else"),
        docker.is_wrapper,
        _adding(docker.read_wrapper),
    ),
    Form(
        Seen("syslog_json", "it has a syslog tag, program name or facility beside its message"),
        syslog_json.is_object,
        _adding(syslog_json.read_object),
    ),
    Form(
        Seen("ecs", "it has `@timestamp` beside `ecs`, `agent`, `log.level`, `@metadata` or `@version`"),
        ecs.is_document,
        _adding(ecs.read_document),
    ),
    Form(
        Seen("vector", "it has `source_type` beside its `message`"),
        fluent.is_vector,
        _adding(fluent.read_vector),
    ),
    Form(
        Seen("fluent_bit", "it has `log` or `MESSAGE` beside Fluent Bit's or journald's fields"),
        fluent.is_fluent_bit,
        _adding(fluent.read_fluent_bit),
    ),
    FLAT,
)
"""In the order in which they are tried."""
_HEADERS = Seen("cloudevents", "its headers have `ce_specversion`")
_BYTES = Seen("otlp", "it begins as an OTLP request in protobuf does")
_TEXT = Seen("text", "text that begins as no other format does")


def decode_auto(
    value: bytes, batch: Batch, read_otlp: Callable[[bytes, Batch], None] = otlp.decode_any
) -> Seen:
    """Read whatever the record is and say what; `DecodeError` (unknown format) when it is nothing we know."""
    if batch.headers and cloudevents.is_binary(batch):
        cloudevents.decode(value, batch)
        return _HEADERS
    if _JSON_START.match(value):
        return _read_json(value, batch)
    if _OTLP_START.match(value):
        read_otlp(value, batch)
        return _BYTES
    return _read_text(value, batch)


def form_of(item: Any) -> Form:
    """Return the form of a JSON value; what is no object counts as flat JSON, which refuses it."""
    if not isinstance(item, dict):
        return FLAT
    names = tuple(item)
    if len(names) > _NAMES or len("".join(names)) > _LONGEST:
        return next(form for form in FORMS if form.has(item))
    return _remembered(names)


@lru_cache(maxsize=1024)
def _remembered(names: tuple[str, ...]) -> Form:
    """Return the form of objects with these field names: at most 1,024 sets of at most 2,048 characters."""
    item = dict.fromkeys(names)
    return next(form for form in FORMS if form.has(item))


def _read_json(value: bytes, batch: Batch) -> Seen:
    seen: Seen | None = None
    for item in flat_json.documents(value, batch):
        form = form_of(item)
        seen = seen or form.seen
        try:
            form.add(item, batch)
        except DecodeError as error:
            if form is FLAT or error.reject.reason not in _ANOTHER:
                batch.rejects.append(error.reject)
            else:
                _read_flat(item, batch, error)
    return seen or FLAT.seen


def _read_flat(item: Any, batch: Batch, refused: DecodeError) -> None:
    """Read an object that only looked like another format; `refused` says best why it is none."""
    try:
        batch.events.append(flat_json.read_object(item, batch))
    except DecodeError:
        batch.rejects.append(refused.reject)


def _read_text(value: bytes, batch: Batch) -> Seen:
    if not value:
        raise DecodeError(RejectReason.MALFORMED, "the record is empty")
    if _is_binary(value):
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, "neither OTLP, JSON nor text; set the topic's format")
    shown = value.decode("utf-8", "replace")
    if shown.count("\ufffd") > _FOREIGN * len(shown):
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, "too much is not UTF-8; set the topic's format")
    why = syslog.decode_if_sure(value, batch)
    if why is not None:
        return Seen("syslog", why)
    text.decode(value, batch)
    return _TEXT


def _is_binary(value: bytes) -> bool:
    zeros = _ZEROS.match(value)
    inside = value if zeros is None else value[zeros.end() :]
    strays = len(inside) - len(inside.translate(None, _CONTROL))
    first = inside[:_FIRST]
    return strays > _STRAY * len(inside) or any(byte in _CONTROL for byte in first) or value[0] in _PACKED
