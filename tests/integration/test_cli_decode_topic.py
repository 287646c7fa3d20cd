"""`faultline decode --topic` on a real broker: oldest and newest records, following, and nobody notices."""

from __future__ import annotations

import json
import logging
import threading

import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient

from agent.cli.decode_command import command
from ingest.kafka_producer import Producer
from ingest.sources.kafka.sample import read_sample
from ingest.sources.port import SourceError
from tests.support.broker import Broker, ExistingBroker
from tests.support.ports import free_port
from tests.support.streams import send_numbers

CHANGE = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/ci"),
    ("ce_type", b"com.example.deployment.finished"),
    ("content-type", b"application/json"),
)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Keep the client still: it repeats itself ten times a second."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def numbers(broker: Broker | ExistingBroker, topic: str, *, limit: int, beginning: bool) -> list[int]:
    """Read a sample and return its numbers in order."""
    sample = read_sample(bootstrap_servers=broker.bootstrap, topic=topic, limit=limit, beginning=beginning)
    return sorted(int(record.value) for record in sample)


def test_oldest_newest_and_all(broker: Broker | ExistingBroker, topic: str) -> None:
    """The oldest are the first of each partition, the newest the last, and never more than there are."""
    send_numbers(broker.bootstrap, topic, range(200))
    assert numbers(broker, topic, limit=1000, beginning=True) == list(range(200))
    assert numbers(broker, topic, limit=1000, beginning=False) == list(range(200))
    oldest = numbers(broker, topic, limit=10, beginning=True)
    newest = numbers(broker, topic, limit=10, beginning=False)
    assert len(oldest) == len(newest) == 10
    assert max(oldest) < 100 < min(newest)


def test_nobody_notices(broker: Broker | ExistingBroker, topic: str) -> None:
    """Reading joins no group and commits nothing."""
    send_numbers(broker.bootstrap, topic, range(5))
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    before = str(sorted(map(str, admin.list_groups())))
    assert numbers(broker, topic, limit=5, beginning=True) == list(range(5))
    assert str(sorted(map(str, admin.list_groups()))) == before
    admin.close()


def test_following_goes_on_with_what_comes(broker: Broker | ExistingBroker, topic: str) -> None:
    """Records sent while it waits arrive, until the limit is reached."""
    send_numbers(broker.bootstrap, topic, range(3))
    got: list[int] = []
    first = threading.Event()

    def read() -> None:
        sample = read_sample(bootstrap_servers=broker.bootstrap, topic=topic, limit=8, follow=True)
        for record in sample:
            got.append(int(record.value))
            first.set()

    reading = threading.Thread(target=read)
    reading.start()
    assert first.wait(60)
    send_numbers(broker.bootstrap, topic, range(3, 8))
    reading.join(60)
    assert sorted(got) == list(range(8))


def test_what_cannot_be_read_says_why(broker: Broker | ExistingBroker, topic: str) -> None:
    """A topic that does not exist names those that do and is not made; a broker that is away is named."""
    with pytest.raises(SourceError, match="there is no topic 'no-such-topic'"):
        list(read_sample(bootstrap_servers=broker.bootstrap, topic="no-such-topic", limit=1))
    with pytest.raises(SourceError, match="no-such-topic"):
        list(read_sample(bootstrap_servers=broker.bootstrap, topic="no-such-topic", limit=1))
    away = f"127.0.0.1:{free_port()}"
    with pytest.raises(SourceError, match=f"no Kafka broker answers at {away}"):
        list(read_sample(bootstrap_servers=away, topic=topic, limit=1, client={"bootstrap_timeout_ms": 500}))


def test_the_command_reads_headers_keys_and_origin(broker: Broker | ExistingBroker, topic: str) -> None:
    """A CloudEvent in binary mode is recognised by the headers that the broker kept."""
    producer = Producer(bootstrap_servers=broker.bootstrap)
    producer.send(topic, key=None, value=b'{"service": "cart", "version": "2.1"}', headers=CHANGE)
    producer.send(topic, key=None, value=b'{"message": "x"}')
    producer.flush()
    producer.close()
    told = ["--topic", topic, "--bootstrap", broker.bootstrap, "--from", "beginning", "--json"]
    result = CliRunner().invoke(command, told)
    assert result.exit_code == 0, result.output
    *records, summary = [json.loads(line) for line in result.stdout.splitlines()]
    assert {record["format"] for record in records} == {"cloudevents", "json"}
    assert all(record["origin"]["topic"] == topic for record in records)
    assert summary["topic"] == topic
    assert summary["delay"] is None or summary["delay"] >= 0
    empty = CliRunner().invoke(command, ["--topic", "no-such-topic", "--bootstrap", broker.bootstrap])
    assert empty.exit_code == 2
    assert "there is no topic" in empty.stderr
