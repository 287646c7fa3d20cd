"""Short ways for decoder tests to decode one record."""

from __future__ import annotations

from typing import Any

import orjson

from ingest.decode import Decode
from ingest.events import ChangeEvent, Decoded, LogEvent, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
"""2026-09-21T14:13:20Z, when every record of these tests was received."""
Headers = tuple[tuple[str, bytes], ...]


def decode(value: object, headers: Headers = (), **settings: Any) -> Decoded:
    """Decode one record of a topic with these settings; what is neither bytes nor text is written as JSON."""
    raw = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else None
    record = Record(
        origin=Origin(topic="t", partition=0, offset=0),
        value=orjson.dumps(value) if raw is None else raw,
        headers=headers,
        received=NOW,
    )
    return Decode({"t": TopicDefaults(**settings)}).decode(record, NOW)


def only_log(value: object, **settings: Any) -> LogEvent:
    """Return the single log event of a record."""
    (event,) = decode(value, **settings).events
    assert isinstance(event, LogEvent)
    return event


def only_change(value: object, headers: Headers = (), **settings: Any) -> ChangeEvent:
    """Return the single change event of a record."""
    (event,) = decode(value, headers, **settings).events
    assert isinstance(event, ChangeEvent)
    return event
