"""The raw components that `faultline bench` measures against, used the plain way their own guides show.

The only place outside the rooms that own them where PyOD, Drain3 and kafka-python are imported: as opponents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from drain3.drain import Drain
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from ingest.masking import mask, subject

_PATIENCE = 30
"""Seconds without a record after which a topic counts as lost."""


class PlainDrain:
    """One Drain3 tree a service, with the same masks before it."""

    def __init__(self, *, depth: int, similarity: float) -> None:
        self._depth, self._similarity = depth, similarity
        self._trees: dict[str, Any] = {}

    def assign(self, service: str, body: str) -> int:
        """Return the number of the body's cluster in its service's tree."""
        tree = self._trees.get(service)
        if tree is None:
            tree = self._trees[service] = Drain(
                depth=self._depth, sim_th=self._similarity, parametrize_numeric_tokens=False
            )
        cluster, _ = tree.add_log_message(mask(subject(body)))
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
    """A consumer of one partition, and the records that it polls from the beginning."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._partition = TopicPartition(topic, 0)
        self._count = 0
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)

    def fill(self, values: Sequence[bytes]) -> None:
        """Write records; the topic is made by the first."""
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=20)
        try:
            for value in values:
                producer.send(self._partition.topic, value=value, partition=0)
            producer.flush()
        finally:
            producer.close()
        self._count = len(values)
        self._consumer.assign([self._partition])

    def polls(self) -> Iterator[Sequence[Any]]:
        """Yield what each poll brings until all records have come."""
        self._consumer.seek_to_beginning(self._partition)
        left, waited = self._count, 0
        while left > 0:
            polled = self._consumer.poll(timeout_ms=1_000)
            waited = 0 if polled else waited + 1
            if waited > _PATIENCE:
                raise RuntimeError(f"{left} records of topic {self._partition.topic} did not come back")
            for messages in polled.values():
                left -= len(messages)
                yield messages

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
