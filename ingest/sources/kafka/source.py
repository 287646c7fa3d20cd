"""Records from Kafka: one thread owns the client and feeds the stream thread through a mailbox.

A member of a consumer group with manual commits. Order within a partition is Kafka's; delivery is at least
once. Positions come from the store (`start` and `positions_for`), Kafka's own commit is only a fallback.
Back-pressure pauses the partitions, membership goes on. A broker that is away, at the start or later, is
waited for; only what waiting cannot mend ends in `SourceError`. Never logs what a record holds.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    AuthorizationError,
    FencedInstanceIdError,
    KafkaConfigurationError,
    KafkaError,
    UnsupportedVersionError,
)
from kafka.net.compat import KafkaNetClient

from ingest.client_settings import checked_settings
from ingest.record import Origin, Record
from ingest.sources.handover import Handover
from ingest.sources.kafka.membership import Committer, Listener, offsets_with_metadata
from ingest.sources.mailbox import estimated_events
from ingest.sources.port import Item, Partition, Positions, PositionsFor, SourceCounters, SourceError

log = structlog.get_logger(__name__)

MIB = 1024 * 1024
DEFAULTS: Mapping[str, Any] = {
    "client_id": "faultline",
    "auto_offset_reset": "earliest",
    # A fetch returns at least one record whatever its size, so a record over the limit still arrives
    # and can be dead-lettered instead of blocking its partition.
    "max_partition_fetch_bytes": 4 * MIB,
    "fetch_max_bytes": 16 * MIB,
    "reconnect_backoff_max_ms": 2000,
    "bootstrap_timeout_ms": 5000,
    "metadata_max_age_ms": 30_000,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}
RESERVED: Mapping[str, str] = {
    "bootstrap_servers": "it has a setting of its own",
    "group_id": "it has a setting of its own",
    "enable_auto_commit": "offsets are committed after the store has them, never on a timer",
    "key_deserializer": "decoders read the raw bytes",
    "value_deserializer": "decoders read the raw bytes",
    "kafka_client": "the source keeps hold of its client to close it",
}
FATAL = (AuthorizationError, FencedInstanceIdError, KafkaConfigurationError, UnsupportedVersionError)


class KafkaSource:
    """A `Source` on a consumer group. Construction checks settings (ValueError) and connects nowhere."""

    def __init__(
        self,
        *,
        bootstrap_servers: str | Sequence[str],
        topics: Sequence[str],
        group_id: str = "faultline",
        client: Mapping[str, Any] | None = None,
        positions_for: PositionsFor | None = None,
        pause_at: int = 10_000,
        resume_at: int = 5_000,
        weigh: Callable[[Record], int] = estimated_events,
        batch: int = 500,
        revoke_timeout_s: float = 10.0,
        stall_after_s: float = 15.0,
        close_timeout_s: float = 18.0,
        pin_start: bool = True,
    ) -> None:
        """Topics that begin with `^` are patterns. `pause_at` and `resume_at` count queued events.

        `pin_start` commits where a partition without a position begins, so that a crash before the first
        checkpoint does not skip what came meanwhile.
        """
        if not topics:
            raise ValueError("a Kafka source needs at least one topic")
        given = checked_settings(
            client or {}, known=KafkaConsumer.DEFAULT_CONFIG, reserved=RESERVED, client="consumer"
        )
        self._settings = {**DEFAULTS, **given, "enable_auto_commit": False, "group_id": group_id}
        self._settings["bootstrap_servers"] = bootstrap_servers
        self._topics = tuple(topics)
        self._pause_at, self._resume_at, self._batch = pause_at, resume_at, batch
        self._revoke_timeout_s, self._stall_after_s = revoke_timeout_s, stall_after_s
        self._close_timeout_s, self._pin_start = close_timeout_s, pin_start
        self._counters = SourceCounters()
        self._handover = Handover(counters=self._counters, positions_for=positions_for, weigh=weigh)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        self.connected = False

    @property
    def counters(self) -> SourceCounters:
        return self._counters

    @property
    def exhausted(self) -> bool:
        return False

    def start(self, positions: Positions) -> None:
        self._handover.restart(positions)
        if self._thread is not None and self._failure is None:
            return
        self._failure = None
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="kafka-source", daemon=True)
        self._thread.start()

    def poll(self, timeout_s: float) -> Sequence[Item]:
        items = self._handover.take(timeout_s, self._batch, unless=lambda: self._failure is not None)
        if not items and self._failure is not None:
            raise SourceError(self._failure)
        return items

    def commit(self, positions: Positions) -> str | None:
        return self._handover.commit(positions)

    def assignment(self) -> frozenset[Partition]:
        return self._handover.assignment()

    def lag(self) -> Mapping[Partition, int]:
        return self._handover.lag()

    def close(self) -> None:
        self._stop.set()
        self._handover.mailbox.wake()
        if self._thread is not None:
            self._thread.join(self._close_timeout_s)
            if self._thread.is_alive():
                log.warning(
                    "kafka.close_late", group=self._settings["group_id"], waited=self._close_timeout_s
                )
            self._thread = None

    # The owner thread

    def _run(self) -> None:
        while not self._stop.is_set() and self._failure is None:
            consumer = self._connect()
            if consumer is None:
                return
            listener = Listener(consumer, self._handover, self._revoke_timeout_s, self._stop)
            try:
                self._consume(consumer, listener)
            except FATAL as error:
                self._fail(error)
            except Exception as error:  # the consumer loop: connect anew, lose nothing
                self._counters.connect_failures += 1
                log.error("kafka.client_failed", cause=repr(error), next="connecting anew", exc_info=True)
                self._stop.wait(1.0)
            finally:
                self.connected = False
                self._leave(consumer, listener)

    def _fail(self, error: Exception) -> None:
        log.error("kafka.refused", cause=repr(error), group=self._settings["group_id"])
        self._failure = (
            f"Kafka refused the consumer of group {self._settings['group_id']!r} for good ({error}): check "
            "the Kafka client settings, the access rules of group and topics, and that no second process "
            "runs with the same group_instance_id"
        )
        self._handover.mailbox.wake()

    def _connect(self) -> KafkaConsumer | None:
        delay = 0.5
        while not self._stop.is_set():
            clients: list[KafkaNetClient] = []
            try:
                return KafkaConsumer(**self._settings, kafka_client=remembering(clients))
            except FATAL as error:
                self._fail(error)
                return None
            except (KafkaError, OSError) as error:
                for made in clients:  # a constructor that raises leaves its I/O thread running
                    made.close()
                self._counters.connect_failures += 1
                servers = self._settings["bootstrap_servers"]
                log.warning("kafka.unreachable", servers=servers, cause=str(error), retry_in_s=delay)
                self._stop.wait(delay)
                delay = min(delay * 2, 10.0)
        return None

    def _subscribe(self, consumer: KafkaConsumer, listener: Listener) -> None:
        """Join with metadata at hand: a member that joins before it may never be given partitions."""
        if any(topic.startswith("^") for topic in self._topics):
            consumer.subscribe(pattern=topic_pattern(self._topics), listener=listener)
            consumer.topics()
            return
        consumer.subscribe(topics=list(self._topics), listener=listener)
        missing = [topic for topic in self._topics if not consumer.partitions_for_topic(topic)]
        if missing:
            log.warning("kafka.topics_missing", topics=missing, next="waiting until they are created")

    def _consume(self, consumer: KafkaConsumer, listener: Listener) -> None:
        self._subscribe(consumer, listener)
        committer = Committer(consumer, self._handover)
        full, empty_since, patience = False, time.monotonic(), self._stall_after_s
        while not self._stop.is_set():
            self._seek(consumer)
            committer.send(time.monotonic())
            full = self._balance(consumer, full=full)
            polled = consumer.poll(timeout_ms=20 if full else 200, max_records=self._batch)
            self._counters.polls += 1
            self.connected = True
            self._deliver(consumer, polled)
            if consumer.assignment():
                empty_since, patience = time.monotonic(), self._stall_after_s
            elif time.monotonic() - empty_since > patience:
                # Having no partitions is right for a spare member, so each try waits twice as long.
                self._rejoin(consumer, listener)
                empty_since, patience = time.monotonic(), min(patience * 2, 3600.0)

    def _rejoin(self, consumer: KafkaConsumer, listener: Listener) -> None:
        self._counters.rejoins += 1
        log.warning("kafka.no_partitions", group=self._settings["group_id"], next="joining the group again")
        consumer.unsubscribe()
        self._subscribe(consumer, listener)

    def _seek(self, consumer: KafkaConsumer) -> None:
        """Begin where the stream said, else at Kafka's commit, else at `auto_offset_reset`."""
        begin = self._handover.begin()
        for part, offset in begin.items():
            if offset is not None:
                consumer.seek(TopicPartition(*part), offset)
        known = {part: at for part, at in begin.items() if at is not None}
        self._handover.started(known, pin=False)
        found: dict[Partition, int] = {}
        for part in begin.keys() - known.keys():
            offset = consumer.position(TopicPartition(*part), timeout_ms=1000)
            if offset is None:
                break  # the broker does not answer; the partition stays held and is asked for again
            found[part] = offset
        self._handover.started(found, pin=self._pin_start)

    def _balance(self, consumer: KafkaConsumer, *, full: bool) -> bool:
        """Pause everything while too much waits; partitions that have not begun stay paused."""
        weight = self._handover.mailbox.weight
        if not full and weight >= self._pause_at:
            full = True
            self._counters.pauses += 1
        elif full and weight <= self._resume_at:
            full = False
            self._counters.resumes += 1
        assigned = consumer.assignment()
        hold = assigned if full else assigned & {TopicPartition(*part) for part in self._handover.waiting()}
        paused = consumer.paused()
        consumer.pause(*(hold - paused))
        consumer.resume(*(paused - hold))
        return full

    def _deliver(self, consumer: KafkaConsumer, polled: Mapping[TopicPartition, Sequence[Any]]) -> None:
        records = [record_of(message) for fetched in polled.values() for message in fetched]
        ends = {(tp.topic, tp.partition): consumer.highwater(tp) for tp in consumer.assignment()}
        self._handover.deliver(records, {part: end for part, end in ends.items() if end is not None})

    def _leave(self, consumer: KafkaConsumer, listener: Listener) -> None:
        listener.leaving = True
        offsets = self._handover.offsets_to_commit()
        failure = None
        try:
            if offsets and self._failure is None:
                consumer.commit(offsets_with_metadata(offsets), timeout_ms=5000)
        except KafkaError as error:
            failure = str(error)
        if offsets:
            self._handover.commit_done(offsets, failure)
        try:
            consumer.close(autocommit=False, timeout_ms=5000)
        except KafkaError as error:
            log.warning("kafka.close_failed", cause=str(error))
        self._handover.gone(self._handover.assignment(), lost=True)


def topic_pattern(topics: Sequence[str]) -> str:
    """Return one pattern for plain names and `^` patterns together."""
    parts = [topic[1:] if topic.startswith("^") else re.escape(topic) + "$" for topic in topics]
    return "^(?:" + "|".join(parts) + ")"


def remembering(made: list[KafkaNetClient]) -> Callable[..., KafkaNetClient]:
    """Return a maker of network clients that lists them, to be closed when the constructor fails."""

    def build(**settings: Any) -> KafkaNetClient:
        client = KafkaNetClient(**settings)
        # kafka-python 3.0.12 does not hand this setting on, and a mistyped topic would be created.
        client.cluster.config["allow_auto_create_topics"] = settings["allow_auto_create_topics"]
        made.append(client)
        return client

    return build


def record_of(message: Any) -> Record:
    """Return a fetched message as a record."""
    return Record(
        origin=Origin(topic=message.topic, partition=message.partition, offset=message.offset),
        key=message.key,
        value=message.value or b"",
        headers=tuple((name, value or b"") for name, value in message.headers),
        received=max(0, message.timestamp) * 1_000_000,
    )
