"""Used by recordings: `Nanos` as RFC 3339 text. Pure; `ingest.decoders.times` reads it back exactly."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.record import SECOND, Nanos


def format_time(time: Nanos) -> str:
    """Return `time` as RFC 3339 in UTC with nine decimals."""
    seconds, nanos = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
