"""Runbook search with the real embedding model: meaning finds what words do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.knowledge.index import QdrantRunbookIndex, open_index
from agent.knowledge.load import load_folder
from agent.knowledge.shipped import shipped_runbooks
from models.embeddings import MiniLmEmbeddings
from models.registry import EMBEDDING_MODEL


@pytest.fixture(scope="module")
def index(models_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantRunbookIndex]:
    """Return the shipped runbooks in a folder, embedded by MiniLM."""
    minilm = MiniLmEmbeddings.from_home(models_home)
    place = str(tmp_path_factory.mktemp("index"))
    opened = open_index(place, minilm, embedding_model=EMBEDDING_MODEL)
    opened.sync(load_folder(shipped_runbooks()).runbooks)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("seen", "runbook"),
    [
        ("the database does not hand out any more sessions to our application", "connection-pool-exhausted"),
        ("process was terminated by the kernel because RAM ran out", "memory-leak-oomkilled"),
        ("storage volume has almost no free capacity left", "disk-filling"),
        ("the worker no longer sends any telemetry", "service-silent"),
        ("hostnames cannot be resolved", "network-errors"),
        ("the new version we shipped tonight answers with server errors", "errors-after-deploy"),
        ("two transactions block each other", "postgresql-lock-contention"),
    ],
)
def test_paraphrases_find_their_runbook(index: QdrantRunbookIndex, seen: str, runbook: str) -> None:
    """What people say in their own words is among the first three."""
    assert runbook in [hit.runbook for hit in index.search(seen, limit=3)]
    assert index.degraded == ()


def test_literal_messages_still_come_first(index: QdrantRunbookIndex) -> None:
    """Fusion does not lose what words alone find."""
    assert index.search("ERROR: deadlock detected", limit=1)[0].runbook == "postgresql-lock-contention"
    assert index.search("No space left on device", limit=1)[0].runbook == "disk-filling"
