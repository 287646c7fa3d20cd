"""Records that somebody already holds, as a source: recordings, tests, one-off runs. No thread, no waiting.

Order is the order given; nothing is lost and nothing comes twice within one start. Positions are honoured
as Kafka would: what lies before a partition's position is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ingest.record import Record
from ingest.sources.port import Item, Partition, Positions, PositionsFor, Rebalanced, SourceCounters


class ReplaySource:
    """A `Source` over records in memory or made on demand.

    `records` is iterated once for every `start`: give a sequence, or an iterable that can begin again.
    `ends` (next offset after the last, by partition) spares a pass over the records to find them.
    """

    def __init__(
        self,
        records: Iterable[Record],
        *,
        ends: Positions | None = None,
        positions_for: PositionsFor | None = None,
        batch: int = 500,
    ) -> None:
        if isinstance(records, Iterator):
            records = tuple(records)
        self._records = records
        self._positions_for = positions_for
        self._batch = batch
        self._ends = dict(ends) if ends is not None else _ends(records)
        self._next: dict[Partition, int] = {}
        self._reading: Iterator[Record] | None = None
        self._announced = False
        self._exhausted = False
        self._counters = SourceCounters()

    @property
    def counters(self) -> SourceCounters:
        return self._counters

    @property
    def exhausted(self) -> bool:
        return self._exhausted

    def start(self, positions: Positions) -> None:
        self._next = dict(positions)
        self._reading = iter(self._records)
        self._announced = self._exhausted = False

    def poll(self, timeout_s: float) -> Sequence[Item]:  # noqa: ARG002 - nothing to wait for
        if self._reading is None:
            return ()
        self._counters.polls += 1
        if not self._announced:
            self._announced = True
            return (self._assign(),)
        taken: list[Record] = []
        for record in self._reading:
            part = (record.origin.topic, record.origin.partition)
            if record.origin.offset < self._next.get(part, 0):
                continue
            self._next[part] = record.origin.offset + 1
            self._counters.bytes += len(record.value)
            taken.append(record)
            if len(taken) == self._batch:
                break
        else:
            self._exhausted = True
        self._counters.records += len(taken)
        return taken

    def commit(self, positions: Positions) -> str | None:  # noqa: ARG002 - a recording keeps no positions
        self._counters.commits += 1
        return None

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self._ends) if self._announced else frozenset()

    def lag(self) -> Mapping[Partition, int]:
        return {part: max(0, end - self._next.get(part, 0)) for part, end in self._ends.items()}

    def close(self) -> None:
        self._reading = None

    def _assign(self) -> Rebalanced:
        self._counters.rebalances += 1
        parts = tuple(sorted(self._ends))
        if self._positions_for is not None:
            self._next.update(self._positions_for(parts))
        known = {part: self._next[part] for part in parts if part in self._next}
        return Rebalanced(assigned=parts, positions=known)


def _ends(records: Iterable[Record]) -> dict[Partition, int]:
    ends: dict[Partition, int] = {}
    for record in records:
        part = (record.origin.topic, record.origin.partition)
        ends[part] = max(ends.get(part, 0), record.origin.offset + 1)
    return ends
