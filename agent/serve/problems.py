"""Errors as problem+json (RFC 9457): every status that is an error leaves through here.

Details are ours; nothing of an exception's text or of telemetry is repeated to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from agent.serve.shapes import CheckView, FieldErrorView, Problem
from agent.store.port import CursorError, StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}

_DETAILS = {
    404: "Nothing is served at this address; /api/v1/openapi.json lists what is.",
    405: "This address does not take that method; the Allow header lists those it takes.",
}


class ProblemError(Exception):
    """Raised by routes; `detail` says what to do next."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def problem(
    status: int,
    detail: str,
    instance: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldErrorView] = (),
    checks: Sequence[CheckView] = (),
) -> Response:
    """Return the response for an error."""
    body = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        errors=tuple(errors),
        checks=tuple(checks),
    )
    return Response(msgspec.json.encode(body), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error that a route or the router raises a problem."""
    app.add_exception_handler(ProblemError, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(CursorError, _cursor)
    app.add_exception_handler(StoreError, _store)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem(error.status, error.detail, request.url.path, headers=error.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = _DETAILS.get(error.status_code, HTTPStatus(error.status_code).description)
    return problem(error.status_code, detail, request.url.path, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldErrorView(where=".".join(str(part) for part in one["loc"]), message=str(one["msg"]))
        for one in error.errors()
    ]
    named = ", ".join(one.where for one in errors)
    return problem(422, f"These parameters cannot be used: {named}.", request.url.path, errors=errors)


async def _cursor(request: Request, error: Exception) -> Response:
    del error
    detail = "The cursor is none that this API gave; leave it out to begin at the first page."
    return problem(400, detail, request.url.path)


async def _store(request: Request, error: Exception) -> Response:
    del error
    detail = "The database cannot be used right now; /readyz says more. Try again."
    return problem(503, detail, request.url.path, headers=RETRY_AFTER)
