"""Telemetry memory: what an investigation can still see, one compressed row per service and minute."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from agent.store.codec import pack_windows, unpack_windows
from agent.store.database import upsert
from agent.store.port import TelemetryRow
from agent.store.schema import storable, telemetry
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

MINUTE: Nanos = 60 * SECOND
_KEYS = ("environment", "service", "minute")


def save(connection: Connection, rows: Sequence[TelemetryRow]) -> None:
    """Write rows whole: a minute that grew replaces what was known of it."""
    packed = [
        {
            "environment": row.environment,
            "service": row.service,
            "minute": row.minute,
            "windows": pack_windows(row.windows),
        }
        for row in rows
    ]
    upsert(connection, telemetry, packed, keys=_KEYS, update=["windows"])


def load(
    connection: Connection, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None
) -> tuple[WindowSummary, ...]:
    """Return the windows that start in [start, end), in the order (start, service)."""
    statement = select(telemetry.c.windows).where(
        telemetry.c.environment == environment,
        telemetry.c.minute > start - MINUTE,
        telemetry.c.minute < end,
    )
    if services is not None:
        names = [storable(service) for service in services]
        statement = statement.where(telemetry.c.service.in_(bindparam("services", names, expanding=True)))
    found = [
        window
        for raw in connection.execute(statement).scalars()
        for window in unpack_windows(raw)
        if start <= window.start < end
    ]
    return tuple(sorted(found, key=lambda window: (window.start, window.service)))
