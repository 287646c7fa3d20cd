"""Turns what a line says into seconds, bytes or a number where it says one; part of `ingest.templates`. Pure.

Sizes count by 1,000 (`kB`, `MB`) or by 1,024 (`KiB`, `Mi`) as their unit says. A bare number takes the unit
that its key names, as in `took_ms=12`.
"""

from __future__ import annotations

import re
from enum import StrEnum


class ParameterKind(StrEnum):
    """What a value is."""

    TIME = "time"
    DURATION = "duration"
    """In seconds."""
    SIZE = "size"
    """In bytes."""
    NUMBER = "number"
    PERCENT = "percent"
    """0 to 100, as written."""
    BOOL = "bool"
    UUID = "uuid"
    HEX = "hex"
    ID = "id"
    IP = "ip"
    PATH = "path"
    URL = "url"
    EMAIL = "email"
    NAME = "name"
    """A dotted name: class, host, unit."""
    QUOTED = "quoted"
    REDACTED = "redacted"
    """What redaction left of one, or of personal data."""
    TEXT = "text"


NUMBERS = frozenset({ParameterKind.DURATION, ParameterKind.SIZE, ParameterKind.NUMBER, ParameterKind.PERCENT})
"""Kinds whose value is a float."""

_SECONDS = {
    "ns": 1e-9, "nanosecond": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "microsecond": 1e-6, "usec": 1e-6,
    "ms": 1e-3, "msec": 1e-3, "milli": 1e-3, "millisecond": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86_400.0, "day": 86_400.0,
}  # fmt: skip
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_NUMBER = re.compile(
    r"[-+]?(?:\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,30})?|\d{1,30}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,2})?)\Z"
)
_UNIT = re.compile(r"([-+]?[\d.,]{1,40}(?:[eE][-+]?\d{1,2})?)\s?([A-Za-zµμ]{1,12})\Z")
_COMPOSITE = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ns|us|µs|μs|ms|[smhd])){2,6}\Z")
_PART = re.compile(r"([\d.]+)(ns|us|µs|μs|ms|[smhd])")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_HEX = re.compile(r"(?:0[xX])?[0-9a-fA-F]{2,4000}\Z")
_IP = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\Z|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}\Z")
_TIME = re.compile(r"\d{4}[-/.]\d{2}[-/.]\d{2}[T ]\d{2}:\d{2}|\d{1,2}:\d{2}:\d{2}")
_URL = re.compile(r"[A-Za-z][\w+.-]{1,20}://")
_NAMED = re.compile(
    r"(?:\A|[_.-])(ns|us|ms|s|secs?|seconds?|millis|bytes|[kKmMgG]i?[bB])\Z"
    r"|(?<=[a-z])(Ns|Us|Ms|Secs?|Seconds?|Millis|Bytes|[KMG]i?[bB])\Z"
)
_STATED = {
    **{name: ParameterKind(name) for name in ("time", "bool", "ip", "path", "url", "email", "name")},
    "secret": ParameterKind.REDACTED,
    "pii": ParameterKind.REDACTED,
}


def kind_and_value(mask: str, text: str, name: str = "") -> tuple[ParameterKind, float | str]:
    """Return what `text` is and its value, given the mask that hid it and the key before it."""
    stated = _STATED.get(mask)
    if stated is not None:
        return stated, text
    measured = seconds(text) if mask != "size" else None
    if measured is not None:
        return ParameterKind.DURATION, measured
    measured = size(text)
    if measured is not None:
        return ParameterKind.SIZE, measured
    if mask != "id":
        plain = number(text.removesuffix("%"))
        if plain is not None:
            return (ParameterKind.PERCENT, plain) if text.endswith("%") else _with_unit(plain, name)
    return _by_form(mask, text), text


def number(text: str) -> float | None:
    """Return a number, with points or commas between thousands; None for what is not surely one."""
    return float(text.replace(",", "")) if _NUMBER.match(text) else None


def seconds(text: str) -> float | None:
    """Return a duration such as `12 ms`, `1.5s` or `2m3s` in seconds, None for anything else."""
    if _COMPOSITE.match(text):
        parts = [(number(value), unit) for value, unit in _PART.findall(text)]
        return sum((value or 0.0) * _SECONDS[unit] for value, unit in parts)
    found = _UNIT.match(text)
    if found is None:
        return None
    unit = found[2] if found[2] in _SECONDS else found[2].lower()
    factor = _SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s"))
    value = number(found[1])
    # A single letter is as often one of another kind: `5M` is no five minutes.
    return None if factor is None or value is None or found[2] in {"M", "S", "H", "D"} else value * factor


def size(text: str) -> float | None:
    """Return a size such as `10 KB`, `3Mi` or `7 bytes` in bytes, None for anything else."""
    found = _UNIT.match(text)
    value = None if found is None else number(found[1])
    if found is None or value is None:
        return None
    unit = found[2].lower()
    if unit in {"b", "byte", "bytes"}:
        return value
    power = _POWERS.get(unit[0])
    if power is None or unit[1:] not in {"b", "ib", "i", ""} or (len(unit) == 1 and unit == found[2] != "k"):
        return None
    return value * (1024.0 if "i" in unit else 1000.0) ** power


def _with_unit(value: float, name: str) -> tuple[ParameterKind, float]:
    unit = _NAMED.search(name)
    if unit is not None:
        stated = unit[1] or unit[2]
        measured = seconds(f"{value!r}{stated.lower()}")
        if measured is not None:
            return ParameterKind.DURATION, measured
        amount = size(f"{value!r}{stated}")
        if amount is not None:
            return ParameterKind.SIZE, amount
    return ParameterKind.NUMBER, value


def _by_form(mask: str, text: str) -> ParameterKind:
    if _UUID.match(text):
        return ParameterKind.UUID
    if mask == "id":
        return ParameterKind.HEX if _HEX.match(text) and not text.isdigit() else ParameterKind.ID
    if text.lower() in {"true", "false"}:
        return ParameterKind.BOOL
    for form, kind in ((_IP, ParameterKind.IP), (_TIME, ParameterKind.TIME), (_URL, ParameterKind.URL)):
        if form.match(text):
            return kind
    if text.startswith(("<secret:", "<pii:")):
        return ParameterKind.REDACTED
    if text.startswith("/") and text.count("/") > 1:
        return ParameterKind.PATH
    return ParameterKind.QUOTED if mask == "str" else ParameterKind.TEXT
