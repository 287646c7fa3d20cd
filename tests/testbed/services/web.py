"""What all HTTP services of the shop share: server spans, request metrics, access log, error answers.

A request under `/_` is the testbed's own (health, flags) or the platform's (configuration): it leaves neither
spans nor metrics.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from opentelemetry.metrics import Meter
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from psycopg import OperationalError
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from tests.testbed.services.network import network_of
from tests.testbed.services.peers import PeerError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SLOW_S = 1.0


@dataclass(slots=True, kw_only=True)
class Running:
    """What a service is given: who it is, how it reports, where its neighbours are."""

    service: str
    version: tuple[int, ...]
    tracer: Tracer
    meter: Meter
    urls: dict[str, str]
    pod: str = ""
    volume: str = ""
    """The folder of the service's own disk, empty without one."""
    flags: dict[str, Any] = field(default_factory=dict)
    """Features that are on; they change while the service runs."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """Settings that differ from the code's own; they change while the service runs."""

    @property
    def log(self) -> logging.Logger:
        return logging.getLogger(f"shop.{self.service}")


class Observe:
    """ASGI middleware: one server span, one duration and, at the edge, one access line a request."""

    def __init__(self, app: Any, *, running: Running, access_log: bool) -> None:
        self._app = app
        self._running = running
        self._access_log = access_log
        self._propagator = TraceContextTextMapPropagator()
        meter = running.meter
        self._duration = meter.create_histogram("http.server.request.duration", unit="s")
        self._requests = meter.create_counter("http.server.requests", unit="{request}")
        self._active = meter.create_up_down_counter("http.server.active_requests", unit="{request}")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._active.add(1)
        context = self._propagator.extract(headers)
        with self._running.tracer.start_as_current_span(
            scope["method"], context=context, kind=SpanKind.SERVER
        ) as span:
            try:
                await self._app(scope, receive, watch)
            except Exception as error:  # the server's last line: everything becomes a 500
                span.record_exception(error)
                self._running.log.exception("unhandled error in %s %s", scope["method"], scope["path"])
                await JSONResponse({"error": "internal error"}, 500)(scope, receive, watch)
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            span.update_name(f"{scope['method']} {route}")
            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            self._write_access(scope, headers, status, seconds)
        self._active.add(-1)
        self._duration.record(seconds)
        self._requests.add(1, {"http.response.status_class": f"{status // 100}xx"})

    def _write_access(self, scope: Message, headers: dict[str, str], status: int, seconds: float) -> None:
        line = '%s "%s %s" %d %dms "%s"'
        values = (
            headers.get("x-forwarded-for", "-"),
            scope["method"],
            scope["path"],
            status,
            round(seconds * 1000),
            headers.get("user-agent", "-"),
        )
        if status >= 500:
            self._running.log.error(line, *values)
        elif seconds >= SLOW_S:
            self._running.log.warning("slow request: " + line, *values)
        elif self._access_log or status >= 400:
            self._running.log.info(line, *values)


def build_app(running: Running, *, access_log: bool = False) -> FastAPI:
    """Return an application with the shop's middleware, error answers and testbed endpoints."""
    app = FastAPI(openapi_url=None)
    app.add_middleware(Observe, running=running, access_log=access_log)

    @app.exception_handler(PoolTimeout)
    def pool_timeout(request: Request, error: PoolTimeout) -> JSONResponse:
        running.log.error(
            "no database connection for %s %s", request.method, request.url.path, exc_info=error
        )
        return JSONResponse({"error": "database busy"}, 503)

    @app.exception_handler(OperationalError)
    @app.exception_handler(RedisError)
    def store_failed(request: Request, error: Exception) -> JSONResponse:
        running.log.error("storage failed for %s %s", request.method, request.url.path, exc_info=error)
        return JSONResponse({"error": "storage failed"}, 503)

    @app.exception_handler(PeerError)
    def peer_failed(request: Request, error: PeerError) -> JSONResponse:
        running.log.error("%s %s failed: %s", request.method, request.url.path, error)
        return JSONResponse({"error": str(error)}, 504 if error.timed_out else 502)

    @app.get("/_health")
    def health() -> dict[str, str]:
        version = ".".join(map(str, running.version))
        return {"service": running.service, "version": version, "pod": running.pod}

    @app.post("/_flags")
    def set_flags(values: dict[str, Any]) -> dict[str, Any]:
        running.flags.update(values)
        return running.flags

    @app.post("/_configuration")
    def configure(values: dict[str, Any]) -> dict[str, Any]:
        running.configuration.update(values)
        running.log.info("configuration reloaded: %s", " ".join(f"{k}={v}" for k, v in values.items()))
        return running.configuration

    return app


def customer_of(request: Request) -> str:
    """Return the signed-in customer's id; 401 without one."""
    customer = request.headers.get("x-customer")
    if not customer:
        raise HTTPException(401, "sign in first")
    return customer


def serve(app: FastAPI, port: int, running: Running) -> None:
    """Serve until SIGTERM. Two processes may share the port, so that a deploy leaves no gap."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=8,
        ws="none",
        http=network_of(running.flags),
    )
    uvicorn.Server(config).run(sockets=[listener])
