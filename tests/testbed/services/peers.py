"""Calls from one shop service to another: a client span, a time-out, and one retry where that is safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
from opentelemetry.metrics import Meter
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Seconds = float | Callable[[], float]


class PeerError(Exception):
    """A neighbour gave no usable answer: unreachable, too slow, or a 5xx."""

    def __init__(self, peer: str, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer
        self.timed_out = timed_out


class Peer:
    """A neighbour service by name. Safe to use from several threads."""

    def __init__(
        self, name: str, url: str, *, caller: str, tracer: Tracer, meter: Meter, timeout_s: Seconds = 3.0
    ) -> None:
        """`timeout_s` may be a call, for a time-out that is configured while the service runs."""
        self.name = name
        self._tracer = tracer
        self._timeout_s = timeout_s if callable(timeout_s) else lambda: timeout_s
        self._requests = meter.create_counter("http.client.requests", unit="{request}")
        self._log = logging.getLogger(f"shop.{caller}")
        self._propagator = TraceContextTextMapPropagator()
        self._client = httpx.Client(
            base_url=url,
            limits=httpx.Limits(max_connections=40, keepalive_expiry=30),
            headers={"user-agent": caller},
        )

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON answer of a read; repeated once when the first try fails."""
        return self._answer("GET", path, tries=2, params=params)

    def post(self, path: str, body: Any, *, tries: int = 1) -> Any:
        """Return the JSON answer of a write; `tries` above one only for writes that may be repeated."""
        return self._answer("POST", path, tries=tries, json=body)

    def delete(self, path: str) -> Any:
        return self._answer("DELETE", path, tries=2)

    def _answer(self, method: str, path: str, *, tries: int, **arguments: Any) -> Any:
        for attempt in range(1, tries + 1):
            try:
                return self._once(method, path, **arguments)
            except PeerError as failure:
                if attempt == tries or failure.timed_out:
                    raise
                self._log.warning(
                    "%s %s failed (%s), retrying, attempt %d of %d",
                    method,
                    path,
                    failure,
                    attempt + 1,
                    tries,
                )
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(self, method: str, path: str, **arguments: Any) -> Any:
        with self._tracer.start_as_current_span(
            f"{method} {self.name}",
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, "peer.service": self.name},
            record_exception=False,
        ) as span:
            headers: dict[str, str] = {}
            timeout = httpx.Timeout(self._timeout_s(), connect=1.0)
            self._propagator.inject(headers)
            try:
                answer = self._client.request(method, path, headers=headers, timeout=timeout, **arguments)
            except httpx.TimeoutException as error:
                self._count("timeout")
                span.set_status(Status(StatusCode.ERROR, "timeout"))
                raise PeerError(self.name, f"no answer within {timeout.read:g}s", timed_out=True) from error
            except httpx.TransportError as error:
                self._count(type(error).__name__)
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise PeerError(self.name, str(error)) from error
            self._count(f"{answer.status_code // 100}xx")
            span.set_attribute("http.response.status_code", answer.status_code)
            if answer.status_code >= 500:
                span.set_status(Status(StatusCode.ERROR))
                raise PeerError(self.name, f"answered {answer.status_code}")
        return answer

    def _count(self, outcome: str) -> None:
        self._requests.add(1, {"peer.service": self.name, "outcome": outcome})


def json_or_none(answer: httpx.Response) -> Any:
    """Return the body of a 2xx answer, None for a 404."""
    return None if answer.status_code == 404 else answer.raise_for_status().json()
