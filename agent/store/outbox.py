"""The outbox: everything that goes out waits here first, in the transaction of what it tells about.

Per (channel, incident) entries leave in the order in which they were written: the next one is not due
until the one before was sent or given up. At least once: a claim that is not answered runs out.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, select, true, update

from agent.store.database import upsert
from agent.store.port import Delivery, DeliveryState, OutboxEntry
from agent.store.schema import outbox
from ingest.record import Nanos

_TABLE = outbox.c
_ENTRY = (_TABLE.delivery_id, _TABLE.channel, _TABLE.kind, _TABLE.incident_id, _TABLE.payload)


def put(connection: Connection, entries: Sequence[OutboxEntry]) -> None:
    """Write entries, in their order; one whose delivery id is known changes nothing."""
    for entry in entries:
        row = {
            "delivery_id": entry.delivery_id,
            "channel": entry.channel,
            "kind": entry.kind,
            "incident_id": entry.incident_id,
            "payload": entry.payload,
            "created_at": entry.created_at,
            "state": DeliveryState.WAITING.value,
            "attempts": 0,
            "next_at": 0,
            "claimed_until": 0,
        }
        upsert(connection, outbox, [row], keys=["delivery_id"])


def claim(
    connection: Connection, now: Nanos, limit: int, ttl: Nanos, channel: str | None
) -> tuple[Delivery, ...]:
    """Claim what is due at `now` until `now + ttl`, oldest first, one per (channel, incident)."""
    before = outbox.alias("before")
    earlier = (
        select(before.c.seq)
        .where(
            before.c.incident_id == _TABLE.incident_id,
            before.c.channel == _TABLE.channel,
            before.c.state == DeliveryState.WAITING.value,
            before.c.seq < _TABLE.seq,
        )
        .exists()
    )
    rows = connection.execute(
        select(_TABLE.seq, _TABLE.attempts, _TABLE.created_at, *_ENTRY)
        .where(
            _TABLE.state == DeliveryState.WAITING.value,
            _TABLE.next_at <= now,
            _TABLE.claimed_until <= now,
            ~earlier,
            true() if channel is None else _TABLE.channel == channel,
        )
        .order_by(_TABLE.seq)
        .limit(limit)
        .with_for_update(skip_locked=True, of=outbox)
    ).all()
    if rows:
        connection.execute(
            update(outbox)
            .where(_TABLE.seq.in_([row.seq for row in rows]))
            .values(claimed_until=now + ttl, attempts=_TABLE.attempts + 1)
        )
    return tuple(Delivery(entry=_entry(row), attempt=row.attempts + 1) for row in rows)


def sent(connection: Connection, delivery_id: str, now: Nanos, receipt: str | None) -> None:
    """Note that a channel took the entry."""
    connection.execute(
        update(outbox)
        .where(_TABLE.delivery_id == delivery_id)
        .values(state=DeliveryState.SENT.value, sent_at=now, receipt=receipt, error=None)
    )


def failed(connection: Connection, delivery_id: str, error: str, retry_at: Nanos | None) -> None:
    """Put an entry back for `retry_at`, or to the dead ones when None; one that was sent stays sent."""
    state = DeliveryState.DEAD if retry_at is None else DeliveryState.WAITING
    connection.execute(
        update(outbox)
        .where(_TABLE.delivery_id == delivery_id, _TABLE.state == DeliveryState.WAITING.value)
        .values(state=state.value, error=error, next_at=retry_at or 0, claimed_until=0)
    )


def states(
    connection: Connection, incident_id: str
) -> tuple[tuple[str, str, DeliveryState, int, str | None], ...]:
    """Return (delivery id, channel, state, attempts, last error) of an incident, in order of writing."""
    rows = connection.execute(
        select(_TABLE.delivery_id, _TABLE.channel, _TABLE.state, _TABLE.attempts, _TABLE.error)
        .where(_TABLE.incident_id == incident_id)
        .order_by(_TABLE.seq)
    )
    return tuple((row[0], row[1], DeliveryState(row[2]), row[3], row[4]) for row in rows)


def queued(connection: Connection, incident_id: str, channel: str) -> tuple[OutboxEntry, ...]:
    """Return all entries of an incident for a channel, in order of writing."""
    rows = connection.execute(
        select(_TABLE.created_at, *_ENTRY)
        .where(_TABLE.incident_id == incident_id, _TABLE.channel == channel)
        .order_by(_TABLE.seq)
    )
    return tuple(_entry(row) for row in rows)


def _entry(row: Row[*tuple[object, ...]]) -> OutboxEntry:
    return OutboxEntry(
        delivery_id=row.delivery_id,
        channel=row.channel,
        kind=row.kind,
        incident_id=row.incident_id,
        payload=row.payload,
        created_at=row.created_at,
    )
