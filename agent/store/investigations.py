"""The lease table: which incidents need an analysis, and which worker is at it.

A row per incident. It is due while `revision > finished_revision`, so a newer revision that comes during
an investigation stays due after it, and a checkpoint that is saved again revives nothing. A lease is
told from every other by (incident, worker, leased revision, attempt).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select, update

from agent.analysis import InvestigationDue
from agent.store.database import upsert
from agent.store.port import Lease
from agent.store.schema import investigations
from ingest.record import Nanos

_TABLE = investigations.c
_DUE = _TABLE.revision > _TABLE.finished_revision


def save_due(connection: Connection, due: Sequence[InvestigationDue]) -> None:
    """Note what is due. The newest revision of an incident wins; its place in the queue is the oldest's."""
    newest: dict[str, InvestigationDue] = {}
    for item in due:
        if item.incident_id not in newest or item.revision > newest[item.incident_id].revision:
            newest[item.incident_id] = item
    rows = [_fresh_row(item) for item in newest.values()]
    upsert(connection, investigations, rows, keys=["incident_id"])
    for incident_id in sorted(newest):
        item = newest[incident_id]
        connection.execute(
            update(investigations)
            .where(_TABLE.incident_id == incident_id, _TABLE.revision < item.revision)
            .values(
                revision=item.revision,
                as_of=item.as_of,
                reason=item.reason,
                waiting_since=case((_DUE, _TABLE.waiting_since), else_=item.as_of),
            )
        )


def lease(connection: Connection, worker: str, now: Nanos, ttl: Nanos) -> Lease | None:
    """Take the due investigation that waits longest and that nobody else holds at `now`, else None.

    A worker asks only when it is at nothing, so a lease under its own name is one that a process which was
    killed has left behind: it is taken again at once instead of being waited for.
    """
    row = connection.execute(
        select(investigations)
        .where(
            _DUE,
            or_(_TABLE.worker.is_(None), _TABLE.worker == worker, _TABLE.expires_at <= now),
        )
        .order_by(_TABLE.waiting_since, _TABLE.incident_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    attempt = row.attempts + 1 if row.leased_revision == row.revision else 1
    connection.execute(
        update(investigations)
        .where(_TABLE.incident_id == row.incident_id)
        .values(worker=worker, leased_revision=row.revision, attempts=attempt, expires_at=now + ttl)
    )
    due = InvestigationDue(
        incident_id=row.incident_id, revision=row.revision, as_of=row.as_of, reason=row.reason
    )
    return Lease(due=due, worker=worker, attempt=attempt, expires_at=now + ttl)


def heartbeat(connection: Connection, lease: Lease, now: Nanos, ttl: Nanos) -> bool:
    """Extend the lease to `now + ttl`; False when another took it or it was finished."""
    extended = connection.execute(update(investigations).where(_held(lease)).values(expires_at=now + ttl))
    return extended.rowcount == 1


def finish(connection: Connection, lease: Lease) -> None:
    """End the investigation of the leased revision; a lease that was lost ends nothing."""
    connection.execute(
        update(investigations)
        .where(_held(lease))
        .values(
            worker=None,
            expires_at=0,
            finished_revision=lease.due.revision,
            # What came during the investigation has waited since then, not since the one just answered.
            waiting_since=_TABLE.as_of,
        )
    )


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        _TABLE.incident_id == lease.due.incident_id,
        _TABLE.worker == lease.worker,
        _TABLE.leased_revision == lease.due.revision,
        _TABLE.attempts == lease.attempt,
    )


def _fresh_row(item: InvestigationDue) -> dict[str, Any]:
    return {
        "incident_id": item.incident_id,
        "revision": item.revision,
        "finished_revision": -1,
        "as_of": item.as_of,
        "reason": item.reason,
        "waiting_since": item.as_of,
        "worker": None,
        "leased_revision": -1,
        "attempts": 0,
        "expires_at": 0,
    }
