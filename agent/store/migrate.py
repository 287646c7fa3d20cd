"""Brings a database to the newest schema; runs before anything else touches the store.

All pending steps are one transaction, and of several processes that start at once one does the work
while the others wait. A database that is newer than this code is refused, not guessed at.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from agent.store.database import Database
from agent.store.port import StoreError

_LOCK = 7_226_103_551
"""Any number, as long as every Faultline uses the same: PostgreSQL's advisory lock for migrations."""


def migrate(url: str) -> str:
    """Upgrade the database at `url` to the newest revision and return its name. Raises `StoreError`."""
    database = Database(url)
    try:
        return upgrade(database)
    finally:
        database.close()


def upgrade(database: Database) -> str:
    """Upgrade an open database; see `migrate`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    if head is None:
        raise StoreError("the installation lacks its migrations: install faultline again")
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _refuse_newer(connection, scripts, head)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head


def _refuse_newer(connection: Connection, scripts: ScriptDirectory, head: str) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"the database is at schema {current}, this Faultline knows up to {head}: "
            "run the newer version again, or restore a backup from before the upgrade"
        )
