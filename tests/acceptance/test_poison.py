"""What senders get wrong, on a real broker: each record ends where the contract says, the stream goes on."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from agent.store.sql import SqlStore
from ingest.record import SECOND, Nanos
from tests.acceptance.conftest import Topics
from tests.support.broker import MAX_MESSAGE_BYTES
from tests.support.service import RunningService, running_service

KEPT_OF_LARGE = 64 * 1024
IN_1970: Nanos = 1 * SECOND
IN_2100: Nanos = 4_102_444_800 * SECOND


def named(service: str) -> Resource:
    return Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=service))])


def logs(service: str, *times: Nanos) -> bytes:
    """Return an OTLP request with one line for each time."""
    lines = [
        LogRecord(
            time_unix_nano=at,
            severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
            body=AnyValue(string_value="order 17 paid"),
        )
        for at in times
    ]
    group = ResourceLogs(resource=named(service), scope_logs=[ScopeLogs(log_records=lines)])
    return bytes(ExportLogsServiceRequest(resource_logs=[group]).SerializeToString())


def gauges(*values: float) -> bytes:
    """Return an OTLP request with one sample for each value, now."""
    points = [NumberDataPoint(time_unix_nano=time.time_ns(), as_double=value) for value in values]
    metric = Metric(name="queue_depth", gauge=Gauge(data_points=points))
    group = ResourceMetrics(resource=named("shop"), scope_metrics=[ScopeMetrics(metrics=[metric])])
    return bytes(ExportMetricsServiceRequest(resource_metrics=[group]).SerializeToString())


def now() -> Nanos:
    return time.time_ns()


def line(**fields: object) -> bytes:
    return json.dumps({"time": now(), "service.name": "shop", **fields}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A record that is wrong, what it is refused for, and how many of its events are good all the same."""

    name: str
    value: bytes | None
    reason: str
    good: int = 0
    rejects: int = 1
    topic: str = "logs"
    large: bool = False
    """Over 900 kB: only the beginning is kept."""


