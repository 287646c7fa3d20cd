"""Syslog messages that a relay wrote as JSON: rsyslog's templates and `jsonmesg`, syslog-ng's `format-json`.

Names differ between templates; every usual one is read.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders import severity
from ingest.decoders.batch import Batch
from ingest.decoders.flat_fields import Fields, scalar_text
from ingest.decoders.flat_json import read_each
from ingest.decoders.shipped import Noise, priority_severity, read_envelope, read_shipped
from ingest.decoders.syslog_message import mnemonic, unescape
from ingest.events import Event

_TEXT = ("message", "msg", "MESSAGE", "rawmsg", "@message")
_TIME = (
    "timestamp", "@timestamp", "timereported", "time", "TIMESTAMP", "DATE", "ISODATE", "timegenerated",
    "generatedtime", "time_reported",
)  # fmt: skip
_HOST = ("hostname", "host", "HOST", "sysloghost", "fromhost", "source", "FROMHOST", "fromhost-ip")
_APP = ("programname", "app-name", "app_name", "appname", "APP-NAME", "PROGRAM", "program")
_TAG = ("syslogtag", "tag", "SYSLOGTAG")
_PROCESS = ("procid", "PROCID", "PID", "pid")
_SEVERITY = (
    "syslogseverity-text", "severity-text", "severity_label", "syslogseverity_text", "severity",
    "syslogseverity", "level", "LEVEL", "PRIORITY",
)  # fmt: skip
_PRIORITY = ("pri", "priority", "PRI")
_FACILITY = (
    "syslogfacility-text", "facility-text", "facility_label", "facility", "syslogfacility", "FACILITY",
)  # fmt: skip
_NOISE = Noise(
    frozenset({
        "inputname", "fromhost", "fromhost-ip", "timegenerated", "protocol-version", "uuid", "type",
        "@version",
        "rawmsg", "generatedtime", "timereported", "version", "pri", "priority", "severity", "syslogseverity",
        "syslogseverity-text", "severity-text", "syslogtag", "tag", "facility", "syslogfacility",
        "syslogfacility-text", "facility-text", "iut", "SEQNUM", "SOURCEIP", "LEGACY_MSGHDR", "procid", "PID",
        "LEVEL", "PRIORITY", "FACILITY",
    }),
    ("$!",),
)  # fmt: skip
_MARKS = frozenset({
    "syslogtag", "syslogfacility", "syslogseverity", "syslogfacility-text", "syslogseverity-text",
    "sysloghost", "programname",
})  # fmt: skip


def decode(value: bytes, batch: Batch) -> None:
    """Read every object of the record; one that cannot be read is refused alone."""
    read_each(value, read_object, batch)


def is_object(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is a relayed syslog message."""
    if not item.keys().isdisjoint(_MARKS):
        return True
    return ("PROGRAM" in item and "MESSAGE" in item) or (
        "facility" in item
        and "severity" in item
        and ("host" in item or "hostname" in item)
        and "message" in item
    )


def read_object(item: Any, batch: Batch) -> Event:
    """Return the message of one object; `DecodeError` when it holds none."""
    line = read_envelope(item, _TEXT, _TIME, _NOISE, batch)
    fields = line.fields
    line.text = unescape(line.text.removeprefix(" "))
    line.severity = _severity(fields) or line.severity
    process = _known(fields.take_text(_PROCESS))
    app = _known(fields.take_text(_APP))
    tag = _known(fields.take_text(_TAG))
    if tag is not None:
        name, _, number = tag.removesuffix(":").partition("[")
        app, process = app or name, process or _known(number.removesuffix("]"))
    app, message_id, level = mnemonic(app)
    line.severity = line.severity or level
    host = fields.take_text(_HOST)
    facility = fields.take_text(_FACILITY)
    for name, value in (
        ("service", app),
        ("host.name", host),
        ("process.pid", process),
        ("syslog.msgid", message_id),
    ):
        if value:
            fields.top.setdefault(name, value)
    if facility:
        fields.extras.setdefault("syslog.facility", facility)
    if process:
        line.sequence = f"{host or ''}/{app or ''}[{process}]"
    return read_shipped(line, batch)


def _severity(fields: Fields) -> int:
    stated = fields.take(_SEVERITY)
    number = severity.from_name(scalar_text(stated)) if isinstance(stated, str | int) else 0
    return number or priority_severity(fields.take(_PRIORITY))


def _known(text: str | None) -> str | None:
    return None if text in {None, "", "-"} else text
