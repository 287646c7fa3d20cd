"""The routes of the pages. Errors that people can meet are pages too; the rest are problems."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from agent.analysis import IncidentState, Severity
from agent.serve.deps import Deps
from agent.serve.incidents import IncidentId
from agent.serve.pages import Pages, pages
from agent.store.port import CursorError, IncidentQuery

_FRAMES = "; frame-ancestors 'none'"
_FILTERS = ("environment", "state", "severity", "service")


def router(deps: Deps) -> APIRouter:
    """Return `/`, `/incidents` and `/incidents/{id}`."""
    routes = APIRouter(include_in_schema=False)
    rendered = pages()

    @routes.get("/")
    async def root() -> Response:
        return RedirectResponse("/incidents")

    @routes.get("/incidents")
    def list_page(
        environment: Annotated[str, Query(max_length=300)] = "",
        state: IncidentState | Literal[""] = "",
        severity: Severity | Literal[""] = "",
        service: Annotated[str, Query(max_length=300)] = "",
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> Response:
        query = IncidentQuery(
            environment=environment or None,
            state=IncidentState(state) if state else None,
            severity=Severity(severity) if severity else None,
            service=service or None,
            cursor=cursor,
        )
        given = zip(_FILTERS, (environment, state, severity, service), strict=True)
        filters = {name: str(value) for name, value in given if value}
        try:
            found = deps.store.incidents(query)
        except CursorError:
            return _message(rendered, "This page is gone", "Begin again at the first page of the list.", 400)
        now = deps.now()
        kept = () if deps.mutes is None else deps.mutes.mutes(now)
        active = [one for one in (*deps.configured, *kept) if one.active(now)]
        return _html(rendered, rendered.incidents(found, filters, now, active))

    @routes.get("/incidents/{incident_id}")
    def incident_page(request: Request, incident_id: IncidentId) -> Response:
        del request
        page = rendered.incident(deps.store, incident_id, deps.now())
        if page is None:
            return _message(rendered, "No such incident", "The list shows those there are.", 404)
        return _html(rendered, page)

    return routes


def _message(rendered: Pages, title: str, detail: str, status: int) -> Response:
    return _html(rendered, rendered.message(title, detail), status)


def _html(rendered: Pages, page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, {"Content-Security-Policy": rendered.policy + _FRAMES})
