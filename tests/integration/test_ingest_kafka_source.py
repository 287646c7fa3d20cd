"""The Kafka source on a real broker: positions, groups, back-pressure, size, stalls, restarts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ingest.kafka_producer import Producer
from ingest.sources.kafka import KafkaSource
from ingest.sources.port import SourceError
from tests.support.broker import Broker, ExistingBroker
from tests.support.ports import free_port
from tests.support.streams import Reader, send_numbers, until

QUICK: Mapping[str, Any] = {
    "metadata_max_age_ms": 1000,
    "session_timeout_ms": 6000,
    "heartbeat_interval_ms": 300,
}


class Sources:
    """Makes sources of one group and closes them."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.group = f"group-{uuid.uuid4().hex[:8]}"
        self.made: list[KafkaSource] = []

    def open(self, topic: str, positions: Mapping[tuple[str, int], int] | None = None, **kw: Any) -> Reader:
        """Return a reader on a started source."""
        client = {**QUICK, **kw.pop("client", {})}
        source = KafkaSource(
            bootstrap_servers=self.bootstrap, topics=[topic], group_id=self.group, client=client, **kw
        )
        self.made.append(source)
        source.start(positions or {})
        return Reader(source)


@pytest.fixture
def sources(broker: Broker | ExistingBroker) -> Iterator[Sources]:
    """Open sources on the shared broker and close them after the test."""
    made = Sources(broker.bootstrap)
    yield made
    for source in made.made:
        source.close()


def test_reads_everything_once_with_origin_key_and_time(sources: Sources, topic: str) -> None:
    """Every record arrives once, in order within its partition, with key and broker time."""
    send_numbers(sources.bootstrap, topic, range(1000))
    reader = sources.open(topic)
    reader.read(1000)
    assert sorted(reader.numbers) == list(range(1000))
    for partition in (0, 1):
        offsets = [record.origin.offset for record in reader.records if record.origin.partition == partition]
        assert offsets == list(range(len(offsets)))
    assert all(record.key == record.value and record.received > 0 for record in reader.records)
    assert reader.source.counters.records == 1000
    assert reader.source.lag() == {(topic, 0): 0, (topic, 1): 0}


def test_second_source_begins_at_given_positions(sources: Sources, topic: str) -> None:
    """Positions from the store win over what Kafka has committed."""
    send_numbers(sources.bootstrap, topic, range(200))
    first = sources.open(topic)
    first.read(200)
    assert first.source.commit(first.positions) is None
    until(lambda: first.source.counters.commits > 0, "a commit")
    first.source.close()
    stored = {part: offset - 5 for part, offset in first.positions.items()}
    second = sources.open(topic, stored)
    second.read(10)
    last_five = {
        (record.origin.partition, record.origin.offset)
        for record in first.records
        if record.origin.offset >= stored[(topic, record.origin.partition)]
    }
    assert {(record.origin.partition, record.origin.offset) for record in second.records} == last_five
    assert dict(second.rebalances[0].positions) == stored


def test_commit_is_the_fallback_without_positions(sources: Sources, topic: str) -> None:
    """With no stored position, a group goes on after its last commit."""
    send_numbers(sources.bootstrap, topic, range(100))
    first = sources.open(topic)
    first.read(100)
    first.source.commit(first.positions)
    first.source.close()
    send_numbers(sources.bootstrap, topic, range(100, 110))
    second = sources.open(topic)
    second.read(10)
    assert sorted(second.numbers) == list(range(100, 110))


def test_start_again_reads_anew_from_positions(sources: Sources, topic: str) -> None:
    """A second start drops what was read ahead and delivers again from its positions."""
    send_numbers(sources.bootstrap, topic, range(300))
    reader = sources.open(topic)
    reader.read(120)
    again = Reader(reader.source)
    reader.source.start({(topic, 0): 3, (topic, 1): 7})
    again.read(290)
    firsts = {
        part: next(r for r in again.records if r.origin.partition == part).origin.offset for part in (0, 1)
    }
    assert firsts == {0: 3, 1: 7}
    assert len(again.numbers) == len(set(again.numbers)) == 290


def test_start_again_without_positions_reads_from_where_it_began(sources: Sources, topic: str) -> None:
    """What was read before the first checkpoint is read again after a restart of the stream."""
    send_numbers(sources.bootstrap, topic, range(50))
    reader = sources.open(topic)
    reader.read(50)
    again = Reader(reader.source)
    reader.source.start({})
    again.read(50)
    assert sorted(again.numbers) == list(range(50))


