"""The collector beside the databases: their counters as metrics, their log files as logs.

`python -m tests.testbed.collector` with SHOP_KAFKA, SHOP_URL_REDIS, SHOP_URL_POSTGRES, SHOP_LOG_REDIS and
SHOP_LOG_POSTGRES. Log lines are shipped as they stand, from where the files end at the start.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
import redis
from opentelemetry._logs import LogRecord
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tests.testbed.databases import POSTGRES_CONNECTIONS
from tests.testbed.services.telemetry import Telemetry, pod_name, shop_resource, start_telemetry

POLL_S = 0.5
Reading = dict[str, float]

_ACTIVITY = """
SELECT count(*) FILTER (WHERE state = 'active') AS active, count(*) FILTER (WHERE state = 'idle') AS idle,
    count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
    count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
    coalesce(extract(epoch FROM max(now() - xact_start)), 0)::float AS oldest
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_TOTALS = """
SELECT xact_commit, xact_rollback, blks_hit, blks_read, tup_returned, tup_inserted, tup_updated, deadlocks
FROM pg_stat_database WHERE datname = current_database()
"""


class RedisReader:
    """Numbers from `INFO`."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=2)

    def read(self) -> dict[str, Any]:
        """Return all of `INFO`. Raises RedisError."""
        info: dict[str, Any] = self._client.info()
        return info


class PostgresReader:
    """Numbers from PostgreSQL's statistics views, over one connection that is made anew when it breaks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    def read(self) -> dict[str, Any]:
        """Return activity, totals and locks in one dictionary. Raises psycopg.Error."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=2, application_name="collector"
            )
        with self._connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            activity = cursor.execute(_ACTIVITY).fetchone() or {}
            totals = cursor.execute(_TOTALS).fetchone() or {}
            locks = cursor.execute("SELECT count(*) AS locks FROM pg_locks").fetchone() or {}
        return {**activity, **totals, **locks, "backends_limit": POSTGRES_CONNECTIONS}


class OneReading:
    """Reads once for all metrics of one export, and gives nothing while the database does not answer."""

    def __init__(self, read: Callable[[], dict[str, Any]]) -> None:
        self._read = read
        self._values: dict[str, Any] = {}
        self._at = 0.0
        self._lock = threading.Lock()

    def value(self, name: str) -> float | None:
        """Return one number, at most a second old."""
        with self._lock:
            if time.monotonic() - self._at > 1:
                try:
                    self._values = self._read()
                except (redis.RedisError, psycopg.Error):
                    self._values = {}
                self._at = time.monotonic()
            found = self._values.get(name)
        return None if found is None else float(found)


def _callback(reading: OneReading, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        value = reading.value(field)
        return [] if value is None else [Observation(value)]

    return callback


def watch_redis(meter: Meter, reading: OneReading) -> None:
    """Register Redis's metrics."""
    for name, field, unit in (
        ("redis.clients.connected", "connected_clients", "{client}"),
        ("redis.clients.blocked", "blocked_clients", "{client}"),
        ("redis.memory.used", "used_memory", "By"),
        ("redis.memory.rss", "used_memory_rss", "By"),
        ("redis.memory.limit", "maxmemory", "By"),
    ):
        meter.create_observable_gauge(name, [_callback(reading, field)], unit=unit)
    for name, field, unit in (
        ("redis.commands.processed", "total_commands_processed", "{command}"),
        ("redis.connections.received", "total_connections_received", "{connection}"),
        ("redis.connections.rejected", "rejected_connections", "{connection}"),
        ("redis.keyspace.hits", "keyspace_hits", "{hit}"),
        ("redis.keyspace.misses", "keyspace_misses", "{miss}"),
        ("redis.keys.expired", "expired_keys", "{key}"),
        ("redis.keys.evicted", "evicted_keys", "{key}"),
    ):
        meter.create_observable_counter(name, [_callback(reading, field)], unit=unit)


def watch_postgres(meter: Meter, reading: OneReading) -> None:
    """Register PostgreSQL's metrics."""
    for name, field, unit in (
        ("postgresql.backends.active", "active", "{connection}"),
        ("postgresql.backends.idle", "idle", "{connection}"),
        ("postgresql.backends.idle_in_transaction", "idle_in_transaction", "{connection}"),
        ("postgresql.backends.waiting_for_lock", "waiting", "{connection}"),
        ("postgresql.transaction.oldest", "oldest", "s"),
        ("postgresql.locks", "locks", "{lock}"),
        ("postgresql.backends.limit", "backends_limit", "{connection}"),
    ):
        meter.create_observable_gauge(name, [_callback(reading, field)], unit=unit)
    for name, field, unit in (
        ("postgresql.commits", "xact_commit", "{transaction}"),
        ("postgresql.rollbacks", "xact_rollback", "{transaction}"),
        ("postgresql.blocks.hit", "blks_hit", "{block}"),
        ("postgresql.blocks.read", "blks_read", "{block}"),
        ("postgresql.rows.returned", "tup_returned", "{row}"),
        ("postgresql.rows.inserted", "tup_inserted", "{row}"),
        ("postgresql.rows.updated", "tup_updated", "{row}"),
        ("postgresql.deadlocks", "deadlocks", "{deadlock}"),
    ):
        meter.create_observable_counter(name, [_callback(reading, field)], unit=unit)


class Tail:
    """A log file, read on from its present end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._file.seek(0, os.SEEK_END)
        self._rest = b""

    def lines(self) -> list[str]:
        """Return the complete lines written since the last call."""
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole if line.strip()]

    def close(self) -> None:
        self._file.close()


def ship(tail: Tail, telemetry: Telemetry) -> None:
    """Send what the log file has gained."""
    logger = telemetry.logs.get_logger("filelog")
    for line in tail.lines():
        now = time.time_ns()
        logger.emit(LogRecord(timestamp=now, observed_timestamp=now, body=line))


def main() -> None:
    """Collect until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    shipped: list[tuple[Tail, Telemetry]] = []
    reads = {
        "redis": RedisReader(os.environ["SHOP_URL_REDIS"]).read,
        "postgres": PostgresReader(os.environ["SHOP_URL_POSTGRES"]).read,
    }
    watches = {"redis": watch_redis, "postgres": watch_postgres}
    for service, version in (("redis", "7.0.15"), ("postgres", "15")):
        resource = shop_resource(service, version=version, pod=pod_name(service))
        telemetry = start_telemetry(resource, os.environ["SHOP_KAFKA"])
        watches[service](telemetry.meters.get_meter("databases"), OneReading(reads[service]))
        shipped.append((Tail(Path(os.environ[f"SHOP_LOG_{service.upper()}"])), telemetry))
    while not stop.wait(POLL_S):
        for tail, telemetry in shipped:
            ship(tail, telemetry)
    for tail, telemetry in shipped:
        tail.close()
        telemetry.close()


if __name__ == "__main__":
    main()
