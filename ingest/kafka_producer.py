"""Out to Kafka: dead letters, the incidents topic, replays. Idempotent, so a retry inside it doubles nothing.

`send` only queues; `flush` is where delivery is certain, or raises with what failed. Connects on first use
and again after a failure to connect, so a broker that is away at the start does no harm.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from ingest.client_settings import checked_settings

DEFAULTS: Mapping[str, Any] = {
    "client_id": "faultline",
    "linger_ms": 5,
    "delivery_timeout_ms": 60_000,
    "reconnect_backoff_max_ms": 2000,
    "bootstrap_timeout_ms": 5000,
    "max_block_ms": 15_000,
    "metrics_enabled": False,
}
RESERVED: Mapping[str, str] = {
    "bootstrap_servers": "it has a setting of its own",
    "key_serializer": "records are bytes already",
    "value_serializer": "records are bytes already",
    "kafka_client": "the producer keeps hold of its client to close it",
    "transactional_id": "commits are the store's, not the broker's",
}

Headers = Sequence[tuple[str, bytes]]


class DeliveryError(Exception):
    """Records were not delivered. Sending them again is safe for whoever looks at their ids."""


class ProducerLike(Protocol):
    """What senders need of a producer."""

    def send(self, topic: str, *, key: bytes | None, value: bytes, headers: Headers = ()) -> None:
        """Queue one record. Raises DeliveryError when it cannot even be queued."""
        ...

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything queued is delivered. Raises DeliveryError naming what was not."""
        ...


class _Sent(threading.local):
    """What one thread sent since its last flush: a failure must reach the thread whose record it is."""

    KEPT = 10_000

    def __init__(self) -> None:
        self.futures: list[tuple[str, Any]] = []

    def add(self, topic: str, future: Any) -> None:
        """Remember a record under way; those delivered are forgotten now and then."""
        self.futures.append((topic, future))
        if len(self.futures) >= self.KEPT:
            self.futures = [(name, known) for name, known in self.futures if not known.succeeded()]

    def failures(self) -> dict[str, int]:
        """Forget everything; return causes and how many records each cost."""
        futures, self.futures = self.futures, []
        failed: dict[str, int] = {}
        for topic, future in futures:
            if not future.succeeded():
                cause = f"topic {topic}: {future.exception or 'not sent'}"
                failed[cause] = failed.get(cause, 0) + 1
        return failed


class Producer:
    """An idempotent producer that threads may share: each flushes its own records.

    Construction checks settings (ValueError) and connects nowhere.
    """

    def __init__(
        self, *, bootstrap_servers: str | Sequence[str], client: Mapping[str, Any] | None = None
    ) -> None:
        given = checked_settings(
            client or {}, known=KafkaProducer.DEFAULT_CONFIG, reserved=RESERVED, client="producer"
        )
        self._settings = {**DEFAULTS, **given, "bootstrap_servers": bootstrap_servers}
        self._lock = threading.Lock()
        self._producer: KafkaProducer | None = None
        self._clients: list[KafkaNetClient] = []
        self._closed = False
        self._mine = _Sent()

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes,
        headers: Headers = (),
        partition: int | None = None,
    ) -> None:
        """Queue one record; waits for room or metadata up to `max_block_ms`. Raises DeliveryError."""
        producer = self._connected()
        try:
            future = producer.send(topic, key=key, value=value, headers=list(headers), partition=partition)
        except KafkaError as error:
            raise DeliveryError(
                f"topic {topic}: {error}; check the broker and the topic's settings"
            ) from error
        self._mine.add(topic, future)

    def partitions(self, topic: str) -> tuple[int, ...]:
        """Return a topic's partitions; waits for metadata up to `max_block_ms`. Raises DeliveryError."""
        producer = self._connected()
        try:
            found = producer.partitions_for(topic)
        except KafkaError as error:
            raise DeliveryError(
                f"topic {topic}: {error}; create it, or let the broker create topics"
            ) from error
        if not found:
            raise DeliveryError(f"topic {topic} has no partitions yet; create it")
        return tuple(sorted(found))

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until all is delivered, at most `timeout_s`.

        Raises DeliveryError with causes and counts of what this thread sent and was not delivered.
        """
        producer = self._producer
        if producer is not None:
            try:
                producer.flush(timeout=timeout_s)
            except KafkaError as error:
                raise DeliveryError(f"not delivered within {timeout_s:g} s: {error}") from error
        failed = self._mine.failures()
        if failed:
            if producer is not None:
                self._start_over(producer)
            causes = "; ".join(f"{cause} ({count} records)" for cause, count in sorted(failed.items()))
            raise DeliveryError(causes)

    def close(self, timeout_s: float = 10.0) -> None:
        """Deliver what can still be delivered within `timeout_s` and disconnect. Raises DeliveryError."""
        with self._lock:
            producer, self._producer, self._closed = self._producer, None, True
        if producer is None:
            return
        try:
            producer.close(timeout=timeout_s)
        except KafkaError as error:
            self._hang_up()  # a close that cannot deliver leaves the client running
            raise DeliveryError(f"not delivered before closing: {error}") from error

    def _start_over(self, producer: KafkaProducer) -> None:
        """Drop a producer that failed: a refusal by the broker ends an idempotent producer for good."""
        with self._lock:
            others = self._producer is not producer
            if others:
                return
            self._producer = None
            clients, self._clients = self._clients, []
        with contextlib.suppress(KafkaError):
            producer.close(timeout=5)
        for client in clients:
            client.close()

    def _hang_up(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def _connected(self) -> KafkaProducer:
        with self._lock:
            if self._closed:
                raise DeliveryError("the producer is closed")
            if self._producer is None:
                self._producer = self._connect()
            return self._producer

    def _connect(self) -> KafkaProducer:
        def remember(**settings: Any) -> KafkaNetClient:
            self._clients.append(KafkaNetClient(**settings))
            return self._clients[-1]

        try:
            return KafkaProducer(**self._settings, kafka_client=remember)
        except (KafkaError, OSError) as error:
            self._hang_up()  # a constructor that raises leaves its I/O thread running
            servers = self._settings["bootstrap_servers"]
            raise DeliveryError(f"no Kafka broker answers at {servers}: {error}") from error