def test_group_of_two_shares_and_hands_over_without_gap_or_double(sources: Sources, topic: str) -> None:
    """A second member takes one partition exactly where the first one's checkpoint left it."""
    send_numbers(sources.bootstrap, topic, range(100))
    one = sources.open(topic)
    one.read(100)
    two = sources.open(topic)

    def shared() -> bool:
        one.step()
        two.step()
        return len(one.source.assignment()) == len(two.source.assignment()) == 1

    until(shared, "one partition each")
    send_numbers(sources.bootstrap, topic, range(100, 200))

    def all_read() -> bool:
        shared()
        return len(one.numbers) + len(two.numbers) >= 200

    until(all_read, "200 records in all")
    assert sorted(one.numbers + two.numbers) == list(range(200))
    assert any(item.revoked for item in one.rebalances)
    two.source.close()
    one.read_until(lambda: len(one.source.assignment()) == 2, "both partitions back")


def test_back_pressure_pauses_and_resumes(sources: Sources, topic: str) -> None:
    """While nobody takes records, reading stops near the limit; all arrive once they are taken."""
    send_numbers(sources.bootstrap, topic, range(5000))
    reader = sources.open(topic, pause_at=500, resume_at=100, batch=100)
    reader.read_until(lambda: bool(reader.rebalances), "an assignment")
    until(lambda: reader.source.counters.pauses == 1, "a pause")
    assert reader.source.counters.records < 1000
    reader.read(5000)
    assert sorted(reader.numbers) == list(range(5000))
    assert reader.source.counters.resumes >= 1


def test_record_of_10_mb_arrives_and_the_next_too(sources: Sources, topic: str) -> None:
    """A record far over the fetch limit neither blocks its partition nor is cut."""
    producer = Producer(bootstrap_servers=sources.bootstrap, client={"max_request_size": 16 * 1024 * 1024})
    producer.send(topic, key=b"k", value=b"x" * 10_000_000)
    producer.send(topic, key=b"k", value=b"after")
    producer.flush()
    producer.close()
    reader = sources.open(topic)
    reader.read(2)
    assert [len(record.value) for record in reader.records] == [10_000_000, 5]


def test_pattern_and_plain_topics_together(sources: Sources, topic: str) -> None:
    """A topic given as a pattern is found by it."""
    send_numbers(sources.bootstrap, topic, range(10))
    reader = sources.open(f"^{topic[:-3]}.*")
    reader.read(10)
    assert sorted(reader.numbers) == list(range(10))


def test_topic_created_later_is_found(sources: Sources, broker: Broker | ExistingBroker) -> None:
    """A topic that does not exist yet is waited for, not created by a typing error."""
    name = f"later-{uuid.uuid4().hex[:8]}"
    reader = sources.open(name)
    until(lambda: reader.source.counters.polls > 2, "polling")
    assert reader.source.assignment() == frozenset()
    broker.create_topic(name)
    send_numbers(sources.bootstrap, name, range(3))
    reader.read(3)
    assert sorted(reader.numbers) == [0, 1, 2]


def test_watchdog_joins_again_without_partitions(sources: Sources, topic: str) -> None:
    """A member that stays without partitions joins again; when another leaves, all are still read."""
    readers = [sources.open(topic, stall_after_s=0.5) for _ in range(3)]

    def step() -> None:
        for reader in readers:
            reader.step()

    def joined_again() -> bool:
        step()
        return any(reader.source.counters.rejoins for reader in readers)

    until(joined_again, "the watchdog to join again")
    readers.pop().source.close()

    def covered() -> bool:
        step()
        return sum(len(reader.source.assignment()) for reader in readers) == 2

    until(covered, "both partitions owned by those that are left")
    send_numbers(sources.bootstrap, topic, range(20))

    def all_read() -> bool:
        step()
        return {number for reader in readers for number in reader.numbers} == set(range(20))

    until(all_read, "all 20 numbers")


def test_unreachable_broker_is_waited_for_and_close_stops_it() -> None:
    """Without a broker the source counts its attempts and can be closed."""
    source = KafkaSource(
        bootstrap_servers=f"127.0.0.1:{free_port()}", topics=["x"], client={"bootstrap_timeout_ms": 300}
    )
    source.start({})
    until(lambda: source.counters.connect_failures >= 2, "two attempts")
    assert source.poll(0.01) == []
    source.close()


def test_refused_settings_name_the_nearest() -> None:
    """A misspelt client setting is an error that helps; a promise cannot be switched off."""
    with pytest.raises(ValueError, match="did you mean 'fetch_max_bytes'"):
        KafkaSource(bootstrap_servers="x:1", topics=["t"], client={"fetch_max_byte": 1})
    with pytest.raises(ValueError, match="never on a timer"):
        KafkaSource(bootstrap_servers="x:1", topics=["t"], client={"enable_auto_commit": True})


def test_refusal_for_good_reaches_the_stream(sources: Sources, topic: str) -> None:
    """What waiting cannot mend is raised from poll, with what to do."""
    reader = sources.open(topic, client={"session_timeout_ms": 6000, "fetch_max_wait_ms": 90_000})
    with pytest.raises(SourceError, match="check the Kafka client settings"):
        reader.read(1)
