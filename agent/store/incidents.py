"""Incidents, their anomalies and analyses: written by checkpoints and workers, read by pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, update

from agent.analysis import Analysis, Incident, IncidentState, Stage
from agent.store.codec import from_json, to_json
from agent.store.database import upsert
from agent.store.port import CursorError, IncidentPage, IncidentQuery
from agent.store.schema import analyses, anomalies, incident_services, incidents
from detectors.anomaly import Anomaly
from ingest.record import Nanos

_STAGE_ORDER = {Stage.STATISTICS: 0, Stage.EXPLAINED: 1}
_IDS_PER_QUERY = 500
MAX_PAGE = 500


def save_incidents(connection: Connection, changed: Sequence[Incident]) -> None:
    """Write incidents; an older revision never replaces a newer one."""
    newest: dict[str, Incident] = {}
    for incident in changed:
        known = newest.get(incident.id)
        if known is None or incident.revision >= known.revision:
            newest[incident.id] = incident
    rows = [_incident_row(incident) for incident in newest.values()]
    columns = [column.name for column in incidents.c if column.name != "id"]
    upsert(connection, incidents, rows, keys=["id"], update=columns, newer=incidents.c.revision)
    services = [
        {"incident_id": incident.id, "service": service}
        for incident in newest.values()
        for service in dict.fromkeys(incident.services)
    ]
    upsert(connection, incident_services, services, keys=["incident_id", "service"])
    for incident in newest.values():
        if incident.merged_into is not None:
            moved = update(anomalies).where(anomalies.c.incident_id == incident.id)
            connection.execute(moved.values(incident_id=incident.merged_into))


def save_anomalies(connection: Connection, found: Sequence[tuple[str, Anomaly]]) -> None:
    """Write anomalies; one that belongs to an incident never falls back to none."""
    loose = {anomaly.id: _anomaly_row("", anomaly) for owner, anomaly in found if not owner}
    owned = {anomaly.id: _anomaly_row(owner, anomaly) for owner, anomaly in found if owner}
    upsert(connection, anomalies, loose.values(), keys=["id"])
    upsert(connection, anomalies, owned.values(), keys=["id"], update=["incident_id", "body"])


def page(connection: Connection, query: IncidentQuery) -> IncidentPage:
    """Return one page, newest onset first. Raises `CursorError` on a cursor that no page gave."""
    limit = max(1, min(query.limit, MAX_PAGE))
    statement = _filtered(select(incidents.c.id, incidents.c.onset, incidents.c.body), query)
    statement = statement.order_by(incidents.c.onset.desc(), incidents.c.id.desc()).limit(limit + 1)
    rows = connection.execute(statement).all()
    shown = rows[:limit]
    following = _cursor(shown[-1]) if len(rows) > limit else None
    return IncidentPage(
        incidents=tuple(from_json(row.body, Incident) for row in shown), next_cursor=following
    )


def incident(connection: Connection, incident_id: str) -> Incident | None:
    """Return the incident, None when there is none of that id."""
    body = connection.execute(
        select(incidents.c.body).where(incidents.c.id == incident_id)
    ).scalar_one_or_none()
    return None if body is None else from_json(body, Incident)


def anomalies_of(connection: Connection, incident_id: str) -> tuple[Anomaly, ...]:
    """Return an incident's anomalies by (start, id); a merged one still shows those it brought along."""
    rows = select(anomalies.c.starts_at, anomalies.c.id, anomalies.c.body)
    found = list(connection.execute(rows.where(anomalies.c.incident_id == incident_id)))
    known = incident(connection, incident_id)
    if known is not None and known.state is IncidentState.MERGED:
        ids = known.anomaly_ids
        for first in range(0, len(ids), _IDS_PER_QUERY):
            found += connection.execute(
                rows.where(anomalies.c.id.in_(ids[first : first + _IDS_PER_QUERY]))
            ).all()
    bodies = {(row.starts_at, row.id): row.body for row in found}
    return tuple(from_json(bodies[key], Anomaly) for key in sorted(bodies))


def save_analysis(connection: Connection, analysis: Analysis, now: Nanos) -> bool:
    """Write an analysis; False when that incident, revision and stage has one already."""
    row = {
        "incident_id": analysis.incident_id,
        "revision": analysis.revision,
        "stage": analysis.stage.value,
        "stage_order": _STAGE_ORDER[analysis.stage],
        "saved_at": now,
        "body": to_json(analysis),
    }
    return upsert(connection, analyses, [row], keys=["incident_id", "revision", "stage"]) == 1


def analyses_of(connection: Connection, incident_id: str) -> tuple[Analysis, ...]:
    """Return analyses, oldest first, statistics before explained."""
    bodies = connection.execute(
        select(analyses.c.body)
        .where(analyses.c.incident_id == incident_id)
        .order_by(analyses.c.revision, analyses.c.stage_order)
    ).scalars()
    return tuple(from_json(body, Analysis) for body in bodies)


def _incident_row(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "environment": incident.environment,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "onset": incident.onset,
        "last_anomaly_at": incident.last_anomaly_at,
        "resolved_at": incident.resolved_at,
        "merged_into": incident.merged_into,
        "revision": incident.revision,
        "body": to_json(incident),
    }


def _anomaly_row(incident_id: str, anomaly: Anomaly) -> dict[str, Any]:
    return {
        "id": anomaly.id,
        "incident_id": incident_id,
        "environment": anomaly.environment,
        "service": anomaly.service,
        "starts_at": anomaly.start,
        "body": to_json(anomaly),
    }


def _filtered(statement: Select[Any], query: IncidentQuery) -> Select[Any]:
    if query.environment is not None:
        statement = statement.where(incidents.c.environment == query.environment)
    if query.state is not None:
        statement = statement.where(incidents.c.state == query.state.value)
    if query.severity is not None:
        statement = statement.where(incidents.c.severity == query.severity.value)
    if query.service is not None:
        hit = incident_services.alias("hit")
        statement = statement.where(
            select(hit.c.incident_id)
            .where(hit.c.incident_id == incidents.c.id, hit.c.service == query.service)
            .exists()
        )
    if query.cursor is not None:
        onset, incident_id = _position(query.cursor)
        older = incidents.c.onset < onset
        tied = and_(incidents.c.onset == onset, incidents.c.id < incident_id)
        statement = statement.where(or_(older, tied))
    return statement


def _cursor(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.onset, row.id]).encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[Nanos, str]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        onset, incident_id = json.loads(raw)
    except (ValueError, TypeError, binascii.Error) as error:
        raise CursorError("the cursor is not one that this list gave: start without one") from error
    if type(onset) is not int or not isinstance(incident_id, str) or not 0 <= onset < 2**63:
        raise CursorError("the cursor is not one that this list gave: start without one")
    return onset, incident_id
