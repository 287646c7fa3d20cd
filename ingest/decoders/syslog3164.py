"""Used by the syslog decoder: RFC 3164 as senders really write it, with or without `<PRI>`. Pure, linear.

`Mmm dd hh:mm:ss host tag[pid]: text`, rsyslog's file and forward templates with an RFC 3339 time in its
place, local messages without a host, and Cisco's `seq: *Mmm dd hh:mm:ss.mmm: %FAC-SEV-NAME: text`.
A time without a year is the last such moment before the broker got the record, or up to a day after.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from ingest.decoders import severity
from ingest.decoders.syslog_message import MAX_PRIORITY, Message
from ingest.decoders.times import leading_time
from ingest.record import SECOND, Nanos

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PRIORITY = re.compile(r"<([0-9]{1,3})>")
_STAMP = re.compile(
    r"(?:[0-9]{1,10}: )?[*.]?"
    r"(" + "|".join(_MONTHS) + r") {1,2}([0-9]{1,2}) (?:([0-9]{4}) )?([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:[.,]([0-9]{1,9}))?(?: [A-Z]{1,5}(?=: ))?:?(?: |\Z)"
)
_LEAP = 8
"""Years from one 29 February to the next, at most."""
_AHEAD: Nanos = 86_400 * SECOND
"""How far a sender's clock, or its zone, may be ahead of the broker's."""
_TAG = r"([^\s:\[\]]{1,128})(?:\[([^\]\s]{1,128})\]:?|:)"
_HOST_AND_TAG = re.compile(r"([^\s\[]{0,254}[^\s\[:]) {1,4}" + _TAG)
_ONLY_TAG = re.compile(_TAG)
_HOST = re.compile(r"([^\s\[]{0,254}[^\s\[:])(?: |\Z)")


def parse(text: str, reference: Nanos, zone: tzinfo | None) -> tuple[Message, bool] | None:
    """Return (message, whether its time is certain), None where neither priority nor time begins the text.

    `zone` is where clocks without one stand, UTC when None. A time is certain when it or `zone` says where.
    """
    start = _PRIORITY.match(text)
    priority = None if start is None else int(start[1])
    if priority is not None and priority > MAX_PRIORITY:
        return None
    at = 0 if start is None else start.end()
    at += text[at : at + 1] == " "
    stamp = _stamp(text, at, reference, zone)
    if stamp is None:
        return None if priority is None else (Message(priority=priority, text=text[at:]), True)
    time, at, zoned = stamp
    host, app, process, end = _origin(text, at)
    message = Message(
        priority=priority,
        time=time,
        host=host,
        app=app,
        process=process,
        text=text[end:].removeprefix(" "),
    )
    return message, zoned or zone is not None


def is_plausible(message: Message) -> bool:
    """Tell whether a line without priority is surely syslog's, and not an application's with a level."""
    if message.app is None or severity.from_name(message.app):
        return False
    return message.host is None or not severity.from_name(message.host)


def _stamp(text: str, at: int, reference: Nanos, zone: tzinfo | None) -> tuple[Nanos, int, bool] | None:
    stamp = _STAMP.match(text, at)
    if stamp is not None:
        time = _in_some_year(stamp, reference, zone or UTC)
        return None if time is None else (time, stamp.end(), False)
    leading = leading_time(text[at : at + 64])
    if leading is None:
        return None
    time, end, zoned = leading
    if text[at + 10 : at + 11] != "T" or not zoned or text[at + end : at + end + 1] not in {"", " "}:
        return None
    return time, at + end + 1, True


def _in_some_year(stamp: re.Match[str], reference: Nanos, zone: tzinfo) -> Nanos | None:
    """Return the stamp's time in its own year, else in the latest year that is not after `reference`."""
    month, day, year, hour, minute, second, fraction = stamp.groups()
    around = datetime.fromtimestamp(reference // SECOND, UTC).year
    years = (int(year),) if year else range(around + 1, around - _LEAP - 1, -1)
    leap = second == "60"
    clock = (int(hour), int(minute), 59 if leap else int(second))
    for candidate in years:
        try:
            moment = datetime(candidate, _MONTHS.index(month) + 1, int(day), *clock, tzinfo=zone)
            time = (int(moment.timestamp()) + leap) * SECOND
        except (ValueError, OverflowError):
            continue
        if year or time <= reference + _AHEAD:
            return time + (int(fraction.ljust(9, "0")) if fraction else 0)
    return None


def _origin(text: str, at: int) -> tuple[str | None, str | None, str | None, int]:
    """Return (host, tag, process, where the text begins) of what follows the time."""
    both = _HOST_AND_TAG.match(text, at)
    if both is not None:
        return both[1], both[2], both[3], both.end()
    tag = _ONLY_TAG.match(text, at)
    if tag is not None:
        return None, tag[1], tag[2], tag.end()
    host = _HOST.match(text, at)
    return (host[1], None, None, host.end()) if host is not None else (None, None, None, at)
