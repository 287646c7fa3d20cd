"""The raw components that `faultline bench` measures against, used the plain way their own guides show.

The only place outside the rooms that own them where PyOD, Drain3 and kafka-python are imported: as opponents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from drain3.drain import Drain
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from ingest.masking import mask, subject

_PATIENCE = 30
"""Seconds without a record after which a topic counts as lost."""


class PlainDrain:
    """One Drain3 tree a service, with the same masks before it; without `masks` as Drain3 comes."""

    def __init__(self, *, depth: int = 4, similarity: float = 0.4, masks: bool = True) -> None:
        self._depth, self._similarity, self._masks = depth, similarity, masks
        self._trees: dict[str, Any] = {}

    def assign(self, service: str, body: str) -> int:
        """Return the number of the body's cluster in its service's tree."""
        tree = self._trees.get(service)
        if tree is None:
            tree = self._trees[service] = Drain(
                depth=self._depth, sim_th=self._similarity, parametrize_numeric_tokens=not self._masks
            )
        cluster, _ = tree.add_log_message(mask(subject(body)) if self._masks else body)
        return int(cluster.cluster_id)


class MadLoop:
    """One PyOD MAD a series, asked one after the other. Importing PyOD takes seconds."""

    def __init__(self, histories: Sequence[Sequence[float]]) -> None:
        from pyod.models.mad import MAD

        self._new = MAD
        self._columns = [np.array(history).reshape(-1, 1) for history in histories]
        self._fitted = [MAD().fit(column) for column in self._columns]

    def fit_and_score(self, values: Sequence[float]) -> list[float]:
        """Return the score of each series' next value by a detector fitted to its history now."""
        return [
            float(self._new().fit(column).decision_function(np.array([[value]]))[0])
            for column, value in zip(self._columns, values, strict=True)
        ]

    def score(self, values: Sequence[float]) -> list[float]:
        """Return the score of each series' next value by its detector, fitted before."""
        return [
            float(detector.decision_function(np.array([[value]]))[0])
            for detector, value in zip(self._fitted, values, strict=True)
        ]


class PollLoop:
    """A consumer of some partitions of a topic, and the records that it polls from the beginning."""

    def __init__(self, bootstrap: str, topic: str, partitions: Sequence[int] = (0,)) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._partitions = [TopicPartition(topic, number) for number in partitions]
        self._count = 0
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)

    def fill(self, shares: Sequence[Sequence[bytes]]) -> None:
        """Write each partition's records; the topic is made with as many partitions as there are shares."""
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            admin.create_topics({self._topic: {"num_partitions": len(shares), "replication_factor": 1}})
        finally:
            admin.close()
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=20)
        try:
            for number, values in enumerate(shares):
                for value in values:
                    producer.send(self._topic, value=value, partition=number)
            producer.flush()
        finally:
            producer.close()
        self.expect(sum(map(len, shares)))

    def expect(self, count: int) -> None:
        """Go to the beginning of the partitions, which hold `count` records together."""
        self._count = count
        self._consumer.assign(self._partitions)

    def polls(self) -> Iterator[Sequence[Any]]:
        """Yield what each poll brings until all records have come."""
        self._consumer.seek_to_beginning(*self._partitions)
        left, waited = self._count, 0
        while left > 0:
            polled = self._consumer.poll(timeout_ms=1_000)
            waited = 0 if polled else waited + 1
            if waited > _PATIENCE:
                raise RuntimeError(f"{left} records of topic {self._topic} did not come back")
            for messages in polled.values():
                left -= len(messages)
                yield messages

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
