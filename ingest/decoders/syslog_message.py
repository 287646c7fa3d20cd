"""Used by the syslog decoders: one message, whichever RFC or template spelled it, and the event it becomes.

Pure. Severities map as OpenTelemetry's table says (emergency 21, alert 19, critical 18, error 17, warning 13,
notice 10, informational 9, debug 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.decoders import severity
from ingest.decoders.batch import Batch
from ingest.decoders.flat_fields import Fields, known_id
from ingest.decoders.shipped import Shipped, read_shipped
from ingest.events import Event
from ingest.record import Nanos

MAX_PRIORITY = 191
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
)  # fmt: skip
_MNEMONIC = re.compile(r"%[A-Z0-9_]{1,64}(?:-[A-Z0-9_]{1,64}){0,3}-([0-7])-[A-Z0-9_]{1,64}\Z")
_BOM = "\ufeff"
_CONTROL = re.compile(r"#01[12](?![0-9])")
_TRACE = ("trace_id", "traceId", "traceID", "trace.id")
_SPAN = ("span_id", "spanId", "spanID", "span.id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a message says. None is what RFC 5424 writes as `-`, or what a template left out."""

    text: str
    priority: int | None = None
    """Facility × 8 + severity, 0..191."""
    time: Nanos | None = None
    host: str | None = None
    app: str | None = None
    process: str | None = None
    message_id: str | None = None
    structured: tuple[tuple[str, str], ...] = ()
    """(`SD-ID.parameter`, value) in the order written, escapes undone."""


def read_message(message: Message, batch: Batch) -> Event:
    """Return the message as an event; JSON in its text is read as the application's own fields."""
    app, message_id, level = mnemonic(message.app)
    named = {"service": app, "host.name": message.host}
    attributes = dict(message.structured)
    if message.priority is not None:
        attributes["syslog.facility"] = FACILITIES[message.priority >> 3]
    message_id = message.message_id or message_id
    if message_id is not None:
        attributes["syslog.msgid"] = message_id
    if message.process is not None:
        attributes["process.pid"] = message.process
    fields = Fields(top={name: value for name, value in named.items() if value}, extras=dict(attributes))
    return read_shipped(
        Shipped(
            fields=fields,
            text=unescape(message.text),
            time=None if message.time is None else batch.valid_time(message.time),
            severity=level if message.priority is None else severity.from_number(message.priority & 7),
            trace_id=_id(message, _TRACE),
            span_id=_id(message, _SPAN),
            sequence=_sequence(message),
        ),
        batch,
    )


def mnemonic(tag: str | None) -> tuple[str | None, str | None, int]:
    """Return (service, message id, severity) of a tag: Cisco's `%FACILITY-SEVERITY-NAME` is no service."""
    known = None if tag is None else _MNEMONIC.match(tag)
    return (tag, None, 0) if known is None else (None, tag, severity.from_number(int(known[1])))


def unescape(text: str) -> str:
    """Return `text` without its byte order mark; `#012` and `#011` of rsyslog become line break and tab."""
    text = text.removeprefix(_BOM)
    if "#01" not in text:
        return text
    return _CONTROL.sub(lambda found: "\t" if found[0] == "#011" else "\n", text)


def _id(message: Message, names: tuple[str, ...]) -> str | None:
    for name, value in message.structured:
        if name.endswith(names) and name.rpartition(".")[2] in names:
            return known_id(value)
    return None


def _sequence(message: Message) -> str | None:
    """Lines of one process belong together."""
    if message.process is None:
        return None
    return f"{message.host or ''}/{message.app or ''}[{message.process}]"
