"""Used by the JSON and text decoders: the ways people write a time, as `Nanos`. Pure.

A text without a zone is read in the topic's `time_zone`, UTC where none is set. Nothing is rounded that fits
in nanoseconds.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from ingest.record import SECOND, Nanos

_ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[Tt _](\d\d):(\d\d):(\d\d)"
    r"(?:[.,](\d{1,18}))?\s?(Z|z|UTC|[+-]\d\d:?(?:\d\d)?)?"
)
_PLAIN = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})")
_CLF = re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}")
_OFFSET = re.compile(r"([+-])([01][0-9]):([0-5][0-9])")
_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d{1,18}))?")
_UNITS = ((10**11, SECOND), (10**14, 1_000_000), (10**17, 1_000))
"""Epoch numbers below the first are seconds, below the second milliseconds, then microseconds."""


def zone_named(name: str) -> tzinfo:
    """Return the zone of an IANA name (`Europe/Berlin`) or offset (`+01:00`); ValueError when it is none."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        return timezone(timedelta(minutes=int(offset[1] + "1") * (int(offset[2]) * 60 + int(offset[3]))))
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(f"no time zone {name!r}: write a name such as Europe/Berlin, or +01:00") from error


def parse_time(value: object, zone: str | None = None) -> Nanos | None:
    """Return a time given as RFC 3339 or a near relative, or as an epoch number; None when it is neither."""
    if isinstance(value, str):
        return parse_text(value, zone)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value * _unit(value)
    if isinstance(value, float) and math.isfinite(value) and abs(value) < 1e19:
        unit = _unit(value)
        # A double carries about microseconds at today's epoch; more digits would be invented.
        return round(value * 1e6) * 1000 if unit == SECOND else int(value * unit)
    return None


def parse_text(text: str, zone: str | None = None) -> Nanos | None:
    """Return the time that all of `text` spells, None when it spells none."""
    if text[-1:] == "Z" and len(text) > 19:
        # What most loggers write; many lines share a second.
        seconds = _utc_seconds(text[:19])
        if seconds is not None:
            digits = text[20:-1]
            if len(text) == 20:
                return seconds * SECOND
            if text[19] == "." and len(digits) <= 18 and digits.isdecimal():
                return seconds * SECOND + int(digits[:9].ljust(9, "0"))
    text = text.strip()
    match = _ISO.fullmatch(text)
    if match is not None:
        return _from_iso(match, zone)
    number = _NUMBER.fullmatch(text)
    if number is not None:
        whole = int(number[1])
        unit = _unit(whole)
        fraction = int((number[2] or "0").ljust(18, "0")[:18])
        return whole * unit + fraction * unit // 10**18
    return _from_words(text)


def leading_time(text: str, zone: str | None = None) -> tuple[Nanos, int, bool] | None:
    """Return (time, end of its text, whether a zone was given) of an ISO time at the start of `text`."""
    match = _ISO.match(text)
    if match is None:
        return None
    time = _from_iso(match, zone)
    return None if time is None else (time, match.end(), match[8] is not None)


def _unit(value: float) -> int:
    size = abs(value)
    return next((unit for below, unit in _UNITS if size < below), 1)


@lru_cache(maxsize=4096)
def _utc_seconds(text: str) -> int | None:
    """Return the seconds since the epoch of `YYYY-MM-DDThh:mm:ss`, None where it is anything else."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    try:
        return int(datetime(*map(int, match.groups()), tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def _from_iso(match: re.Match[str], local: str | None) -> Nanos | None:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    leap = second == "60"
    at = UTC if zone is not None or local is None else zone_named(local)
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second), tzinfo=at
        )
        seconds = int(moment.timestamp()) + leap
    except (ValueError, OverflowError):  # year 1 may lie before what a zone can count
        return None
    if zone is not None and zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        seconds += -offset if zone[0] == "+" else offset
    return seconds * SECOND + (int(fraction.ljust(9, "0")[:9]) if fraction else 0)


def _from_words(text: str) -> Nanos | None:
    if _CLF.fullmatch(text):
        return int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()) * SECOND
    if len(text) > 40 or "," not in text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * SECOND
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
