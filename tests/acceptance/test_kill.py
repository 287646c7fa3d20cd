"""`kill -9` at every commit step and inside an investigation: nothing is lost, nothing is there twice."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaConsumer, TopicPartition
from langchain_core.messages import BaseMessage

from agent.analysis import Analysis, Stage
from agent.app.replay_to_kafka import replay_to_kafka
from agent.store.port import IncidentQuery
from agent.store.sql import SqlStore
from ingest.record import SECOND
from models.scripted import ScriptedChat
from tests.acceptance.conftest import Topics
from tests.support.openai_server import serving
from tests.support.receiver import Receiver, receiver
from tests.support.service import clean_environment, running_service

SIGNALS = ("logs", "metrics", "traces")
ENDS_AT = 1_700_000_040 * SECOND
"""Event times are fixed, so that every run over the topics sees the same."""
NEVER_IDLE = 86_400
"""Seconds. Time then moves by records alone and ends at the same point in every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is in the topics, and how many records each holds."""

    topics: Topics
    ends: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One home of the service with its own consumer group, run in pieces by the harness."""

    folder: Path
    content: Content
    hook: str = "http://127.0.0.1:9/nobody"

    @property
    def database(self) -> Path:
        return self.folder / "home" / "faultline.db"

    def run(self, part: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one part of the service in a process of its own; return how it ended."""
        config = self.folder / "faultline.yaml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(yaml.safe_dump(self.settings()), encoding="utf-8")
        command = [sys.executable, "-m", "tests.support.harness", part, str(config), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=240, check=False, env=clean_environment()
        )

    def done(self, part: str, *arguments: str) -> dict[str, Any]:
        """Run one part to its end and return what it says."""
        ended = self.run(part, *arguments)
        assert ended.returncode == 0, ended.stderr[-3000:]
        result: dict[str, Any] = json.loads(ended.stdout)
        assert not result.get("failures"), ended.stderr[-3000:]
        return result

    def killed(self, part: str, *arguments: str) -> None:
        """Run one part that kills itself."""
        ended = self.run(part, *arguments)
        assert ended.returncode == -signal.SIGKILL, ended.stderr[-3000:]

    def all_read(self) -> tuple[str, ...]:
        """Return the arguments that have the stream read all there is."""
        return tuple(f"--until={topic}={end}" for topic, end in self.content.ends.items())

    @contextmanager
    def store(self) -> Iterator[SqlStore]:
        opened = SqlStore(f"sqlite:///{self.database}")
        try:
            yield opened
        finally:
            opened.close()

    def rows(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self.database)
        try:
            return sorted(connection.execute(query).fetchall())
        finally:
            connection.close()

    def found(self) -> dict[str, Any]:
        """Return everything that must not depend on when the process was killed."""
        with self.store() as store:
            incidents = store.incidents(IncidentQuery(limit=200)).incidents
            analyses = [analysis for incident in incidents for analysis in store.analyses(incident.id)]
        return {
            "incidents": sorted(incidents, key=lambda incident: incident.id),
            "anomalies": self.rows("SELECT id, incident_id, body FROM anomalies"),
            "analyses": [timeless(analysis) for analysis in analyses],
            "deliveries": self.rows("SELECT delivery_id, channel, kind FROM outbox"),
            "telemetry": self.rows("SELECT environment, service, minute, windows FROM telemetry"),
        }

    def settings(self) -> dict[str, Any]:
        """Return the settings of the service that lives here."""
        topics = self.content.topics
        return {
            "home": str(self.folder / "home"),
            "redaction_key": "the same in every run",
            "model": {"kind": "none"},
            "knowledge": {"embeddings": False},
            "windows": {"idle": NEVER_IDLE},
            # Small bites, so that what is found spreads over many commits.
            "stream": {"checkpoint_seconds": 0.1, "pause_at": 400, "resume_at": 200},
            "kafka": {
                "bootstrap_servers": topics.bootstrap,
                "group_id": topics.prefix + self.folder.name,
                "topics": [{"name": topics.prefix + signal} for signal in SIGNALS],
                "incidents_topic": topics.incidents,
                "dead_letter_topic": topics.dead_letters,
                "consumer": {
                    "max_partition_fetch_bytes": 100_000,
                    "fetch_max_bytes": 300_000,
                    # The broker waits for a killed member as long as this before the next one reads.
                    "session_timeout_ms": 3000,
                    "heartbeat_interval_ms": 500,
                },
            },
            "deliver": {"webhooks": [{"name": "tool", "url": self.hook, "secret": "known"}]},
        }


def timeless(analysis: Analysis) -> Analysis:
    """Return the analysis without how long it took."""
    return dataclasses.replace(analysis, provenance=dataclasses.replace(analysis.provenance, seconds=0.0))


@pytest.fixture(scope="module")
def content(topics: Topics, slow_dependency: Path) -> Content:
    """Produce the recording to the topics once, at fixed times."""
    replay_to_kafka(slow_dependency, topics.bootstrap, prefix=topics.prefix, speed=None, shift_to=ENDS_AT)
    return Content(topics=topics, ends=ends(topics, [topics.prefix + signal for signal in SIGNALS]))


def ends(topics: Topics, names: Sequence[str]) -> dict[str, int]:
    """Return how many records each topic's only partition holds."""
    consumer = KafkaConsumer(bootstrap_servers=topics.bootstrap)
    try:
        found = consumer.end_offsets([TopicPartition(name, 0) for name in names])
        return {partition.topic: int(end) for partition, end in found.items()}
    finally:
        consumer.close()


@pytest.fixture(scope="module")
def undisturbed(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Run the stream over the content without a kill; nothing is investigated yet."""
    place = Place(folder=tmp_path_factory.mktemp("undisturbed"), content=content)
    assert place.done("stream", *place.all_read())["late"] == 0
    return place


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """Run a webhook receiver."""
    with receiver() as running:
        yield running


def copy_of(place: Place, folder: Path, **fields: Any) -> Place:
    """Return another place with a copy of what `place` has stored."""
    shutil.copytree(place.folder / "home", folder / "home")
    return Place(folder=folder, content=place.content, **fields)


def test_killed_at_each_commit_step_no_anomaly_is_lost_and_none_doubled(
    undisturbed: Place, hook: Receiver, tmp_path: Path
) -> None:
    """Killed at steps 1, 2 and 3 of commits with news, the stream ends up with what one run finds."""
    killed = Place(folder=tmp_path / "killed", content=undisturbed.content, hook=hook.url)
    for step in (1, 2, 3):
        killed.killed("stream", *killed.all_read(), f"--kill-at-step={step}")
    assert killed.done("stream", *killed.all_read())["late"] == 0
    reference = copy_of(undisturbed, tmp_path / "reference")
    for place in (killed, reference):
        place.done("investigate")
    found, expected = killed.found(), reference.found()
    assert expected["incidents"]
    assert expected["analyses"]
    for what, values in expected.items():
        assert found[what] == values, what

    killed.done("send")
    delivered = [request.headers["Idempotency-Key"] for request in hook.received]
    due = [delivery for delivery, channel, _ in expected["deliveries"] if channel == "webhook:tool"]
    assert sorted(delivered) == due


def test_killed_inside_a_node_an_investigation_resumes_at_that_node(
    undisturbed: Place, tmp_path: Path
) -> None:
    """The statistics before it are not gathered again; each stage has one analysis and is said once."""
    place = copy_of(undisturbed, tmp_path)
    due = place.rows("SELECT incident_id FROM investigations WHERE revision > finished_revision")
    place.killed("investigate", "--kill-when-asked")
    with place.store() as store:
        leased = place.rows("SELECT incident_id FROM investigations WHERE worker IS NOT NULL")
        assert len(leased) == 1
        incident_id = leased[0][0]
        [statistics] = store.analyses(incident_id)
    # Whoever gathers again would now find nothing.
    with sqlite3.connect(place.database) as connection:
        connection.execute("DELETE FROM telemetry")
    connection.close()
    suspect = statistics.hypotheses[0].service

    said = place.done("investigate", "--suspect", suspect)
    assert said == {"investigations": len(due), "resumed": 1, "failures": 0}
    with place.store() as store:
        first, explained = store.analyses(incident_id)
        assert store.stats()["investigations_due"] == 0
    assert first == statistics
    assert (first.stage, explained.stage) == (Stage.STATISTICS, Stage.EXPLAINED)
    assert explained.revision == first.revision
    assert explained.provenance.model == "scripted"
    assert explained.provenance.degraded == statistics.provenance.degraded
    assert [hypothesis.service for hypothesis in explained.hypotheses] == [
        hypothesis.service for hypothesis in statistics.hypotheses
    ]
    assert explained.headline == f"{suspect} took longer and calls to it waited"
    analysed = place.rows(
        f"SELECT channel FROM outbox WHERE kind = 'analyzed' AND incident_id = '{incident_id}'"
    )
    assert analysed == [("kafka",), ("kafka",), ("webhook:tool",), ("webhook:tool",)]


def test_sigterm_within_an_investigation_ends_in_time_and_the_next_start_goes_on(
    undisturbed: Place, tmp_path: Path
) -> None:
    """A model that hangs holds up no stop and degrades nothing: the next start asks again, at that node."""
    place = copy_of(undisturbed, tmp_path)
    asked: list[str] = []

    def answer(messages: list[BaseMessage]) -> str:
        asked.append(str(messages[-1].content))
        claim = {"text": f"{suspect} took longer.", "evidence": ["E1"]}
        headline = f"{suspect} took longer and calls to it waited"
        return json.dumps({"suspect": suspect, "headline": headline, "claims": [claim], "steps": ["S1"]})

    with serving(ScriptedChat(answer)) as server:
        model = {"kind": "openai", "name": "remote", "base_url": server.base_url}
        # Without Kafka: only the investigation that is due keeps the process busy.
        settings = {**place.settings(), "http": {"port": 0}, "kafka": {}, "deliver": {}, "model": model}
        server.delay = 60.0
        with running_service(settings, tmp_path) as service:
            service.eventually(lambda: server.payloads, "the model is asked")
            assert service.terminate(within=20) == 0
        incident_id = place.rows("SELECT incident_id FROM investigations WHERE worker IS NOT NULL")[0][0]
        with place.store() as store:
            [statistics] = store.analyses(incident_id)
        suspect = statistics.hypotheses[0].service
        server.delay = 0.0
        with running_service(settings, tmp_path) as service:
            service.eventually(
                lambda: len(service.get(f"/api/v1/incidents/{incident_id}/analyses")["analyses"]) == 2,
                "the explained analysis",
            )
            assert service.terminate(within=20) == 0
    with place.store() as store:
        first, explained = store.analyses(incident_id)
    assert first == statistics
    assert explained.provenance.degraded == statistics.provenance.degraded
    assert asked
