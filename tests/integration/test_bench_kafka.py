"""The Kafka row of the bench against a real broker: both sides read every record, and ours closes windows."""

from __future__ import annotations

import uuid

from agent.evaluate.stream_bench import BATCH, kafka_row
from tests.support.broker import Broker, ExistingBroker


def test_both_sides_read_the_whole_topic(broker: Broker | ExistingBroker) -> None:
    """The row names what was read, and neither side is free."""
    row = kafka_row(broker.bootstrap, f"bench-{uuid.uuid4().hex[:8]}", lines=400, rounds=1)
    assert row.name == "kafka_to_windows"
    assert 0 < row.speed < 5
    assert f"records of {BATCH // 1000} kB, 400 flat JSON lines" in row.given
