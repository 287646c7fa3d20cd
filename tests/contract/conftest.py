"""Fixtures of the contract suites: one fresh store on each database, SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.sql import SqlStore
from tests.support.postgres import postgres_database, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """One PostgreSQL server a run; a machine that cannot have one fails here with what to install."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """Make a fresh PostgreSQL database and yield its URL."""
    with postgres_database(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a fresh database, once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """Open a migrated, empty store on each kind of database."""
    opened = SqlStore(store_url)
    yield opened
    opened.close()


@pytest.fixture
def second_store(store: SqlStore, store_url: str) -> Iterator[SqlStore]:
    """Open the same database as another process would."""
    opened = SqlStore(store_url)
    yield opened
    opened.close()
