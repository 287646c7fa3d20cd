"""Events on a real broker: in order per incident, valid against the shipped schema, one id an event."""

from __future__ import annotations

import json

import jsonschema
from kafka import KafkaConsumer, TopicPartition

from agent.deliver.events import shipped_schema
from agent.deliver.kafka import KafkaChannel
from agent.deliver.notification import Kind, Reason
from ingest.kafka_producer import Producer
from tests.support.broker import Broker, ExistingBroker
from tests.support.samples import incident, notification


def test_events_arrive_keyed_ordered_and_valid(broker: Broker | ExistingBroker, topic: str) -> None:
    """All events of an incident on one partition in order; a repeated attempt has the same `ce_id`."""
    producer = Producer(bootstrap_servers=broker.bootstrap)
    channel = KafkaChannel(producer=producer, topic=topic, public_url="https://f.test")
    opened = notification(delivery_id="dl_0", kind=Kind.OPENED, reason=Reason.INCIDENT_OPENED, analysis=None)
    other = notification(delivery_id="dl_9", incident=incident("inc_b"))
    for item, attempt in ((opened, 1), (other, 1), (notification(), 1), (notification(), 2)):
        assert channel.send(item, attempt)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, consumer_timeout_ms=10_000)
    consumer.assign([TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()])
    consumer.seek_to_beginning()
    records = [record for record, _ in zip(consumer, range(4), strict=False)]
    consumer.close()
    mine = [record for record in records if record.key == b"inc_a"]
    assert len({record.partition for record in mine}) == 1
    assert [dict(record.headers)["ce_id"] for record in mine] == [b"dl_0", b"dl_1", b"dl_1"]
    assert [dict(record.headers)["ce_type"].split(b".")[2] for record in mine] == [
        b"opened", b"analyzed", b"analyzed",
    ]  # fmt: skip
    assert len(records) == 4
    for record in records:
        jsonschema.Draft202012Validator(shipped_schema()).validate(json.loads(record.value))
