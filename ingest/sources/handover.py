"""What three threads share around one Kafka client: positions, assignment, commits, and the mailbox.

The stream thread takes records and hands in commits; the owner thread seeks, pauses and delivers; the
client's own thread announces rebalances. Pure bookkeeping under one lock: no client, no clock. Promises
that after `restart` or a revocation nothing read before it is delivered any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ingest.record import Record
from ingest.sources.mailbox import Mailbox, estimated_events
from ingest.sources.port import Item, Partition, Positions, PositionsFor, Rebalanced, SourceCounters


class Handover:
    """Thread-safe. `positions_for` is called on the stream thread, outside the lock."""

    def __init__(
        self,
        *,
        counters: SourceCounters,
        positions_for: PositionsFor | None = None,
        weigh: Callable[[Record], int] = estimated_events,
    ) -> None:
        self._counters = counters
        self._positions_for = positions_for
        self.mailbox = Mailbox(weigh)
        self._lock = threading.RLock()
        self._starts: dict[Partition, int] = {}
        self._assigned: set[Partition] = set()
        self._waiting: set[Partition] = set()
        self._begin: dict[Partition, int | None] = {}
        self._origins: dict[Partition, int] = {}
        self._restart = False
        self._to_commit: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._commit_failure: str | None = None
        self._next: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}

    # The stream thread

    def restart(self, positions: Positions) -> None:
        """Forget what was read; every partition is offered to the stream again, from `positions`."""
        with self._lock:
            self._starts = dict(positions)
            self._forget()
            self._restart = True

    def take(self, timeout_s: float, limit: int, *, unless: Callable[[], bool]) -> Sequence[Item]:
        """Wait for records or word of partitions; at most `limit` records."""
        first = self.mailbox.first(timeout_s, unless=unless)
        if isinstance(first, Rebalanced):
            return self._rebalanced(first)
        taken = self.mailbox.take(limit)
        with self._lock:
            for record in taken:
                self._next[(record.origin.topic, record.origin.partition)] = record.origin.offset + 1
        return taken

    def commit(self, positions: Positions) -> str | None:
        """Note what is stored, to be committed by the owner; return why an earlier commit failed."""
        with self._lock:
            for part, offset in positions.items():
                self._starts[part] = offset
                if part in self._assigned and part not in self._waiting:
                    self._to_commit[part] = offset
            failure, self._commit_failure = self._commit_failure, None
        return failure

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions held now."""
        with self._lock:
            return frozenset(self._assigned)

    def lag(self) -> dict[Partition, int]:
        """Return records on the broker that the stream has not taken, where both ends are known."""
        with self._lock:
            known = {part: at for part, at in self._next.items() if part in self._ends}
            return {part: max(0, self._ends[part] - at) for part, at in known.items()}

    # The client's side

    def came(self, partitions: Iterable[Partition]) -> None:
        """Announce new partitions; they stay held until the stream has said where to begin."""
        with self._lock:
            new = set(partitions)
            self._assigned |= new
            self._waiting |= new
            if new:
                self._counters.rebalances += 1
                self.mailbox.assigned(sorted(new))

    def gone(self, partitions: Iterable[Partition], *, lost: bool) -> bool:
        """Take partitions away; True when the stream has to be told and given time to write."""
        with self._lock:
            old = set(partitions) & self._assigned
            told = bool(old) and self.mailbox.revoked(old, lost=lost)
            if lost or not told:
                self.release(old)
            return told

    def release(self, partitions: Iterable[Partition]) -> None:
        """Forget revoked partitions, after their last commit was handed in."""
        with self._lock:
            for part in partitions:
                self._assigned.discard(part)
                self._waiting.discard(part)
                for known in (self._begin, self._to_commit, self._committed, self._next, self._ends):
                    known.pop(part, None)
                self._origins.pop(part, None)

    def begin(self) -> dict[Partition, int | None]:
        """Return where to seek, until `started` says it is done; None leaves the place to the client."""
        with self._lock:
            if self._restart:
                self._restart = False
                self._forget()
                self._waiting = set(self._assigned)
                if self._assigned:
                    self.mailbox.assigned(sorted(self._assigned))
            return {part: at for part, at in self._begin.items() if part in self._assigned}

    def started(self, found: Positions, *, pin: bool) -> None:
        """Let partitions flow; `found` is where each really begins. `pin` commits that right away."""
        with self._lock:
            self._waiting.difference_update(found)
            for part, offset in found.items():
                self._begin.pop(part, None)
                self._next.setdefault(part, offset)
                self._origins.setdefault(part, offset)
                if pin:
                    self._to_commit.setdefault(part, offset)

    def waiting(self) -> frozenset[Partition]:
        """Return partitions that must not be read yet."""
        with self._lock:
            return frozenset(self._waiting)

    def deliver(self, records: Sequence[Record], ends: Mapping[Partition, int]) -> None:
        """Hand records to the stream, unless a restart came while they were read."""
        with self._lock:
            if self._restart:
                return
            self._ends.update(ends)
            self._counters.records += len(records)
            self._counters.bytes += sum(len(record.value) for record in records)
            self.mailbox.put(records)

    def offsets_to_commit(self) -> dict[Partition, int]:
        """Return and clear what is to be committed and is not yet."""
        with self._lock:
            offsets, self._to_commit = self._to_commit, {}
            return {
                part: at
                for part, at in offsets.items()
                if part in self._assigned and self._committed.get(part) != at
            }

    def commit_done(self, offsets: Positions, failure: str | None) -> None:
        """Note how a commit ended; one that failed is repeated with the stream's next."""
        with self._lock:
            if failure is None:
                self._counters.commits += 1
                self._committed.update(offsets)
            else:
                self._counters.commit_failures += 1
                self._commit_failure = failure

    def _rebalanced(self, item: Rebalanced) -> Sequence[Item]:
        positions: dict[Partition, int] = {}
        if item.assigned:
            stored = self._starts if self._positions_for is None else self._positions_for(item.assigned)
            # Where nothing is stored yet, a second start goes back to where the first one began.
            known = {**self._origins, **stored}
            positions = {part: known[part] for part in item.assigned if part in known}
        with self._lock:
            if not self.mailbox.remove(item):
                return ()
            for part in item.assigned:
                self._begin[part] = positions.get(part)
                self._next.pop(part, None)
            self._next.update(positions)
        return (replace(item, positions=positions),)

    def _forget(self) -> None:
        self.mailbox.clear()
        self._begin.clear()
        self._to_commit.clear()
        self._next.clear()
