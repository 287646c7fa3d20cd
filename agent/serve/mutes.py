"""Mutes and maintenance windows over HTTP: listed, asked for, lifted. What cannot be taken is a problem.

Fails closed: a mute with an unknown field, without an end, a reason or an author, or that would cover
everything is refused with what to give instead, and nothing is muted. The stream heeds a change with its
next commit. Asking twice for the same is the same mute.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from agent.deliver.view import rfc3339
from agent.mutes import Mute, MuteError, MuteKind, lifted, moment, mute
from agent.serve.bodies import BodyError, Budget, read_body
from agent.serve.deps import Deps
from agent.serve.incidents import json_response
from agent.serve.openapi import told
from agent.serve.problems import ProblemError
from agent.serve.shapes import MuteListView, MuteView
from agent.store.port import MuteStore
from ingest.record import SECOND, Nanos

MAX_BODY = 64 * 1024
REMEMBERED: Nanos = 7 * 86_400 * SECOND
"""Ended mutes are listed for so long when asked for."""
MuteId = Annotated[str, Path(max_length=200, description="The mute's id, `mu_…`.")]


class Asked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a request for a mute holds. Times are `2h`, `3d` or RFC 3339; `starts` is now when left out."""

    kind: MuteKind
    until: str
    reason: str
    author: str
    starts: str | None = None
    environment: str | None = None
    services: tuple[str, ...] = ()
    detector: str | None = None
    subject: str | None = None


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["kind", "until", "reason", "author"],
                    "properties": {
                        "kind": {"enum": [kind.value for kind in MuteKind]},
                        "until": {
                            "type": "string",
                            "description": "`2h`, `3d` or RFC 3339; 90 days at most.",
                        },
                        "reason": {"type": "string", "minLength": 1},
                        "author": {"type": "string", "minLength": 1},
                        "starts": {"type": ["string", "null"], "description": "Now, when left out."},
                        "environment": {"type": ["string", "null"]},
                        "services": {"type": "array", "items": {"type": "string"}},
                        "detector": {"type": ["string", "null"]},
                        "subject": {
                            "type": ["string", "null"],
                            "description": "A template id, a series as it is shown, an alert's fingerprint.",
                        },
                    },
                }
            }
        },
    }
}


def router(deps: Deps, budget: Budget) -> APIRouter:
    """Return the routes under /api/v1/mutes."""
    routes = APIRouter(prefix="/api/v1/mutes", tags=["mutes"])

    @routes.get("", responses=told("MuteListView", 422, 501), operation_id="listMutes")
    def list_mutes(
        ended: Annotated[bool, Query(description="Also those that ended within a week.")] = False,
    ) -> Response:
        """List mutes and maintenance windows that are in force or to come, soonest end first."""
        now = deps.now()
        found = _shown(deps, now, now - REMEMBERED if ended else now)
        return json_response(msgspec.to_builtins(MuteListView(mutes=found)))

    @routes.post(
        "",
        status_code=201,
        responses=told("MuteView", 400, 413, 415, 422, 501, status=201),
        openapi_extra=_BODY,
        operation_id="addMute",
    )
    async def add_mute(request: Request) -> Response:
        """Ask for quiet about services, or about one detector or subject, until a time."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # A browser asks before it sends this type across origins: a page elsewhere cannot mute anything.
        if kind != "application/json":
            raise ProblemError(415, "Send the mute with `Content-Type: application/json`.")
        try:
            with budget.share() as share:
                raw = await read_body(request, share, limit=MAX_BODY)
        except BodyError as error:
            raise ProblemError(error.status, error.detail) from None
        made = _made(raw, deps.now())
        await run_in_threadpool(_kept(deps).save_mute, made)
        return json_response(msgspec.to_builtins(_view(made, deps.now(), configured=False)), 201)

    @routes.delete("/{mute_id}", responses=told("MuteView", 404, 409, 422, 501), operation_id="liftMute")
    def lift_mute(
        mute_id: MuteId, author: Annotated[str, Query(max_length=500, description="Who lifts it.")]
    ) -> Response:
        """End a mute now. One that stands in the settings ends there."""
        if any(one.id == mute_id for one in deps.configured):
            raise ProblemError(409, "This mute stands in the settings: take it out there and restart.")
        store = _kept(deps)
        known = store.mute(mute_id)
        if known is None:
            raise ProblemError(404, "There is no mute of this id; /api/v1/mutes lists those there are.")
        try:
            ended = lifted(known, author, deps.now())
        except MuteError as error:
            raise ProblemError(409, f"The mute cannot be lifted: {error}.") from None
        store.save_mute(ended)
        return json_response(msgspec.to_builtins(_view(ended, deps.now(), configured=False)))

    return routes


def _kept(deps: Deps) -> MuteStore:
    if deps.mutes is None:
        raise ProblemError(501, "This process shows a recording and mutes nothing; `faultline run` does.")
    return deps.mutes


def _made(raw: bytes, now: Nanos) -> Mute:
    """Return the mute that a body asks for; a 400 problem says what is wrong with it."""
    try:
        asked = msgspec.json.decode(raw, type=Asked)
        return mute(
            kind=asked.kind,
            starts=now if asked.starts is None else moment(asked.starts, now),
            ends=moment(asked.until, now),
            reason=asked.reason,
            author=asked.author,
            now=now,
            environment=asked.environment,
            services=asked.services,
            detector=asked.detector,
            subject=asked.subject,
        )
    except UnicodeDecodeError:
        raise ProblemError(400, "Nothing was muted: the body is no UTF-8.") from None
    except (msgspec.DecodeError, MuteError) as error:
        raise ProblemError(400, f"Nothing was muted: {error}.") from None


def _shown(deps: Deps, now: Nanos, ended_after: Nanos) -> tuple[MuteView, ...]:
    kept = () if deps.mutes is None else deps.mutes.mutes(ended_after)
    views = [_view(one, now, configured=False) for one in kept]
    views += [_view(one, now, configured=True) for one in deps.configured if one.ends > ended_after]
    return tuple(sorted(views, key=lambda one: (one.ends, one.id)))


def _view(one: Mute, now: Nanos, *, configured: bool) -> MuteView:
    return MuteView(
        id=one.id,
        kind=one.kind,
        active=one.active(now),
        starts=rfc3339(one.starts),
        ends=rfc3339(one.ends),
        reason=one.reason,
        author=one.author,
        created=rfc3339(one.created),
        environment=one.environment,
        services=one.services,
        detector=one.detector,
        subject=one.subject,
        lifted_by=one.lifted_by,
        configured=configured,
    )
