"""The Kafka rows of the bench against a real broker: every record is read, and windows close."""

from __future__ import annotations

import uuid

from agent.evaluate.bench_processes import processes_row
from agent.evaluate.stream_bench import BATCH, kafka_row
from tests.support.broker import Broker, ExistingBroker


def test_both_sides_read_the_whole_topic(broker: Broker | ExistingBroker) -> None:
    """The row names what was read, and neither side is free."""
    row = kafka_row(broker.bootstrap, f"bench-{uuid.uuid4().hex[:8]}", lines=400, rounds=1)
    assert row.name == "kafka_to_windows"
    assert 0 < row.speed < 5
    assert f"records of {BATCH // 1000} kB, 400 flat JSON lines" in row.given


def test_one_and_two_processes_publish_every_line(broker: Broker | ExistingBroker) -> None:
    """The row fails where a line is missing from what was published, so it measures the whole work."""
    row = processes_row(broker.bootstrap, f"bench-{uuid.uuid4().hex[:8]}", lines=600, rounds=1)
    assert row.name == "two_processes"
    assert row.speed > 0
