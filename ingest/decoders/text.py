"""Plain text: one record, one log line (with its stack trace, if it has one below it).

Bytes that are not UTF-8 are replaced, for the rest of the line is evidence still.
"""

from __future__ import annotations

import re

from ingest.decoders import severity
from ingest.decoders.batch import OLDEST, Batch
from ingest.decoders.times import leading_time
from ingest.events import DecodeError, LogEvent, RejectReason
from ingest.record import SECOND, Nanos

_CRI = re.compile(r"(?:stdout|stderr) [FP] ")
_MINUTE: Nanos = 60 * SECOND
_EAST = frozenset({*range(60, 841, 60), 210, 270, 330, 345, 390, 525, 570, 630, 765, 825})
_WEST = frozenset({*range(60, 721, 60), 150, 210, 570})
"""By how many minutes clocks stand before and behind UTC anywhere (IANA's time zone database)."""


def decode(value: bytes, batch: Batch) -> None:
    """Read the record as one line; `DecodeError` when it is blank."""
    text = value.decode("utf-8", "replace").removeprefix("\ufeff").strip("\r\n\0")
    if not text.strip():
        raise DecodeError(RejectReason.MALFORMED, "the record is blank")
    batch.events.append(read_text(text, batch))


def read_text(text: str, batch: Batch, stated: Nanos | None = None) -> LogEvent:
    """Return the line as an event, at the `stated` time, else at the line's own, else at the broker's."""
    text, own = own_time(text, batch)
    time = own if stated is None else stated
    body = batch.text(text)
    return LogEvent(
        origin=batch.origin,
        resource=batch.resource({})[0],
        time=batch.stamped(batch.received) if time is None else time,
        body=body,
        severity_number=severity.from_line(body),
    )


def own_time(text: str, batch: Batch) -> tuple[str, Nanos | None]:
    """Return the line without a container runtime's prefix, and the time that begins it if it is certain."""
    leading = leading_time(text[:64].lstrip("["), batch.defaults.time_zone)
    if leading is None:
        return text, None
    found, end, zoned = leading
    certain = zoned or batch.defaults.time_zone is not None or not local_clock(found, batch.received)
    container = _CRI.match(text, end + 1)
    if container is not None:
        text = text[container.end() :]
    return text, found if certain and OLDEST <= found <= batch.latest else None


def local_clock(time: Nanos, received: Nanos) -> bool:
    """Whether a time without a zone is off by what a time zone is off, and so shows a local clock.

    Within a minute; what came late by less than an hour, as out of a relay's queue, is never taken for it.
    """
    apart, zones = (time - received, _EAST) if time > received else (received - time, _WEST)
    near = apart // _MINUTE
    return near in zones or near + 1 in zones
