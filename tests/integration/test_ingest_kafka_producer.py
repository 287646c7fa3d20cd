"""The producer on a real broker: headers and keys arrive, failures surface at flush."""

from __future__ import annotations

import uuid

import pytest

from ingest.kafka_producer import DeliveryError, Producer
from ingest.sources.kafka import KafkaSource
from tests.support.broker import Broker, ExistingBroker
from tests.support.ports import free_port
from tests.support.streams import Reader


def test_key_value_and_headers_arrive(broker: Broker | ExistingBroker, topic: str) -> None:
    """What is sent is what a source delivers."""
    producer = Producer(bootstrap_servers=broker.bootstrap)
    headers = [("content-type", b"application/json"), ("ce_id", b"\xff\x00")]
    producer.send(topic, key=b"incident-1", value=b"{}", headers=headers)
    producer.flush()
    producer.close()
    source = KafkaSource(
        bootstrap_servers=broker.bootstrap, topics=[topic], group_id=f"group-{uuid.uuid4().hex[:8]}"
    )
    source.start({})
    reader = Reader(source)
    reader.read(1)
    source.close()
    record = reader.records[0]
    assert (record.key, record.value, list(record.headers)) == (b"incident-1", b"{}", headers)


def test_a_record_the_broker_refuses_is_named_at_flush(broker: Broker | ExistingBroker, topic: str) -> None:
    """A record too large for the broker fails the flush and names its topic; the producer goes on."""
    producer = Producer(bootstrap_servers=broker.bootstrap, client={"max_request_size": 64 * 1024 * 1024})
    producer.send(topic, key=None, value=b"x" * 20_000_000)
    with pytest.raises(DeliveryError, match=topic):
        producer.flush()
    producer.send(topic, key=None, value=b"small")
    producer.flush()
    producer.close()


def test_a_record_over_the_own_limit_is_refused_at_send(broker: Broker | ExistingBroker, topic: str) -> None:
    """What the client itself will not send does no harm to the producer."""
    producer = Producer(bootstrap_servers=broker.bootstrap)
    with pytest.raises(DeliveryError, match="larger than"):
        producer.send(topic, key=None, value=b"x" * 2_000_000)
    producer.send(topic, key=None, value=b"small")
    producer.flush()
    producer.close()


def test_no_broker_is_a_delivery_error() -> None:
    """Sending without a broker fails with where it looked, and leaves nothing running."""
    producer = Producer(bootstrap_servers=f"127.0.0.1:{free_port()}", client={"bootstrap_timeout_ms": 300})
    with pytest.raises(DeliveryError, match="no Kafka broker answers at 127"):
        producer.send("t", key=None, value=b"v")
    producer.close()
    with pytest.raises(DeliveryError, match="closed"):
        producer.send("t", key=None, value=b"v")


def test_misspelt_producer_setting_is_refused() -> None:
    """The nearest setting is named."""
    with pytest.raises(ValueError, match="did you mean 'linger_ms'"):
        Producer(bootstrap_servers="x:1", client={"linger": 1})
