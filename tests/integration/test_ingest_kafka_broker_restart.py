"""A broker that dies and comes back: the source waits, the producer delivers, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest.kafka_producer import DeliveryError, Producer
from ingest.sources.kafka import KafkaSource
from tests.support.broker import Broker
from tests.support.streams import Reader, send_numbers, until


@pytest.fixture(scope="module")
def mortal() -> Iterator[Broker]:
    """Start a broker of this test's own, to be killed."""
    broker = Broker()
    broker.start()
    yield broker
    broker.stop()


def test_kill_and_restart_lose_nothing(mortal: Broker) -> None:
    """Records before, during and after a crash of the broker all arrive; commits work again."""
    mortal.create_topic("numbers", partitions=2)
    send_numbers(mortal.bootstrap, "numbers", range(100))
    client = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 500, "reconnect_backoff_max_ms": 500}
    source = KafkaSource(bootstrap_servers=mortal.bootstrap, topics=["numbers"], client=client)
    source.start({})
    reader = Reader(source)
    reader.read(100)
    source.commit(reader.positions)
    until(lambda: source.counters.commits > 0, "a commit")

    producer = Producer(bootstrap_servers=mortal.bootstrap, client={"reconnect_backoff_max_ms": 500})
    producer.send("numbers", key=b"100", value=b"100")
    producer.flush()
    mortal.kill()
    producer.send("numbers", key=b"101", value=b"101")
    with pytest.raises(DeliveryError, match="not delivered within"):
        producer.flush(timeout_s=0.5)
    reader.step()
    mortal.start()
    producer.flush(timeout_s=60)
    producer.close()
    send_numbers(mortal.bootstrap, "numbers", range(102, 110))

    reader.read_until(lambda: set(reader.numbers) >= set(range(110)), "all 110 numbers")
    before = source.counters.commits
    reader.read_until(
        lambda: source.commit(reader.positions) is None and source.counters.commits > before, "a commit"
    )
    source.close()
    again = KafkaSource(bootstrap_servers=mortal.bootstrap, topics=["numbers"], client=client)
    again.start({})
    send_numbers(mortal.bootstrap, "numbers", [999])
    second = Reader(again)
    second.read(1)
    assert 999 in second.numbers
    again.close()
