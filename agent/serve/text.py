"""How times, numbers and names look on the page. Pure; escaping is the template engine's business."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.record import SECOND, Nanos


def clock(time: Nanos) -> str:
    """Return the time of day, UTC."""
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%H:%M:%S}"


def stamp(time: Nanos) -> str:
    """Return date and time, UTC."""
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%d %b %Y %H:%M:%S}"


def length(span: Nanos) -> str:
    """Return a length of time in its two largest units."""
    seconds = max(span, 0) // SECOND
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds} s"
    if minutes < 10:
        return f"{minutes} min {seconds % 60} s"
    if minutes < 120:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def offset(span: Nanos) -> str:
    """Return a signed length of time for a timeline, `+1:05`."""
    seconds = abs(span) // SECOND
    sign = "−" if span < 0 else "+"
    hours, minutes = seconds // 3600, seconds // 60 % 60
    tail = f"{minutes}:{seconds % 60:02d}"
    return f"{sign}{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{sign}{tail}"


def percent(share: float) -> str:
    """Return a share of 0..1 in whole percent."""
    return f"{round(min(max(share, 0.0), 1.0) * 100)} %"


def words(name: str) -> str:
    """Return an identifier as words."""
    return name.replace("_", " ").replace("-", "‑")
