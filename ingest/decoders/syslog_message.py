"""Used by the syslog decoders: one message, whichever RFC or template spelled it, and the event it becomes.

Pure. Severities map as OpenTelemetry's table says (emergency 21, alert 19, critical 18, error 17, warning 13,
notice 10, informational 9, debug 5).
"""

from __future__ import annotations

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
    named = {"service": message.app, "host.name": message.host}
    attributes = dict(message.structured)
    if message.priority is not None:
        attributes["syslog.facility"] = FACILITIES[message.priority >> 3]
    if message.message_id is not None:
        attributes["syslog.msgid"] = message.message_id
    if message.process is not None:
        attributes["process.pid"] = message.process
    fields = Fields(top={name: value for name, value in named.items() if value}, extras=dict(attributes))
    return read_shipped(
        Shipped(
            fields=fields,
            text=unescape(message.text),
            time=None if message.time is None else batch.valid_time(message.time),
            severity=0 if message.priority is None else severity.from_number(message.priority & 7),
            trace_id=_id(message, _TRACE),
            span_id=_id(message, _SPAN),
            sequence=_sequence(message),
        ),
        batch,
    )


def unescape(text: str) -> str:
    """Return `text` with the line breaks of a stack trace that rsyslog wrote as `#012`."""
    if "#012" not in text:
        return text
    return text.replace("#012#011", "\n\t").replace("#012 ", "\n ").removesuffix("#012")


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
