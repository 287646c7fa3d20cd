"""Mailbox and handover: what revocations and restarts may deliver, and what not."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.record import Origin, Record
from ingest.sources.handover import Handover
from ingest.sources.mailbox import Mailbox
from ingest.sources.port import Item, Partition, Rebalanced, SourceCounters

A: Partition = ("t", 0)
B: Partition = ("t", 1)


def _record(part: Partition, offset: int) -> Record:
    return Record(origin=Origin(topic=part[0], partition=part[1], offset=offset), value=b"v")


def _taken(handover: Handover) -> Sequence[Item]:
    return handover.take(0, 100, unless=lambda: True)


def _flowing(*parts: Partition) -> Handover:
    """Return a handover whose partitions are assigned, begun and empty."""
    handover = Handover(counters=SourceCounters())
    handover.came(parts)
    _taken(handover)
    handover.started(dict.fromkeys(handover.begin(), 0), pin=False)
    return handover


def test_records_wait_in_order_and_weigh() -> None:
    """Weight rises with what waits and falls with what is taken, at most the limit at once."""
    mailbox = Mailbox(weigh=lambda record: 2)
    mailbox.put([_record(A, offset) for offset in range(5)])
    assert mailbox.weight == 10
    assert [record.origin.offset for record in mailbox.take(3)] == [0, 1, 2]
    assert mailbox.weight == 4


def test_revocation_comes_first_and_takes_its_records_along() -> None:
    """Waiting records of a revoked partition are dropped, others stay, and the word comes before them."""
    handover = _flowing(A, B)
    handover.deliver([_record(A, 0), _record(B, 0), _record(A, 1)], {})
    assert handover.gone([A], lost=False)
    assert _taken(handover) == (Rebalanced(revoked=(A,)),)
    assert _taken(handover) == [_record(B, 0)]


def test_revocation_is_settled_only_when_the_stream_comes_back() -> None:
    """The partition is let go after the stream took the word and polled again, not before."""
    handover = _flowing(A)
    assert handover.mailbox.settled()
    handover.gone([A], lost=False)
    assert not handover.mailbox.settled()
    _taken(handover)
    assert not handover.mailbox.settled()
    _taken(handover)
    assert handover.mailbox.settled()


def test_last_commit_before_a_revocation_is_still_taken() -> None:
    """What the stream commits on hearing of a revocation can be sent; afterwards it is refused."""
    handover = _flowing(A)
    handover.gone([A], lost=False)
    _taken(handover)
    handover.commit({A: 7})
    assert handover.offsets_to_commit() == {A: 7}
    handover.release([A])
    handover.commit({A: 8})
    assert handover.offsets_to_commit() == {}


def test_partition_that_went_before_it_was_seen_is_not_mentioned() -> None:
    """An assignment the stream never saw needs no revocation."""
    handover = Handover(counters=SourceCounters())
    handover.came([A, B])
    assert not handover.gone([A, B], lost=False)
    assert _taken(handover) == []
    assert handover.assignment() == frozenset()


def test_lost_partitions_cannot_be_committed() -> None:
    """A lost partition has another owner already."""
    handover = _flowing(A)
    handover.gone([A], lost=True)
    assert _taken(handover) == (Rebalanced(revoked=(A,), lost=True),)
    handover.commit({A: 3})
    assert handover.offsets_to_commit() == {}


def test_restart_delivers_nothing_that_was_read_before_it() -> None:
    """After a restart, records already read or on their way are dropped and partitions are offered again."""
    handover = _flowing(A)
    handover.deliver([_record(A, 0)], {})
    handover.restart({A: 5})
    handover.deliver([_record(A, 1)], {})
    assert _taken(handover) == []
    handover.begin()
    assert handover.waiting() == {A}
    assert _taken(handover) == (Rebalanced(assigned=(A,), positions={A: 5}),)
    assert handover.begin() == {A: 5}


def test_restart_without_positions_goes_back_to_where_the_partition_began() -> None:
    """Where nothing is stored, the first beginning counts, not how far reading had come."""
    handover = Handover(counters=SourceCounters())
    handover.came([A])
    _taken(handover)
    assert handover.begin() == {A: None}
    handover.started({A: 40}, pin=True)
    assert handover.offsets_to_commit() == {A: 40}
    handover.deliver([_record(A, 40)], {})
    handover.restart({})
    handover.begin()
    _taken(handover)
    assert handover.begin() == {A: 40}


def test_positions_come_from_the_callback() -> None:
    """With a callback the store is asked at every assignment; what it leaves out begins at the default."""
    asked: list[Sequence[Partition]] = []

    def positions_for(parts: Sequence[Partition]) -> dict[Partition, int]:
        asked.append(parts)
        return {A: 12}

    handover = Handover(counters=SourceCounters(), positions_for=positions_for)
    handover.came([A, B])
    assert _taken(handover) == (Rebalanced(assigned=(A, B), positions={A: 12}),)
    assert asked == [(A, B)]
    assert handover.begin() == {A: 12, B: None}


def test_commit_failures_are_counted_told_once_and_repeated() -> None:
    """A failed commit is told to the stream once, and its offsets go out again with the next."""
    counters = SourceCounters()
    handover = Handover(counters=counters)
    handover.came([A])
    _taken(handover)
    handover.started({A: 0}, pin=False)
    assert handover.commit({A: 3}) is None
    handover.commit_done(handover.offsets_to_commit(), "coordinator away")
    assert handover.commit({A: 3}) == "coordinator away"
    offsets = handover.offsets_to_commit()
    assert offsets == {A: 3}
    handover.commit_done(offsets, None)
    assert handover.commit({A: 3}) is None
    assert handover.offsets_to_commit() == {}
    assert (counters.commits, counters.commit_failures) == (1, 1)


class _World:
    """A stream that commits when told, and a broker that gives and takes two partitions."""

    def __init__(self) -> None:
        self.stored: dict[Partition, int] = {}
        self.seen: dict[Partition, list[int]] = {A: [], B: []}
        self.fetched: dict[Partition, int] = {}
        self.handover = Handover(
            counters=SourceCounters(),
            positions_for=lambda parts: {part: self.stored.get(part, 0) for part in parts},
        )

    def take(self, part: Partition) -> None:
        for item in _taken(self.handover):
            if isinstance(item, Record):
                self.seen[(item.origin.topic, item.origin.partition)].append(item.origin.offset)
            else:
                self.stored.update({gone: len(self.seen[gone]) for gone in item.revoked})

    def deliver(self, part: Partition) -> None:
        begun = {begun: at for begun, at in self.handover.begin().items() if at is not None}
        self.handover.started(begun, pin=False)
        self.fetched.update(begun)
        ready = [known for known in self.fetched if known not in self.handover.waiting()]
        self.handover.deliver([_record(p, self.fetched[p] + i) for p in ready for i in range(3)], {})
        self.fetched.update({known: self.fetched[known] + 3 for known in ready})

    def give(self, part: Partition) -> None:
        if part not in self.handover.assignment():
            self.handover.came([part])

    def revoke(self, part: Partition) -> None:
        if part not in self.handover.assignment():
            return
        self.fetched.pop(part, None)
        if self.handover.gone([part], lost=False):
            while not self.handover.mailbox.settled():
                self.take(part)
            self.handover.release([part])


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["deliver", "take", "give", "revoke"]), st.sampled_from([A, B])),
        max_size=60,
    )
)
def test_a_stream_that_checkpoints_on_revocation_sees_every_offset_once(
    steps: list[tuple[str, Partition]],
) -> None:
    """However partitions come and go, a stream that commits when told reads each offset once, in order."""
    world = _World()
    for step, part in steps:
        getattr(world, step)(part)
    for step, part in [("give", A), ("give", B), *[("take", A)] * 60, ("deliver", A), ("take", A)]:
        getattr(world, step)(part)
    assert all(offsets == list(range(len(offsets))) for offsets in world.seen.values())
    assert all(offsets for offsets in world.seen.values())
