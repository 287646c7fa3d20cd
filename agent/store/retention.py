"""What may go, and the counts that `/metrics` shows.

Telemetry lies in stream time, so its age is told by the stream's clock: a replay of last year's
recording is not old. Deliveries happened at wall time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, case, delete, func, select

from agent.analysis import IncidentState
from agent.store.port import DeliveryState
from agent.store.schema import anomalies, incidents, investigations, outbox, telemetry
from agent.store.telemetry import MINUTE
from ingest.record import Nanos

HOUR: Nanos = 60 * MINUTE
DAY: Nanos = 24 * HOUR
KEEP: Nanos = 48 * HOUR
KEEP_REFERRED: Nanos = 30 * DAY
BASELINE: Nanos = HOUR
"""An investigation compares with the hour before onset, so an incident refers to that too."""
AFTERMATH: Nanos = 5 * MINUTE
"""How long an incident stays open after its last anomaly."""


def prune(connection: Connection, now: Nanos) -> int:
    """Delete telemetry and loose anomalies that are too old at stream time `now`; return rows deleted."""
    until = case(
        (incidents.c.state == IncidentState.OPEN.value, now),
        (incidents.c.resolved_at.is_not(None), incidents.c.resolved_at),
        else_=incidents.c.last_anomaly_at + AFTERMATH,
    )
    referred = (
        select(incidents.c.id)
        .where(
            incidents.c.environment == telemetry.c.environment,
            incidents.c.onset - BASELINE < telemetry.c.minute + MINUTE,
            until >= telemetry.c.minute,
        )
        .exists()
    )
    minute = telemetry.c.minute
    gone = _delete(connection, telemetry, minute < now - KEEP_REFERRED)
    gone += _delete(connection, telemetry, minute < now - KEEP, ~referred)
    loose = anomalies.c.incident_id == ""
    return gone + _delete(connection, anomalies, anomalies.c.starts_at < now - KEEP_REFERRED, loose)


def prune_deliveries(connection: Connection, now: Nanos) -> int:
    """Delete deliveries that were sent, or given up, 30 days before wall time `now`."""
    settled = outbox.c.state != DeliveryState.WAITING.value
    when = func.coalesce(outbox.c.sent_at, outbox.c.claimed_until, outbox.c.created_at)
    return _delete(connection, outbox, settled, when < now - KEEP_REFERRED)


def stats(connection: Connection) -> Mapping[str, int]:
    """Return the counts that `/metrics` shows."""
    due = investigations.c.revision > investigations.c.finished_revision
    return {
        "incidents_open": _count(connection, incidents, incidents.c.state == IncidentState.OPEN.value),
        "investigations_due": _count(connection, investigations, due),
        "outbox_waiting": _count(connection, outbox, outbox.c.state == DeliveryState.WAITING.value),
        "outbox_dead": _count(connection, outbox, outbox.c.state == DeliveryState.DEAD.value),
    }


def _delete(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return max(connection.execute(delete(table).where(*conditions)).rowcount, 0)


def _count(connection: Connection, table: Table, condition: ColumnElement[Any]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
