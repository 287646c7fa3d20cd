"""Connections and transactions: the only place that knows how SQLite and PostgreSQL differ in them.

A `read` or `write` block is one transaction: committed at its end, rolled back on any exception. SQLite
runs in WAL mode with one writer at a time (others wait, in this process on a lock and across processes
on `busy_timeout`); PostgreSQL writers run side by side.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, ColumnElement, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from agent.store.port import StoreError

_WRITES = "faultline_writes"
_CHUNK = 400
"""Rows per statement: wide rows stay below SQLite's limit on bound values."""


class Database:
    """An engine for a `sqlite:///path` or `postgresql://…` URL. Thread-safe; raises `StoreError`."""

    def __init__(self, url: str, *, busy_timeout_s: float = 30.0, pool_size: int = 10) -> None:
        self._engine = _engine(_parsed(url), busy_timeout_s, pool_size)
        self._one_writer = threading.RLock() if self._engine.dialect.name == "sqlite" else None

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection inside a transaction that writes nothing."""
        with _translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection inside a transaction that may write."""
        with self._one_writer or contextlib.nullcontext(), _translated(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def upsert(
    connection: Connection,
    table: Table,
    rows: Iterable[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    update: Sequence[str] = (),
    newer: Column[Any] | None = None,
) -> int:
    """Insert `rows`; where `keys` are taken, set `update` (none: leave the row) and return rows touched.

    With `newer`, a stored row is replaced only if the new value of that column is at least the stored
    one. Rows go in the order of their keys, so that two writers cannot block each other crosswise.
    """
    ordered = sorted(rows, key=lambda row: tuple(row[key] for key in keys))
    touched = 0
    for first in range(0, len(ordered), _CHUNK):
        touched += _upsert_chunk(connection, table, ordered[first : first + _CHUNK], keys, update, newer)
    return touched


def _upsert_chunk(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    update: Sequence[str],
    newer: Column[Any] | None,
) -> int:
    build = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    insert = build(table).values([dict(row) for row in rows])
    if update:
        condition: ColumnElement[bool] | None = None
        if newer is not None:
            condition = insert.excluded[newer.name] >= newer
        insert = insert.on_conflict_do_update(
            index_elements=list(keys),
            set_={name: insert.excluded[name] for name in update},
            where=condition,
        )
    else:
        insert = insert.on_conflict_do_nothing(index_elements=list(keys))
    # Without the option SQLAlchemy does not ask the driver for an insert's row count.
    return connection.execute(insert.execution_options(preserve_rowcount=True)).rowcount


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(_what_urls_look_like(url)) from error
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise StoreError("an in-memory database cannot be shared by threads: use sqlite:///a/file.db")
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        return parsed.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreError(_what_urls_look_like(url))


def _what_urls_look_like(url: str) -> str:
    scheme = url.partition(":")[0]
    return (
        f"a store URL cannot begin with {scheme!r}: "
        "use sqlite:///path/to/file.db or postgresql://user:password@host:5432/database"
    )


def _engine(url: URL, busy_timeout_s: float, pool_size: int) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _settle(raw: Any, _record: object) -> None:
        # The driver's own transaction handling would begin late and never IMMEDIATE: we begin ourselves.
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A reader that turns writer fails at once when another wrote in between: writers say so up front.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # Without parameters and statement: they hold telemetry and would end up in our own log.
        raise StoreError(f"the database refused: {_first_line(error.orig)}") from None
    except PoolTimeoutError as error:
        raise StoreError("no database connection came free in time: raise the pool size") from error


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
