"""What every dead-letter sink promises: after `flush` the whole record and its reasons can be read back."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from ingest.deadletter import DeadLetterSink, FileDeadLetters, KafkaDeadLetters
from ingest.events import Reject, RejectReason
from ingest.kafka_producer import Producer
from ingest.record import Origin, Record
from ingest.sources.kafka import KafkaSource
from tests.support.broker import Broker, ExistingBroker
from tests.support.streams import Reader

Kept = tuple[bytes, dict[str, bytes]]
ReadBack = Callable[[int], list[Kept]]
BAD = Reject(reason=RejectReason.MALFORMED, detail="cut off")


@pytest.fixture(params=["file", "kafka"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[DeadLetterSink, ReadBack]]:
    """Return a sink and what reads back a number of letters from where it keeps them."""
    if request.param == "file":
        path = tmp_path / "made" / "dead-letters.jsonl"
        file_sink = FileDeadLetters(path)
        yield file_sink, lambda count: _from_file(path, count)
        file_sink.close()
        return
    broker: Broker | ExistingBroker = request.getfixturevalue("broker")
    topic = f"dead-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic)
    producer = Producer(bootstrap_servers=broker.bootstrap)
    kafka_sink = KafkaDeadLetters(producer, topic)
    yield kafka_sink, lambda count: _from_kafka(broker.bootstrap, topic, count)
    kafka_sink.close()
    producer.close()


def _from_file(path: Path, count: int) -> list[Kept]:
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == count
    return [
        (base64.b64decode(line["value"]), {name: text.encode() for name, text in line["headers"]})
        for line in lines
    ]


def _from_kafka(bootstrap: str, topic: str, count: int) -> list[Kept]:
    source = KafkaSource(bootstrap_servers=bootstrap, topics=[topic], group_id=f"read-{topic}")
    source.start({})
    reader = Reader(source)
    reader.read(count)
    source.close()
    return [(record.value, dict(record.headers)) for record in reader.records]


def test_flushed_letters_can_be_read_back(sink: tuple[DeadLetterSink, ReadBack]) -> None:
    """Two records, one binary and one far too large, stand there with reason and origin."""
    letters, read_back = sink
    small = Record(origin=Origin(topic="t", partition=1, offset=9), value=b"\xff\x00half", key=b"k")
    large = Record(origin=Origin(topic="t", partition=1, offset=10), value=b"y" * 10_000_000)
    letters.put(small, [BAD])
    letters.put(large, [Reject(reason=RejectReason.TOO_LARGE, detail="10 MB")])
    letters.flush()
    first, second = read_back(2)
    assert first[0] == small.value
    assert (first[1]["faultline.reason"], first[1]["faultline.offset"]) == (b"malformed", b"9")
    assert (second[1]["faultline.reason"], second[1]["faultline.length"]) == (b"too_large", b"10000000")
    assert len(second[0]) == 64 * 1024


def test_flush_without_letters_does_nothing(sink: tuple[DeadLetterSink, ReadBack]) -> None:
    """A sink that was given nothing flushes without effect, as every commit does."""
    letters, read_back = sink
    letters.flush()
    letters.put(Record(origin=Origin(topic="t", partition=0, offset=0), value=b"v"), [BAD])
    letters.flush()
    letters.flush()
    assert [value for value, _ in read_back(1)] == [b"v"]
