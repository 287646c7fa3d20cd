"""What every source promises, on records in memory and on Kafka."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from ingest.kafka_producer import Producer
from ingest.record import Origin, Record
from ingest.sources.kafka import KafkaSource
from ingest.sources.port import Rebalanced, Source
from ingest.sources.replay import ReplaySource
from tests.support.broker import Broker, ExistingBroker
from tests.support.streams import Reader

COUNT = 40
Build = Callable[[], Source]


def _records(topic: str) -> list[Record]:
    return [
        Record(origin=Origin(topic=topic, partition=0, offset=i), value=str(i).encode()) for i in range(COUNT)
    ]


@pytest.fixture(params=["replay", "kafka"])
def build(request: pytest.FixtureRequest) -> Iterator[Build]:
    """Return what builds sources over the same 40 records of one topic `<name>` with one partition."""
    made: list[Source] = []
    name = f"contract-{uuid.uuid4().hex[:8]}"
    if request.param == "kafka":
        broker: Broker | ExistingBroker = request.getfixturevalue("broker")
        broker.create_topic(name)
        producer = Producer(bootstrap_servers=broker.bootstrap)
        for record in _records(name):
            producer.send(name, key=None, value=record.value)
        producer.flush()
        producer.close()

    def make() -> Source:
        source: Source
        if request.param == "kafka":
            source = KafkaSource(bootstrap_servers=broker.bootstrap, topics=[name], group_id=name)
        else:
            source = ReplaySource(_records(name), batch=7)
        made.append(source)
        return source

    yield make
    for source in made:
        source.close()


def _partition(reader: Reader) -> tuple[str, int]:
    return reader.rebalances[0].assigned[0]


def test_assignment_comes_first_then_all_records_in_order(build: Build) -> None:
    """The first item tells the partitions; records follow in offset order, none missing, none twice."""
    source = build()
    source.start({})
    reader = Reader(source)
    reader.read_until(lambda: bool(reader.rebalances), "an assignment")
    assert reader.records == []
    assert source.assignment() == frozenset(reader.rebalances[0].assigned)
    reader.read(COUNT)
    assert reader.numbers == list(range(COUNT))
    assert source.counters.records == COUNT
    assert source.counters.bytes == sum(len(str(i)) for i in range(COUNT))


def test_positions_are_honoured(build: Build) -> None:
    """Reading begins exactly at a given position, and the assignment says so."""
    first = build()
    first.start({})
    reader = Reader(first)
    reader.read(1)
    part = _partition(reader)
    first.close()
    second = build()
    second.start({part: 33})
    reader = Reader(second)
    reader.read(COUNT - 33)
    assert reader.numbers == list(range(33, COUNT))
    assert dict(reader.rebalances[0].positions) == {part: 33}


def test_a_second_start_goes_back(build: Build) -> None:
    """`start` again without `close` announces the partitions anew and reads from its positions."""
    source = build()
    source.start({})
    reader = Reader(source)
    reader.read(20)
    source.start({_partition(reader): 5})
    again = Reader(source)
    again.read(COUNT - 5)
    assert again.numbers == list(range(5, COUNT))
    assert isinstance(again.rebalances[0], Rebalanced)


def test_lag_falls_to_zero_and_commit_reports_no_failure(build: Build) -> None:
    """Lag counts what was not polled; commits that work return nothing."""
    source = build()
    source.start({})
    reader = Reader(source)
    reader.read(COUNT)
    assert source.lag() == {_partition(reader): 0}
    assert source.commit(reader.positions) is None


def test_close_twice_is_harmless(build: Build) -> None:
    """A closed source may be closed again, started or not."""
    source = build()
    source.close()
    source.start({})
    source.close()
    source.close()
