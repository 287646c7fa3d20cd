"""What tests of sources share: sending numbered records and reading a source like the stream thread does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ingest.kafka_producer import Producer
from ingest.record import Record
from ingest.sources.port import Partition, Rebalanced, Source

PATIENCE_S = 60.0
"""How long anything may take before a test fails; nothing passes or fails by being fast."""


def send_numbers(bootstrap: str, topic: str, numbers: Iterable[int]) -> None:
    """Send each number as one record, keyed by itself."""
    producer = Producer(bootstrap_servers=bootstrap)
    for number in numbers:
        producer.send(topic, key=str(number).encode(), value=str(number).encode())
    producer.flush()
    producer.close()


def until(reached: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail saying what did not happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {PATIENCE_S:g} s: {what}")
        time.sleep(0.02)


class Reader:
    """Plays the stream thread by hand: keeps records, positions and rebalances of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.records: list[Record] = []
        self.rebalances: list[Rebalanced] = []
        self.positions: dict[Partition, int] = {}

    @property
    def numbers(self) -> list[int]:
        return [int(record.value) for record in self.records]

    def step(self, timeout_s: float = 0.05) -> None:
        """Poll once; a checkpoint (commit) is written when partitions are revoked."""
        for item in self.source.poll(timeout_s):
            if isinstance(item, Rebalanced):
                self.rebalances.append(item)
                if item.revoked and not item.lost:
                    self.source.commit(self.positions)
                for part in item.revoked:
                    self.positions.pop(part, None)
                self.positions.update(item.positions)
            else:
                self.records.append(item)
                self.positions[(item.origin.topic, item.origin.partition)] = item.origin.offset + 1

    def read_until(self, reached: Callable[[], bool], what: str) -> None:
        """Poll until `reached`."""

        def look() -> bool:
            self.step()
            return reached()

        until(look, what)

    def read(self, count: int) -> None:
        """Poll until `count` records have come."""
        self.read_until(lambda: len(self.records) >= count, f"{count} records, have {len(self.records)}")
