"""The incidents topic as a channel: one CloudEvent a notification, certain once the producer flushed.

Knows no Kafka library; what the producer raises is the sender's to retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.deliver.events import cloud_event
from agent.deliver.notification import Notification


class Producer(Protocol):
    """What this channel needs of a producer (`ingest.kafka_producer.Producer` is one)."""

    def send(
        self, topic: str, *, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Queue one record."""
        ...

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything queued is delivered; raise naming what was not."""
        ...


class KafkaChannel:
    """Publishes notifications to `topic`. The producer is the caller's to close."""

    def __init__(
        self,
        *,
        producer: Producer,
        topic: str = "faultline.incidents",
        source: str = "/faultline",
        public_url: str | None = None,
        timeout_s: float = 30.0,
        name: str = "kafka",
    ) -> None:
        self._producer, self._topic, self._source = producer, topic, source
        self._public_url, self._timeout_s = public_url, timeout_s
        self.name = name

    def send(self, notification: Notification, attempt: int) -> str | None:
        """Produce and flush. The receipt is the topic and key under which the event can be found."""
        del attempt
        event = cloud_event(notification, source=self._source, public_url=self._public_url)
        self._producer.send(self._topic, key=event.key, value=event.value, headers=event.headers)
        self._producer.flush(self._timeout_s)
        return f"{self._topic}/{notification.incident.id}"

    def close(self) -> None:
        """Leave the producer to its owner."""
