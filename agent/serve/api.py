"""The HTTP application: routes of the API and of the pages, behind one boundary.

`create_app` is all that composition calls; it reads nothing but its `Deps`.
"""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from agent.serve import alerts, health, incidents, mutes, openapi, otlp, problems, routes
from agent.serve.access import Guard
from agent.serve.bodies import Budget
from agent.serve.boundary import Boundary, RequestCounts
from agent.serve.deps import Deps

_DESCRIPTION = "Incidents that Faultline found, with their anomalies, evidence and analyses."


def create_app(deps: Deps) -> FastAPI:
    """Return the application over `deps`."""
    # No interactive documentation: its pages load scripts from elsewhere.
    app = FastAPI(
        title="Faultline",
        version=version("faultline"),
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    counts = RequestCounts()
    # One for all that takes bodies in: together they hold no more memory than it says.
    budget = Budget()
    for router in (
        incidents.router(deps),
        mutes.router(deps, budget),
        alerts.router(deps, budget),
        otlp.router(deps, budget),
        health.router(deps, counts),
        routes.router(deps),
    ):
        app.include_router(router)
    problems.install(app)
    openapi.install(app)
    guard = Guard(api_key=deps.api_key or None, public_url=deps.public_url)
    app.add_middleware(Boundary, guard=guard, counts=counts)
    return app
