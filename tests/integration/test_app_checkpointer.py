"""Investigations resume from either database's checkpoints, PostgreSQL's also after lines were cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from agent.analysis import Analysis, Stage
from agent.app import parts
from agent.settings import Settings
from models.scripted import ScriptedChat
from tests.support.graphs import answer, investigation
from tests.support.postgres import postgres_server
from tests.support.shop import request as asked


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Return the URL of a private PostgreSQL."""
    with postgres_server() as url:
        yield url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_investigation_resumes_from_the_database(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The run that dies in the model's node is taken up there by another saver on the same database."""
    database = request.getfixturevalue("postgres") if kind == "postgresql" else ""
    settings = Settings(home=tmp_path, database=database)
    said: list[Analysis] = []
    with parts.checkpointer(settings) as saver, pytest.raises(KeyboardInterrupt):
        investigation(ScriptedChat([KeyboardInterrupt()]), said, saver).run(asked(), f"thread-{kind}")
    with parts.checkpointer(settings) as saver:
        if kind == "postgresql":
            _cut_all_lines(database)
        resumed = investigation(ScriptedChat([answer()]), said, saver)
        assert resumed.run(asked(), f"thread-{kind}").hypotheses[0].service == "payments"
        resumed.forget(f"thread-{kind}")
    assert [analysis.stage for analysis in said] == [Stage.STATISTICS, Stage.EXPLAINED]


def _cut_all_lines(url: str) -> None:
    """End every other connection of the server, as a restart or a failover would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
