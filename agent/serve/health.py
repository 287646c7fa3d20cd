"""What machines ask: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder

from agent.serve.boundary import RequestCounts
from agent.serve.deps import Deps
from agent.serve.incidents import json_response
from agent.serve.metrics import families, registry
from agent.serve.openapi import told
from agent.serve.problems import RETRY_AFTER, problem
from agent.serve.shapes import CheckView


def router(deps: Deps, counts: RequestCounts) -> APIRouter:
    """Return /healthz, /readyz and /metrics."""
    routes = APIRouter(tags=["health"])

    def collect() -> Iterator[Metric]:
        yield from deps.metrics()
        yield from families(counts.readings())

    collectors = registry(collect)

    @routes.get("/healthz", responses=told("HealthView"), operation_id="alive")
    async def alive() -> Response:
        """Say that the process serves requests; needs no key."""
        return json_response({"status": "alive", "checks": []})

    @routes.get("/readyz", responses=told("HealthView", 503), operation_id="ready")
    def ready(request: Request) -> Response:
        """Say whether all parts work; 503 names those that do not."""
        checks = [CheckView(name=name, problem=wrong) for name, wrong in deps.ready().items()]
        wrong = [check for check in checks if check.problem is not None]
        if wrong:
            detail = "; ".join(f"{check.name}: {check.problem}" for check in wrong)
            return problem(503, detail, request.url.path, headers=RETRY_AFTER, checks=checks)
        return json_response({"status": "ready", "checks": checks})

    @routes.get(
        "/metrics",
        responses={
            200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}
        },
        operation_id="metrics",
    )
    def metrics(request: Request) -> Response:
        """Return counters and gauges in the text format that the Accept header asks for."""
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(collectors), media_type=kind)

    return routes
