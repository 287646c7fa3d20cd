"""What a process of each role does besides its stream."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.app import parts
from agent.app.service import Service
from agent.settings import load_settings


@pytest.mark.parametrize(
    ("role", "loops"),
    [("ingest", {"stream"}), ("detect", {"stream", "worker", "sender", "housekeeping"})],
)
def test_only_who_detects_investigates_delivers_and_forgets(role: str, loops: set[str]) -> None:
    """A process that only reads may have no partition, and then its clock must not say what is old."""

    def wait(stop: threading.Event) -> None:
        stop.wait(10)

    runs: Any = SimpleNamespace(run=wait)
    language: Any = SimpleNamespace(warm=lambda: None)
    nothing: Any = None
    service = Service(
        settings=load_settings(
            role=role, kafka={"bootstrap_servers": "kafka:9092"}, database="postgresql://db/faultline"
        ),
        store=nothing,
        stream=runs,
        worker=runs,
        sender=runs,
        announcer=nothing,
        language=language,
        source=nothing,
        degraded=(),
        _closing=ExitStack(),
        _stop=threading.Event(),
        _threads=[],
    )
    service.start()
    assert {name for name, alive in service.alive().items() if alive} == loops
    service.stop()
    assert not any(service.alive().values())


def test_a_reader_without_the_common_key_says_so(tmp_path: Path) -> None:
    """The same secret has one hash everywhere only under one key; a process by itself needs none."""
    common: dict[str, Any] = {
        "home": tmp_path,
        "kafka": {"bootstrap_servers": "kafka:9092"},
        "database": "postgresql://db/faultline",
    }
    for role, key, said in (
        ("ingest", "", ["redaction.own_key"]),
        ("ingest", "one for all", []),
        ("all", "", []),
    ):
        with capture_logs() as logs:
            parts.redaction_key(load_settings(**common, role=role, redaction_key=key))
        assert [entry["event"] for entry in logs] == said
