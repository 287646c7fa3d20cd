"""OTLP/HTTP in: a request becomes a record of the stream, and 200 means that it is stored.

`POST /v1/logs`, `/v1/metrics`, `/v1/traces`, in protobuf or JSON. What can pass is 429 or 503 with
Retry-After, on which exporters send again; a request that can never be taken is 4xx, on which they do not.
An item that is refused alone is counted in a partial success and kept with its reason as a dead letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from typing import Any

from fastapi import APIRouter, Request, Response
from google.protobuf.message import DecodeError as ProtobufError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent.serve.bodies import BodyError, Budget, Share, read_body
from agent.serve.deps import Deps
from agent.serve.intake import NotStoredError, Repeats, origin_number, stored
from agent.serve.otlp_answers import ANSWERS, JSON, PROTOBUF, failure
from ingest.decoders.json_text import parse_json
from ingest.events import DecodeError, Receipt, TopicDefaults
from ingest.record import Origin, Record

_REQUESTS: dict[str, tuple[Any, tuple[str, str]]] = {
    "logs": (ExportLogsServiceRequest, ("resource_logs", "resourceLogs")),
    "metrics": (ExportMetricsServiceRequest, ("resource_metrics", "resourceMetrics")),
    "traces": (ExportTraceServiceRequest, ("resource_spans", "resourceSpans")),
}
_TIMES = ("timeUnixNano", "time_unix_nano", "observedTimeUnixNano", "observed_time_unix_nano")
_IN_PLACE = 64 * 1024
"""Bytes up to which a body is checked at once; a longer one must not keep other requests waiting."""


def otlp_topics() -> dict[str, TopicDefaults]:
    """Return how the records made here are read."""
    protobuf = {topic_of(signal, PROTOBUF): TopicDefaults(format=f"otlp_{signal}") for signal in _REQUESTS}
    return protobuf | {topic_of(signal, JSON): TopicDefaults(format="otlp_json") for signal in _REQUESTS}


def topic_of(signal: str, media_type: str) -> str:
    """Return the topic of a signal's records in a form."""
    return f"http.otlp_{signal}" + ("" if media_type == PROTOBUF else "_json")


def router(deps: Deps, budget: Budget) -> APIRouter:
    """Return the routes under /v1; bodies under way count against `budget`."""
    # Not in our own OpenAPI document: OTLP is specified elsewhere, and has errors of its own.
    routes = APIRouter(prefix="/v1", include_in_schema=False)
    submit = None if deps.submit is None else Repeats(deps.submit)
    for signal in _REQUESTS:
        routes.add_api_route(f"/{signal}", _taker(signal, deps, submit, budget), methods=["POST"])
    return routes


def _taker(
    signal: str, deps: Deps, submit: Repeats | None, budget: Budget
) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # A browser asks before it sends these types across origins: a page elsewhere cannot write here.
        if media_type not in {PROTOBUF, JSON}:
            return failure(JSON, 415, f"Send `Content-Type: {PROTOBUF}` or `{JSON}`.")
        if submit is None:
            detail = "This process shows a recording and takes no telemetry; `faultline run` does."
            return failure(media_type, 501, detail)
        try:
            with budget.share() as share:
                return await _answer(signal, media_type, request, share, submit, deps)
        except BodyError as error:
            return failure(media_type, error.status, error.detail)
        except NotStoredError as error:
            return failure(media_type, 503, str(error))

    return take


async def _answer(
    signal: str, media_type: str, request: Request, share: Share, submit: Repeats, deps: Deps
) -> Response:
    raw = await read_body(request, share)
    if len(raw) <= _IN_PLACE:
        held = _held(signal, media_type, raw)
    else:
        held = await asyncio.to_thread(_held, signal, media_type, raw)
    if held is _Held.NOTHING:
        return ANSWERS[signal].success(media_type)
    origin = Origin(topic=topic_of(signal, media_type), partition=0, offset=origin_number(raw))
    record = Record(origin=origin, value=raw, received=deps.now())
    hand_in = submit.untimed if held is _Held.UNTIMED else submit
    return _told(signal, media_type, await stored(hand_in, record, deps.stored_within))


def _told(signal: str, media_type: str, taken: Receipt) -> Response:
    if not taken.rejects:
        return ANSWERS[signal].success(media_type)
    why = f"{taken.rejects[0].reason}: {taken.rejects[0].detail}"
    if not taken.events:
        return failure(media_type, 400, f"Nothing of the request could be taken; {why}.")
    return ANSWERS[signal].success(media_type, len(taken.rejects), why)


class _Held(Enum):
    """What a request holds: only log records may say no time, and then a repeat may be news."""

    NOTHING = 0
    TIMED = 1
    UNTIMED = 2


def _held(signal: str, media_type: str, raw: bytes) -> _Held:
    """Say what a request holds. Raises `BodyError` 400 when it is none of this signal."""
    message, roots = _REQUESTS[signal]
    if media_type == PROTOBUF:
        try:
            request = message.FromString(raw)
        except ProtobufError:
            raise BodyError(400, f"The body is not a whole {message.DESCRIPTOR.name}.") from None
        if not getattr(request, roots[0]):
            return _Held.NOTHING
        return _Held.UNTIMED if signal == "logs" and not _timed(request) else _Held.TIMED
    document = _document(roots, raw)
    if not any(document.get(name) for name in roots):
        return _Held.NOTHING
    return (
        _Held.UNTIMED
        if signal == "logs" and not all(map(_timed_in_json, _records(document)))
        else _Held.TIMED
    )


def _timed(request: Any) -> bool:
    """Say whether every log record has a time."""
    return all(
        record.time_unix_nano or record.observed_time_unix_nano
        for group in request.resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    )


def _document(roots: tuple[str, str], raw: bytes) -> dict[str, Any]:
    """Return a request in JSON. Raises `BodyError` 400 when it is none of this signal."""
    try:
        document = parse_json(raw)
    except DecodeError as error:
        raise BodyError(400, f"The body is not JSON: {error.reject.detail}.") from None
    if not isinstance(document, dict) or (document and not any(name in document for name in roots)):
        detail = f"The body has no `{roots[1]}`; another signal has another address."
        raise BodyError(400, detail)
    if not all(isinstance(document[name], list) for name in roots if name in document):
        raise BodyError(400, f"`{roots[1]}` is not a list.")
    return document


def _records(document: dict[str, Any]) -> Iterator[Any]:
    """Yield the log records of a request in JSON."""
    found: list[Any] = [document]
    for names in (
        ("resource_logs", "resourceLogs"),
        ("scope_logs", "scopeLogs"),
        ("log_records", "logRecords"),
    ):
        lists = (parent.get(name) for parent in found if isinstance(parent, dict) for name in names)
        found = [item for one in lists if isinstance(one, list) for item in one]
    yield from found


def _timed_in_json(record: Any) -> bool:
    return isinstance(record, dict) and any(record.get(name) not in (None, "", "0", 0) for name in _TIMES)
