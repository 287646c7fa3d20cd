"""A store that holds a real recording's incident, as the stream leaves it: for tests of what comes after."""

from __future__ import annotations

import shutil
from pathlib import Path

from agent.app import parts
from agent.app.replay import Player
from agent.settings import Settings
from agent.store.sql import SqlStore
from ingest.deadletter import FileDeadLetters
from ingest.recordings import Recording

RECORDINGS = Path(__file__).parents[1] / "recordings" / "demo"


def replayed(folder: Path, recording: str = "slow-dependency") -> Path:
    """Play a recording into a fresh database in `folder` and return its file; investigations are due."""
    path = folder / "replayed.db"
    store = SqlStore(f"sqlite:///{path}")
    try:
        Player(
            recording=Recording(RECORDINGS / recording),
            pipeline=parts.pipeline(Settings(), b"a fixed key for tests")(),
            store=store,
            dead_letters=FileDeadLetters(folder / "dead-letters.jsonl"),
        ).play()
    finally:
        store.close()
    return path


def copied(database: Path, folder: Path) -> SqlStore:
    """Open a copy of a closed database in `folder`."""
    target = folder / "faultline.db"
    shutil.copy(database, target)
    return SqlStore(f"sqlite:///{target}")
