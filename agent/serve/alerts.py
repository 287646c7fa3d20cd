"""Alertmanager's webhook in: a notification becomes a record, and 202 means that it is stored.

Alertmanager sends again on anything that is not 2xx and not 4xx: so what can pass is 503 with Retry-After,
and what can never be taken is 4xx. The same body has the same origin, so that a repeat adds nothing.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from agent.serve.bodies import BodyError, Budget, read_body
from agent.serve.deps import Deps
from agent.serve.incidents import json_response
from agent.serve.intake import NotStoredError, origin_number, stored
from agent.serve.openapi import told
from agent.serve.problems import RETRY_AFTER, ProblemError
from ingest.decoders import alertmanager
from ingest.decoders.batch import MAX_RECORD, Batch
from ingest.events import DecodeError, TopicDefaults
from ingest.record import Nanos, Origin, Record

TOPIC = "http.alertmanager"
_BODY = {
    "requestBody": {
        "required": True,
        "description": "Alertmanager's webhook, version 4.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["version", "alerts"],
                    "properties": {
                        "version": {"const": "4"},
                        "alerts": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}


def router(deps: Deps, budget: Budget) -> APIRouter:
    """Return the routes under /api/v1/alerts; bodies under way count against `budget`."""
    routes = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])

    @routes.post(
        "/alertmanager",
        status_code=202,
        responses=told("AcceptedView", 400, 408, 413, 415, 501, 503, status=202),
        openapi_extra=_BODY,
        operation_id="takeAlerts",
    )
    async def take_alerts(request: Request) -> Response:
        """Take a notification; answers once it is stored, so that nothing is lost after a 202."""
        _expect_json(request)
        try:
            # Held until it is stored: what waits counts as much as what is still coming in.
            with budget.share() as share:
                record = alert_record(await read_body(request, share), deps.now())
                alerts, refused = _counted(record)
                await _stored(deps, record)
        except BodyError as error:
            # 429 is no 5xx: Alertmanager would drop the notification instead of sending it again.
            raise _problem(error) from None
        origin = record.origin
        return json_response(
            {
                "alerts": alerts,
                "refused": refused,
                "origin": {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
            },
            202,
        )

    return routes


def alert_record(raw: bytes, received: Nanos) -> Record:
    """Return the record of a webhook's body; equal bodies have equal origins."""
    origin = Origin(topic=TOPIC, partition=0, offset=origin_number(raw))
    return Record(origin=origin, value=raw, received=received)


def _expect_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A browser asks before it sends this type across origins: a page elsewhere cannot raise alerts.
    if kind != "application/json":
        raise ProblemError(415, "Send the webhook with `Content-Type: application/json`.")


def _problem(error: BodyError) -> ProblemError:
    if error.status in (408, 429):
        return ProblemError(503, error.detail, RETRY_AFTER)
    detail = error.detail
    if error.status == 413:
        detail = (
            f"A notification may have {MAX_RECORD // 1024 // 1024} MiB; lower `max_alerts` of the webhook."
        )
    return ProblemError(error.status, detail)


def _counted(record: Record) -> tuple[int, int]:
    """Return how many alerts can be read and how many cannot; a 400 problem when it is no webhook."""
    batch = Batch(record, record.received, TopicDefaults())
    try:
        alertmanager.decode(record.value, batch)
    except DecodeError as error:
        raise ProblemError(400, f"This is no Alertmanager webhook v4: {error.reject.detail}.") from None
    return len(batch.events), len(batch.rejects)


async def _stored(deps: Deps, record: Record) -> None:
    if deps.submit is None:
        raise ProblemError(501, "This process shows a recording and takes no alerts; `faultline run` does.")
    try:
        await stored(deps.submit, record, deps.stored_within)
    except NotStoredError as error:
        raise ProblemError(503, str(error), RETRY_AFTER) from None
