"""Syslog: RFC 5424 and RFC 3164, told apart message by message; one record may hold several.

Several messages in a record are framed as RFC 6587 says: by octet counts, or by line feeds before the next
header. A line without a header of its own belongs to the message above it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ingest.decoders import syslog3164, syslog5424
from ingest.decoders.batch import AHEAD, OLDEST, Batch
from ingest.decoders.syslog_message import Message, read_message
from ingest.decoders.text import local_clock
from ingest.decoders.times import zone_named
from ingest.events import DecodeError, RejectReason

_COUNTED = re.compile(rb"([1-9][0-9]{0,6}) (?=<[0-9]{1,3}>)")
_NEXT_PRIORITY = re.compile(rb"\r?\n(?=<[0-9]{1,3}>[0-9A-Z])")
_STAMP = (
    rb"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[^ \n]{1,24}"
    rb"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}) "
)
_NEXT_STAMP = re.compile(rb"\r?\n(?=" + _STAMP + rb"[^\s\[]{1,255} [^\s:\[\]]{1,128}[:\[])")
_BEGINS = re.compile(rb"(?:[1-9][0-9]{0,6} )?<[0-9]{1,3}>|" + _STAMP)
_ENDS = b"\r\n\0"


def decode(value: bytes, batch: Batch) -> None:
    """Read every message of the record; one that is none is refused alone."""
    found, broken = frames(value)
    for frame in found:
        parsed = _parse(frame, batch)
        if parsed is None:
            _refuse("no syslog message: it begins with neither <priority> nor a time", batch)
        else:
            _add(parsed[0], batch)
    if broken:
        _refuse("an octet count does not fit the record; what follows cannot be framed", batch)
    if not found and not broken:
        raise DecodeError(RejectReason.MALFORMED, "the record is blank")


def decode_if_sure(value: bytes, batch: Batch) -> str | None:
    """Read the record and return why it is syslog; None, and nothing read, where it may be plain text."""
    if _BEGINS.match(value) is None:
        return None
    found, broken = frames(value)
    parsed = [_parse(frame, batch) for frame in found]
    if broken or not parsed:
        return None
    for one in parsed:
        if one is None or one[1] is None:
            return None
    for one in parsed:
        if one is not None:
            _add(one[0], batch)
    return None if parsed[0] is None else parsed[0][1]


def frames(value: bytes) -> tuple[list[bytes], bool]:
    """Return the messages of a record, and whether an octet count lied, so that the rest cannot be framed."""
    if _COUNTED.match(value) is not None:
        return _counted(value)
    following = _NEXT_PRIORITY if value.startswith(b"<") else _NEXT_STAMP
    parts = following.split(value) if b"\n" in value else (value,)
    return [frame for frame in (part.rstrip(_ENDS) for part in parts) if frame.strip()], False


def _counted(value: bytes) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    at = 0
    while at < len(value):
        if value[at] in _ENDS:  # some senders end a counted message with a line feed too
            at += 1
            continue
        count = _COUNTED.match(value, at)
        end = -1 if count is None else count.end() + int(count[1])
        if count is None or end > len(value):
            return found, True
        found.append(value[count.end() : end].rstrip(_ENDS))
        at = end
    return found, False


def _parse(frame: bytes, batch: Batch) -> tuple[Message, str | None] | None:
    """Return the message and why it surely is one, None for the reason where it only may be."""
    text = frame.decode("utf-8", "replace")
    message = syslog5424.parse(text)
    if message is not None:
        return message, "an RFC 5424 header, `<priority>1 `, begins it"
    reference = batch.received if batch.received >= OLDEST else batch.latest - AHEAD
    zone = None if batch.defaults.time_zone is None else zone_named(batch.defaults.time_zone)
    parsed = syslog3164.parse(text, reference, zone)
    if parsed is None:
        return None
    message, certain = parsed
    if message.time is not None and not certain and local_clock(message.time, batch.received):
        message = replace(message, time=None)  # it shows a local clock in a zone that nobody named
    if frame.startswith(b"<"):
        return message, "a syslog `<priority>` begins it"
    plausible = syslog3164.is_plausible(message)
    return message, "a time, a host and a tag begin the line" if plausible else None


def _add(message: Message, batch: Batch) -> None:
    try:
        batch.events.append(read_message(message, batch))
    except DecodeError as error:
        batch.rejects.append(error.reject)


def _refuse(detail: str, batch: Batch) -> None:
    batch.rejects.append(DecodeError(RejectReason.MALFORMED, detail).reject)
