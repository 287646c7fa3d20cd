"""The read side of the API: incidents and all that is known of them, as `agent.deliver.view` writes it.

Routes are plain functions: FastAPI runs them on worker threads, so that a slow database blocks nobody else.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response

from agent.analysis import Incident, IncidentState, Severity
from agent.deliver.view import analysis_view, anomaly_view, incident_summary, incident_view
from agent.serve.deps import Deps
from agent.serve.openapi import told
from agent.serve.problems import ProblemError
from agent.store.port import IncidentQuery

IncidentId = Annotated[str, Path(max_length=200, description="The incident's id, `inc_…`.")]
Filter = Annotated[str | None, Query(max_length=300)]


def router(deps: Deps) -> APIRouter:
    """Return the routes under /api/v1/incidents."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
    _add_list(routes, deps)
    _add_detail(routes, deps)
    _add_parts(routes, deps)
    return routes


def _add_list(routes: APIRouter, deps: Deps) -> None:
    @routes.get("", responses=told("IncidentListView", 400, 422), operation_id="listIncidents")
    def list_incidents(
        environment: Filter = None,
        state: IncidentState | None = None,
        severity: Severity | None = None,
        service: Filter = None,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        """List incidents, newest onset first; follow `next_cursor` for the next page."""
        query = IncidentQuery(
            environment=environment,
            state=state,
            severity=severity,
            service=service,
            cursor=cursor,
            limit=limit,
        )
        page = deps.store.incidents(query)
        return json_response(
            {
                "incidents": [incident_summary(incident) for incident in page.incidents],
                "next_cursor": page.next_cursor,
            }
        )


def _add_detail(routes: APIRouter, deps: Deps) -> None:
    @routes.get("/{incident_id}", responses=told("IncidentDetailView", 404, 422), operation_id="readIncident")
    def read_incident(incident_id: IncidentId) -> Response:
        """Return an incident with its analyses and anomalies."""
        incident = known(deps, incident_id)
        store = deps.store
        return json_response(
            incident_view(incident, store.analyses(incident_id), store.anomalies(incident_id))
        )

    @routes.get(
        "/{incident_id}/analysis", responses=told("AnalysisView", 404, 422), operation_id="readAnalysis"
    )
    def read_analysis(incident_id: IncidentId) -> Response:
        """Return the newest analysis."""
        known(deps, incident_id)
        analyses = deps.store.analyses(incident_id)
        if not analyses:
            raise ProblemError(
                404,
                "The incident is there, its analysis not yet; ask again in a few seconds.",
                {"Retry-After": "5"},
            )
        return json_response(analysis_view(analyses[-1]))


def _add_parts(routes: APIRouter, deps: Deps) -> None:
    @routes.get(
        "/{incident_id}/anomalies", responses=told("AnomalyListView", 404, 422), operation_id="listAnomalies"
    )
    def list_anomalies(incident_id: IncidentId) -> Response:
        """List an incident's anomalies with their evidence."""
        known(deps, incident_id)
        return json_response({"anomalies": [anomaly_view(a) for a in deps.store.anomalies(incident_id)]})

    @routes.get(
        "/{incident_id}/evidence", responses=told("EvidenceListView", 404, 422), operation_id="listEvidence"
    )
    def list_evidence(incident_id: IncidentId) -> Response:
        """List all evidence of anomalies and of the newest analysis, each piece once."""
        known(deps, incident_id)
        holders = [anomaly_view(anomaly) for anomaly in deps.store.anomalies(incident_id)]
        # The newest analysis last: where it speaks of the same evidence, its words count.
        holders += [analysis_view(analysis) for analysis in deps.store.analyses(incident_id)[-1:]]
        found = {item["id"]: item for holder in holders for item in holder["evidence"]}
        ordered = sorted(found.values(), key=lambda item: (item["start"], item["id"]))
        return json_response({"evidence": ordered})

    @routes.get(
        "/{incident_id}/analyses", responses=told("AnalysisListView", 404, 422), operation_id="listAnalyses"
    )
    def list_analyses(incident_id: IncidentId) -> Response:
        """List an incident's analyses, oldest first."""
        known(deps, incident_id)
        return json_response({"analyses": [analysis_view(a) for a in deps.store.analyses(incident_id)]})

    @routes.get(
        "/{incident_id}/deliveries",
        responses=told("DeliveryListView", 404, 422),
        operation_id="listDeliveries",
    )
    def list_deliveries(incident_id: IncidentId) -> Response:
        """List what was or will be sent about an incident, and how far it got."""
        known(deps, incident_id)
        names = ("delivery_id", "channel", "state", "attempts", "error")
        states = deps.store.delivery_states(incident_id)
        return json_response({"deliveries": [dict(zip(names, state, strict=True)) for state in states]})


def known(deps: Deps, incident_id: str) -> Incident:
    """Return the incident; a 404 problem when there is none of that id."""
    incident = deps.store.incident(incident_id)
    if incident is None:
        raise ProblemError(404, "There is no incident of this id; /api/v1/incidents lists those there are.")
    return incident


def json_response(body: Any, status: int = 200) -> Response:
    """Return `body` as JSON."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")
