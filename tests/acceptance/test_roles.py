"""Three processes for one stream: two read and make windows, one detects; topics have two partitions."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import SIGNALS, Topics
from tests.support.broker import Broker, ExistingBroker
from tests.support.service import FAULTLINE, RunningService, running_service


@pytest.fixture
def shared(broker: Broker | ExistingBroker) -> Topics:
    """Create telemetry topics of two partitions, and what the processes share."""
    made = Topics(prefix=f"roles-{uuid.uuid4().hex[:8]}.", bootstrap=broker.bootstrap)
    for signal in SIGNALS:
        broker.create_topic(made.prefix + signal, partitions=2)
    for topic in (made.incidents, made.dead_letters, f"{made.prefix}windows"):
        broker.create_topic(topic)
    return made


def _settings(topics: Topics, folder: Path, role: str, owner: str) -> dict[str, Any]:
    return {
        "home": str(folder / owner),
        "database": f"sqlite:///{folder / 'shared.db'}",
        "redaction_key": "one for all",
        "role": role,
        "owner": owner,
        "http": {"port": 0},
        "model": {"kind": "none"},
        "knowledge": {"shipped": False, "embeddings": False},
        "kafka": {
            "bootstrap_servers": topics.bootstrap,
            "group_id": topics.group,
            "topics": [{"name": topics.prefix + signal} for signal in SIGNALS],
            "incidents_topic": topics.incidents,
            "dead_letter_topic": topics.dead_letters,
            "windows_topic": f"{topics.prefix}windows",
        },
    }


@contextlib.contextmanager
def _processes(topics: Topics, folder: Path) -> Iterator[dict[str, RunningService]]:
    """Run detect-0, ingest-0 and ingest-1."""
    with contextlib.ExitStack() as stack:
        yield {
            owner: stack.enter_context(
                running_service(
                    _settings(topics, folder, owner.split("-")[0], owner), folder / f"run-{owner}"
                )
            )
            for owner in ("detect-0", "ingest-0", "ingest-1")
        }


def _partitions(service: RunningService) -> int:
    return sum(name.startswith("faultline_source_lag_records") for name, _ in service.metrics())


def test_two_readers_and_one_detector_find_the_incident(
    shared: Topics, slow_dependency: Path, tmp_path: Path
) -> None:
    """Both readers take their share, no window loses a line, and the incident opens where detection runs."""
    with _processes(shared, tmp_path) as services:
        readers = [services["ingest-0"], services["ingest-1"]]
        detect = services["detect-0"]
        detect.eventually(
            lambda: [_partitions(one) for one in readers] == [4, 4], "half of the partitions each"
        )
        to_kafka = ["--to", "kafka", "--bootstrap", shared.bootstrap, "--prefix", shared.prefix]
        subprocess.run(
            [str(FAULTLINE), "replay", str(slow_dependency), *to_kafka],
            check=True,
            timeout=180,
            capture_output=True,
        )
        found = detect.eventually(
            lambda: detect.get("/api/v1/incidents")["incidents"], "an incident opens", within=180
        )
        metrics = {owner: service.metrics() for owner, service in services.items()}
        codes = {owner: service.terminate(within=25) for owner, service in services.items()}
    assert found[0]["services"]
    for reader in ("ingest-0", "ingest-1"):
        assert metrics[reader]["faultline_records_total", ()] > 0
        assert metrics[reader]["faultline_windows_closed_total", ()] > 0
    assert metrics["detect-0"]["faultline_window_events_total", ("late",)] == 0
    assert set(codes.values()) == {0}
