"""The HTTP boundary, around every route: who may come in, what no response lacks, what must not get out.

Pure ASGI, so that streams are not buffered. An exception that no route foresaw becomes a problem without
internals; it is counted and logged with its cause. Requests are counted by route, method and status.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.serve.access import Guard
from agent.serve.problems import problem

log = structlog.get_logger(__name__)

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Set where a response does not say otherwise itself."""


@dataclass(slots=True)
class RequestCounts:
    """Requests by (route, method, status) and unforeseen failures. Thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _failures: int = 0

    def add(self, route: str, method: str, status: int) -> None:
        """Count one request."""
        with self._lock:
            self._requests[(route, method, str(status))] += 1

    def fail(self) -> None:
        """Count one exception that no route foresaw."""
        with self._lock:
            self._failures += 1

    def readings(self) -> dict[str, Mapping[tuple[str, ...], float]]:
        """Return what `/metrics` shows of them."""
        with self._lock:
            return {
                "faultline_http_requests": {labels: float(n) for labels, n in self._requests.items()},
                "faultline_http_failures": {(): self._failures},
            }


class Boundary:
    """Middleware: guard, headers, counts, and the last net."""

    def __init__(self, app: ASGIApp, *, guard: Guard, counts: RequestCounts) -> None:
        self._app, self._guard, self._counts = app, guard, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(send)
        path, method = str(scope["path"]), str(scope["method"])
        try:
            refused = self._guard.refusal(path, Headers(scope=scope))
            if refused is not None:
                answer = problem(refused.status, refused.detail, path, headers=refused.headers)
                await answer(scope, receive, seen)
            else:
                await self._app(scope, receive, seen)
        except Exception as error:  # the HTTP boundary
            self._counts.fail()
            log.error(
                "http.failed", route=_route(scope), method=method, cause=type(error).__name__, exc_info=True
            )
            if seen.status is not None:
                raise  # half a response is out: only cutting the connection tells the client
            await problem(500, "The request failed on our side; our log says why.", path)(
                scope, receive, seen
            )
        finally:
            self._counts.add(_route(scope), method if method in _METHODS else "other", seen.status or 500)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Seen:
    """Passes messages on, adds headers and remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _route(scope: Scope) -> str:
    # Never the path itself: anybody could fill the metrics with paths.
    return str(getattr(scope.get("route"), "path", "unmatched"))
