"""Raw OTLP on Kafka in; the same analysis on the incidents topic, at a webhook and in the API out."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from agent.deliver.events import shipped_schema
from agent.deliver.webhook import verify
from tests.acceptance.conftest import SIGNALS, Topics
from tests.support.receiver import Receiver, receiver
from tests.support.service import FAULTLINE, RunningService, eventually, running_service

SECRET = b"a secret that both ends know"
MODEL_PATIENCE_S = 200.0
"""The default model on two busy cores: loading and some hundred tokens."""


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """Run a webhook receiver."""
    with receiver() as running:
        yield running


def settings(home: Path, topics: Topics, hook: Receiver) -> dict[str, Any]:
    return {
        "home": str(home),
        "http": {"port": 0},
        "kafka": {
            "bootstrap_servers": topics.bootstrap,
            "group_id": topics.group,
            "topics": [{"name": topics.prefix + signal} for signal in SIGNALS],
            "incidents_topic": topics.incidents,
            "dead_letter_topic": topics.dead_letters,
        },
        "deliver": {"webhooks": [{"name": "tool", "url": hook.url, "secret": SECRET.decode()}]},
    }


def replay(recording: Path, topics: Topics) -> None:
    """Produce the recording as raw OTLP, as fast as it goes, so that it ends now."""
    to_kafka = ["--to", "kafka", "--bootstrap", topics.bootstrap, "--prefix", topics.prefix]
    command = [str(FAULTLINE), "replay", str(recording), *to_kafka]
    subprocess.run(command, check=True, timeout=180, capture_output=True)


def explained(service: RunningService) -> dict[str, Any] | None:
    """Return the newest analysis of the worst incident once the model has worded it."""
    for incident in service.get("/api/v1/incidents")["incidents"]:
        analysis = service.get(f"/api/v1/incidents/{incident['id']}/analysis")
        if analysis is not None and analysis["stage"] == "explained":
            return dict(analysis)
    return None


def same(analysis: dict[str, Any], other: dict[str, Any] | None) -> bool:
    keys = ("incident_id", "revision", "stage")
    return other is not None and all(analysis[key] == other[key] for key in keys)


def at_the_webhook(hook: Receiver, analysis: dict[str, Any]) -> dict[str, Any] | None:
    """Return the webhook's message that carries this analysis, its signature verified."""
    for request in list(hook.received):
        verify(SECRET, request.headers, request.body, time.time_ns())
        message = json.loads(request.body)
        if same(analysis, message["analysis"]):
            assert request.headers["Idempotency-Key"] == message["delivery_id"]
            return dict(message)
    return None


def on_the_topic(topics: Topics) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """Return (key, headers, data) of every CloudEvent on the incidents topic."""
    consumer = KafkaConsumer(bootstrap_servers=topics.bootstrap, enable_auto_commit=False)
    try:
        partition = TopicPartition(topics.incidents, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found = []
        while consumer.position(partition) < end:
            for message in consumer.poll(timeout_ms=500).get(partition, []):
                headers = {name: value.decode() for name, value in message.headers}
                found.append((message.key.decode(), headers, json.loads(message.value)))
        return found
    finally:
        consumer.close()


def members(topics: Topics) -> int:
    """Return how many members the consumer group has now."""
    admin = KafkaAdminClient(bootstrap_servers=topics.bootstrap)
    try:
        return len(admin.describe_groups([topics.group])[topics.group]["members"])
    finally:
        admin.close()


def test_a_recording_on_kafka_becomes_one_analysis_at_all_ends(
    topics: Topics, hook: Receiver, slow_dependency: Path, default_weights: Path, tmp_path: Path
) -> None:
    """Topic, signed webhook and API carry the same incident and the same analysis, worded by the model."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(default_weights)
    with running_service(settings(home, topics, hook), tmp_path) as service:
        replay(slow_dependency, topics)
        analysis = service.eventually(
            lambda: explained(service), "an explained analysis", within=MODEL_PATIENCE_S
        )
        incident_id = analysis["incident_id"]
        message = service.eventually(lambda: at_the_webhook(hook, analysis), "the analysis at the webhook")
        event = service.eventually(
            lambda: [found for found in on_the_topic(topics) if same(analysis, found[2]["analysis"])],
            "the analysis on the incidents topic",
        )
        assert len(event) == 1
        key, headers, data = event[0]
        opened = [found for found in on_the_topic(topics) if found[1]["ce_type"].endswith("opened.v1")]
        metrics = service.metrics()
        code = service.terminate(within=20)

    assert analysis["provenance"]["degraded"] == []
    assert analysis["provenance"]["model"]
    assert key == headers["ce_subject"] == data["incident"]["id"] == message["incident"]["id"] == incident_id
    assert incident_id in {found[0] for found in opened}
    assert headers["ce_type"] == "faultline.incident.analyzed.v1"
    assert headers["ce_dataschema"] == shipped_schema()["$id"]
    assert analysis == data["analysis"] == message["analysis"]
    assert metrics["faultline_window_events_total", ("late",)] == 0
    assert code == 0
    eventually(lambda: members(topics) == 0, "the service has left the group", within=5)