def table() -> list[Poison]:
    """Return every kind of poison that the contract names, each made now."""
    whole = logs("shop", now(), now())
    return [
        Poison(name="truncated protobuf", value=whole[: len(whole) // 2], reason="malformed"),
        Poison(name="truncated inside a length", value=whole[:2], reason="malformed"),
        Poison(name="nothing at all", value=b"", reason="malformed"),
        Poison(name="a tombstone", value=None, reason="malformed"),
        Poison(name="invalid UTF-8 in JSON", value=b'{"message": "caf\xe9 \xff"}', reason="malformed"),
        Poison(name="mostly not UTF-8", value=b"\xfe\xed\xfa\xce" * 40, reason="unknown_format"),
        Poison(name="a 10 MB line", value=b"x" * 10_000_000, reason="too_large", large=True),
        Poison(
            name="a broken document over 900 kB",
            value=b'{"message": "' + b"y" * 1_500_000,
            reason="malformed",
            large=True,
        ),
        Poison(name="deep arrays", value=b"[" * 100_000 + b"]" * 100_000, reason="too_deep"),
        Poison(name="deep objects", value=b'{"a":' * 5_000 + b"1" + b"}" * 5_000, reason="too_deep"),
        Poison(name="NaN", value=gauges(math.nan), reason="not_finite", topic="metrics"),
        Poison(
            name="infinite values",
            value=gauges(math.inf, -math.inf),
            reason="not_finite",
            topic="metrics",
        ),
        Poison(
            name="NaN as JSON has not",
            value=line(name="queue_depth", value=math.nan),
            reason="not_finite",
            topic="metrics",
        ),
        Poison(name="1970", value=logs("shop", IN_1970), reason="time_invalid"),
        Poison(name="2100", value=logs("shop", IN_2100), reason="time_invalid"),
        Poison(name="no format we know", value=bytes(range(1, 9)) * 20, reason="unknown_format"),
        Poison(name="another format than the topic's", value=whole, reason="malformed", topic="changes"),
        Poison(
            name="half-good OTLP",
            value=logs("shop", now(), IN_1970, now(), IN_2100),
            reason="time_invalid",
            good=2,
            rejects=2,
        ),
        Poison(
            name="half-good samples",
            value=gauges(math.nan, 7.0),
            reason="not_finite",
            good=1,
            topic="metrics",
        ),
        Poison(
            name="half-good JSON lines",
            value=line(message="order 17 paid")
            + b'\n{"message": "order 18\n'
            + line(message="order 19 paid"),
            reason="malformed",
            good=2,
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter as it stands in the topic."""

    value: bytes
    headers: dict[str, str]


class Bench:
    """A running service and both ends of its topics."""

    def __init__(self, service: RunningService, topics: Topics, database: str) -> None:
        self.service, self.topics, self.database = service, topics, database
        self._numbers = itertools.count()
        self._producer = KafkaProducer(
            bootstrap_servers=topics.bootstrap, max_request_size=MAX_MESSAGE_BYTES - 1024
        )
        self._reader = KafkaConsumer(bootstrap_servers=topics.bootstrap, enable_auto_commit=False)
        self._partition = TopicPartition(topics.dead_letters, 0)
        self._reader.assign([self._partition])
        self._reader.seek_to_beginning(self._partition)
        self._letters: list[Letter] = []

    def send(self, topic: str, value: bytes | None) -> int:
        """Produce one record and return its offset."""
        sent = self._producer.send(self.topics.prefix + topic, key=b"k", value=value)
        self._producer.flush()
        return int(sent.get().offset)

    def send_good(self, topic: str) -> str:
        """Produce a good record of a service that nobody else has; return the service's name."""
        service = f"good-{next(self._numbers)}"
        if topic == "changes":
            self.send(topic, line(change="deploy", title="shop 7", **{"service.name": service}))
        else:
            self.send(topic, logs(service, now()))
        return service

    def letters(self, topic: str, offset: int) -> list[Letter]:
        """Return the dead letters of one record."""
        for message in self._reader.poll(timeout_ms=100).get(self._partition, []):
            headers = {name: value.decode() for name, value in message.headers}
            self._letters.append(Letter(value=message.value, headers=headers))
        origin = (self.topics.prefix + topic, "0", str(offset))
        return [
            letter
            for letter in self._letters
            if tuple(letter.headers[f"faultline.{part}"] for part in ("topic", "partition", "offset"))
            == origin
        ]

    def counted(self) -> tuple[int, int]:
        """Return how many events were taken and how many items refused so far."""
        metrics = self.service.metrics()

        def total(name: str) -> int:
            return int(sum(value for (sample, _), value in metrics.items() if sample == name))

        assert total("faultline_stream_failures_total") == 0
        return total("faultline_events_total"), total("faultline_rejected_total")

    def windows_of(self, service: str) -> bool:
        """Say whether the telemetry memory holds a window of `service`."""
        store = SqlStore(self.database)
        try:
            found = store.telemetry("default", now() - 600 * SECOND, now() + 600 * SECOND, [service])
        finally:
            store.close()
        return bool(found)

    def close(self) -> None:
        self._producer.close()
        self._reader.close()


@pytest.fixture(scope="module")
def bench(topics: Topics, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Run one service, statistics only, for all cases: what one poisons the next would notice."""
    folder = tmp_path_factory.mktemp("poison")
    settings = {
        "home": str(folder / "home"),
        "http": {"port": 0},
        "model": {"kind": "none"},
        "knowledge": {"embeddings": False},
        "windows": {"width": 1, "lateness": 1, "idle": 1},
        "stream": {"checkpoint_seconds": 0.2},
        "kafka": {
            "bootstrap_servers": topics.bootstrap,
            "group_id": topics.group,
            "topics": [
                {"name": topics.prefix + "logs"},
                {"name": topics.prefix + "metrics"},
                {"name": topics.prefix + "changes", "format": "json"},
            ],
            "incidents_topic": topics.incidents,
            "dead_letter_topic": topics.dead_letters,
        },
    }
    with running_service(settings, folder) as service:
        made = Bench(service, topics, f"sqlite:///{folder / 'home' / 'faultline.db'}")
        yield made
        made.close()
        assert service.terminate(within=20) == 0


@pytest.mark.parametrize("number", range(len(table())), ids=[poison.name for poison in table()])
def test_poison_goes_to_the_dead_letters_and_what_follows_is_taken(bench: Bench, number: int) -> None:
    """One letter with reason and origin; good parts of the batch and the next record go on."""
    poison = table()[number]
    events, rejected = bench.counted()
    offset = bench.send(poison.topic, poison.value)
    bench.send_good(poison.topic)
    letter = bench.service.eventually(lambda: bench.letters(poison.topic, offset), "the dead letter")[0]
    bench.service.eventually(
        lambda: bench.counted() == (events + poison.good + 1, rejected + poison.rejects),
        f"{poison.good} good events of the batch and the record after it are taken",
    )
    value = poison.value or b""
    headers = letter.headers
    assert headers["faultline.reason"] == poison.reason
    assert headers["faultline.rejects"] == str(poison.rejects)
    assert headers["faultline.length"] == str(len(value))
    assert headers["faultline.sha256"] == hashlib.sha256(value).hexdigest()
    assert (letter.value or b"") == (value[:KEPT_OF_LARGE] if poison.large else value)
    assert headers["faultline.body"] == (f"first {KEPT_OF_LARGE}" if poison.large else "whole")
    assert len(bench.letters(poison.topic, offset)) == 1


def test_after_all_poison_at_once_a_good_record_is_in_the_telemetry_memory(bench: Bench) -> None:
    """The whole table in a row, and the windows still close, are stored, and are committed to Kafka."""
    offsets = [(poison.topic, bench.send(poison.topic, poison.value)) for poison in table()]
    service = bench.send_good("logs")
    bench.service.eventually(lambda: bench.windows_of(service), "a window of the good record")
    for topic, offset in offsets:
        found = partial(bench.letters, topic, offset)
        assert len(bench.service.eventually(found, f"the letter of {topic}/{offset}")) == 1
    metrics = bench.service.metrics()
    assert metrics["faultline_source_operations_total", ("commit_failures",)] == 0
    assert metrics["faultline_source_operations_total", ("rebalances",)] == 1
