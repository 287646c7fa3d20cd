"""A look into a topic that nobody notices: no group, no commit, each partition read by itself.

Order within a partition is Kafka's. Blocks while it waits for the broker. Nothing is promised about what
comes meanwhile: this is for people who look, the stream reads through `KafkaSource`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from ingest.client_settings import checked_settings
from ingest.record import Record
from ingest.sources.kafka.source import DEFAULTS, RESERVED, record_of, remembering
from ingest.sources.port import SourceError

_TIMEOUT_MS = 10_000


def read_sample(
    *,
    bootstrap_servers: str | Sequence[str],
    topic: str,
    limit: int,
    beginning: bool = False,
    follow: bool = False,
    client: Mapping[str, Any] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Record]:
    """Yield up to `limit` records that a topic holds: its oldest, or its newest; `follow` waits for more.

    Raises ValueError on client settings that do not exist, SourceError where nothing can be read.
    """
    given = checked_settings(
        client or {}, known=KafkaConsumer.DEFAULT_CONFIG, reserved=RESERVED, client="consumer"
    )
    settings = {**DEFAULTS, **given, "enable_auto_commit": False, "group_id": None}
    consumer = _connected({**settings, "bootstrap_servers": bootstrap_servers})
    try:
        ends = _begin(consumer, topic, limit, beginning=beginning)
        yield from _read(consumer, ends, limit, follow=follow, stop=stop)
    except KafkaError as error:
        raise SourceError(f"Kafka does not let {topic!r} be read: {error}") from error
    finally:
        consumer.close(autocommit=False, timeout_ms=2000)


def _connected(settings: Mapping[str, Any]) -> KafkaConsumer:
    clients: list[KafkaNetClient] = []
    try:
        return KafkaConsumer(**settings, kafka_client=remembering(clients))
    except (KafkaError, OSError) as error:
        for made in clients:
            made.close()
        servers = settings["bootstrap_servers"]
        raise SourceError(f"no Kafka broker answers at {servers}: {error}; check --bootstrap") from error


def _begin(consumer: KafkaConsumer, topic: str, limit: int, *, beginning: bool) -> dict[TopicPartition, int]:
    """Take every partition and go to where the sample begins; return where each ends now."""
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        near = ", ".join(sorted(name for name in consumer.topics() if not name.startswith("__"))[:20])
        raise SourceError(f"there is no topic {topic!r}; there are: {near or 'none'}")
    parts = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(parts)
    begins: dict[TopicPartition, int] = consumer.beginning_offsets(parts, timeout_ms=_TIMEOUT_MS)
    ends: dict[TopicPartition, int] = consumer.end_offsets(parts, timeout_ms=_TIMEOUT_MS)
    each = -(-limit // len(parts))
    for part in parts:
        consumer.seek(part, begins[part] if beginning else max(begins[part], ends[part] - each))
    return ends


def _read(
    consumer: KafkaConsumer,
    ends: Mapping[TopicPartition, int],
    limit: int,
    *,
    follow: bool,
    stop: Callable[[], bool],
) -> Iterator[Record]:
    given = 0
    while not stop():
        polled = consumer.poll(timeout_ms=500, max_records=limit - given)
        for messages in polled.values():
            for message in messages:
                yield record_of(message)
                given += 1
        if given >= limit:
            return
        # Positions also pass over what holds no record, such as a transaction's marks.
        if not follow and all(consumer.position(part) >= end for part, end in ends.items()):
            return
