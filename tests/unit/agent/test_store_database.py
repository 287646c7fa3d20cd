"""What lies below the store's contract: URLs, migrations, codecs, SQLite's own settings."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update

from agent.store.codec import from_json, pack_windows, to_json, unpack_windows
from agent.store.database import Database
from agent.store.migrate import migrate
from agent.store.port import StoreError
from agent.store.schema import metadata, storable, streams
from agent.store.sql import SqlStore
from detectors.anomaly import Anomaly
from tests.support.samples import anomaly, window


def url(folder: Path) -> str:
    """Return the URL of a database in `folder`."""
    return f"sqlite:///{folder}/deep/er/store.db"


@pytest.mark.parametrize("wrong", ["mysql://x/y", "store.db", "postgres://x/y", ""])
def test_a_url_of_another_kind_says_what_to_write(wrong: str) -> None:
    """The message shows both forms and never the URL's password."""
    with pytest.raises(StoreError, match="postgresql://user:password@host"):
        Database(wrong)


def test_an_unparsable_url_does_not_show_its_password() -> None:
    """Only the scheme is repeated."""
    with pytest.raises(StoreError) as caught:
        Database("mysql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("memory", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(memory: str) -> None:
    """Threads could not share it."""
    with pytest.raises(StoreError, match=r"sqlite:///a/file\.db"):
        Database(memory)


def test_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    """Alembic sees nothing left to do, and a second run does nothing."""
    assert migrate(url(tmp_path)) == migrate(url(tmp_path))
    database = Database(url(tmp_path))
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    migrate(url(tmp_path))
    database = Database(url(tmp_path))
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreError, match="run the newer version again"):
        SqlStore(url(tmp_path))


def test_many_processes_may_start_at_once(tmp_path: Path) -> None:
    """One migrates, the others wait and find it done."""
    heads: list[str] = []
    threads = [threading.Thread(target=lambda: heads.append(migrate(url(tmp_path)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heads) == 4


def test_sqlite_runs_as_promised(tmp_path: Path) -> None:
    """WAL, foreign keys and a busy timeout, on every connection."""
    database = Database(url(tmp_path), busy_timeout_s=7.0)
    with database.read() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        ]
    database.close()
    assert settings == ["wal", 1, 7000]


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    """Whatever the exception."""
    migrate(url(tmp_path))
    database = Database(url(tmp_path))

    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(streams).values(owner="x", epoch=1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.read() as connection:
        assert connection.execute(select(streams.c.owner)).all() == []
    database.close()


def test_readers_do_not_wait_for_the_writer(tmp_path: Path) -> None:
    """A page is served from the last commit while a checkpoint is being written."""
    migrate(url(tmp_path))
    database = Database(url(tmp_path), busy_timeout_s=0.1)
    with database.write() as connection:
        connection.execute(insert(streams).values(owner="x", epoch=1))
        with database.read() as other:
            assert other.execute(select(streams.c.owner)).all() == []
    database.close()


def test_a_second_writer_is_told_when_it_waited_in_vain(tmp_path: Path) -> None:
    """As a `StoreError`, so that callers need to know no database library."""
    migrate(url(tmp_path))
    first, second = Database(url(tmp_path)), Database(url(tmp_path), busy_timeout_s=0.05)
    with first.write() as connection:
        connection.execute(update(streams).values(epoch=2))
        with pytest.raises(StoreError, match="locked"), second.write():
            pass
    first.close()
    second.close()


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=[])))
def test_storable_text_can_be_encoded_and_has_no_nul(raw: str) -> None:
    """Whatever code points telemetry holds; clean text stays as it is."""
    kept = storable(raw)
    assert "\x00" not in kept
    assert kept.encode().decode() == kept
    if "\x00" not in raw and not any(0xD800 <= ord(c) < 0xE000 for c in raw):
        assert kept == raw


@given(st.floats())
def test_every_score_survives_json(score: float) -> None:
    """Finite ones exactly, others as a number that JSON has."""
    back = from_json(to_json(anomaly(score=score)), Anomaly).score
    assert abs(back) < float("inf")
    if abs(score) < float("inf"):
        assert back == score


def test_windows_survive_packing_and_shrink() -> None:
    """Six windows with repeated text take less than their text."""
    windows = tuple(window(start=n, text="connection refused " * 50) for n in range(6))
    packed = pack_windows(windows)
    assert unpack_windows(packed) == windows
    assert len(packed) < 2000
