"""PostgreSQL and Redis as the shop's services use them: pooled, with client spans and pool metrics.

Waiting for a pooled connection belongs to the service that waits, so the span of a statement begins only
when a connection is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import redis
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import SpanKind, Tracer
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from tests.testbed.services.process_metrics import observe

Row = dict[str, Any]


class Database:
    """A service's own pool of PostgreSQL connections."""

    def __init__(
        self, url: str, *, service: str, tracer: Tracer, meter: Meter, size: int = 8, wait_s: float = 2.0
    ) -> None:
        self.tracer = tracer
        self._timeouts = 0
        self.pool: ConnectionPool[Connection[Row]] = ConnectionPool(
            url,
            connection_class=Connection[Row],
            kwargs={"row_factory": dict_row, "application_name": service},
            min_size=2,
            max_size=size,
            timeout=wait_s,
            max_idle=60,
            open=True,
        )
        self._watch(meter)

    def _watch(self, meter: Meter) -> None:
        def states(_: CallbackOptions) -> Iterable[Observation]:
            stats = self.pool.get_stats()
            idle, size = stats.get("pool_available", 0), stats.get("pool_size", 0)
            return [Observation(idle, {"state": "idle"}), Observation(size - idle, {"state": "used"})]

        def stat(name: str) -> Callable[[], int]:
            return lambda: self.pool.get_stats().get(name, 0)

        unit = "{connection}"
        meter.create_observable_gauge("db.client.connection.count", [states], unit=unit)
        meter.create_observable_gauge("db.client.connection.max", [observe(stat("pool_max"))], unit=unit)
        meter.create_observable_gauge(
            "db.client.connection.pending_requests", [observe(stat("requests_waiting"))], unit="{request}"
        )
        meter.create_observable_counter(
            "db.client.connection.timeouts", [observe(lambda: self._timeouts)], unit="{timeout}"
        )
        meter.create_observable_counter(
            "db.client.connection.wait_time", [observe(stat("requests_wait_ms"))], unit="ms"
        )

    @contextmanager
    def transaction(self) -> Iterator[Statements]:
        """Lend a connection: committed at the end, rolled back on an error. Raises PoolTimeout."""
        try:
            connection = self.pool.getconn()
        except PoolTimeout:
            self._timeouts += 1
            raise
        try:
            with connection.transaction():
                yield Statements(connection, self.tracer)
        finally:
            self.pool.putconn(connection)


class Statements:
    """Statements on one connection, each a client span."""

    def __init__(self, connection: Connection[Row], tracer: Tracer) -> None:
        self._connection = connection
        self._tracer = tracer

    def run(self, sql: str, *values: Any) -> list[Row]:
        """Execute one statement and return its rows, if it has any."""
        verb = sql.split(None, 1)[0]
        with self._tracer.start_as_current_span(
            f"{verb} {_table(sql)}",
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "postgresql",
                "db.operation.name": verb,
                "db.query.text": " ".join(sql.split()),
                "peer.service": "postgres",
            },
        ):
            cursor = self._connection.execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description else []


def _table(sql: str) -> str:
    words = sql.split()
    for word, following in pairwise(words):
        if word in ("FROM", "INTO", "UPDATE"):
            return following.strip("(")
    return ""


class Cache:
    """Redis with client spans."""

    def __init__(self, url: str, *, tracer: Tracer) -> None:
        self._tracer = tracer
        self._redis = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=1.0, socket_connect_timeout=1.0
        )

    def command(self, name: str, *values: Any) -> Any:
        """Run one Redis command, e.g. `command("SETEX", key, 30, value)`. Raises RedisError."""
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "redis", "db.operation.name": name, "peer.service": "redis"},
        ):
            return self._redis.execute_command(name, *values)  # type: ignore[no-untyped-call]
