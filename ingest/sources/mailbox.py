"""Between the thread that owns a client and the stream thread: a queue that knows about revocations.

Keeps order within a partition and never drops what the stream could still commit: records of a revoked
partition are taken out because its next owner reads them again. Waiting happens only in `take`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ingest.record import Record
from ingest.sources.port import Item, Partition, Rebalanced


def estimated_events(record: Record) -> int:
    """Guess how many events an undecoded record holds: one for every 400 bytes, at least one."""
    return max(1, len(record.value) // 400)


class Mailbox:
    """Thread-safe; one producer, one consumer. `weigh` says how many events a record counts for."""

    def __init__(self, weigh: Callable[[Record], int] = estimated_events) -> None:
        self._weigh = weigh
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._weight = 0
        self._unsettled = False

    @property
    def weight(self) -> int:
        """Events that wait."""
        return self._weight

    def settled(self) -> bool:
        """Say whether every revocation was taken and the stream has come back since."""
        with self._changed:
            return not self._unsettled and not any(_is_revocation(item) for item in self._items)

    def put(self, records: Iterable[Record]) -> None:
        """Append records in order."""
        with self._changed:
            for record in records:
                self._items.append(record)
                self._weight += self._weigh(record)
            self._changed.notify_all()

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Append word of new partitions."""
        with self._changed:
            self._items.append(Rebalanced(assigned=tuple(sorted(partitions))))
            self._changed.notify_all()

    def revoked(self, partitions: Iterable[Partition], *, lost: bool = False) -> bool:
        """Drop what waits of `partitions` and put word of it first.

        Returns False when the stream never heard of these partitions: then there is nothing to tell.
        """
        gone = set(partitions)
        with self._changed:
            known = gone - self._forget(gone)
            if known:
                ahead = 0
                while ahead < len(self._items) and _is_revocation(self._items[ahead]):
                    ahead += 1
                self._items.insert(ahead, Rebalanced(revoked=tuple(sorted(known)), lost=lost))
                self._changed.notify_all()
            return bool(known)

    def clear(self) -> None:
        """Drop everything."""
        with self._changed:
            self._items.clear()
            self._weight = 0

    def wake(self) -> None:
        """Let a waiting `take` look again."""
        with self._changed:
            self._changed.notify_all()

    def first(self, timeout_s: float, *, unless: Callable[[], bool] = lambda: False) -> Item | None:
        """Wait for something and return the first item without taking it; None when nothing came."""
        with self._changed:
            self._unsettled = False
            self._changed.wait_for(lambda: bool(self._items) or unless(), timeout=timeout_s)
            return self._items[0] if self._items else None

    def take(self, limit: int) -> list[Record]:
        """Take up to `limit` records that come before any word of partitions; does not wait."""
        taken: list[Record] = []
        with self._changed:
            while self._items and len(taken) < limit:
                item = self._items[0]
                if isinstance(item, Rebalanced):
                    break
                self._items.popleft()
                self._weight -= self._weigh(item)
                taken.append(item)
        return taken

    def remove(self, item: Rebalanced) -> bool:
        """Take `item` if it is still first; False when a revocation came before it."""
        with self._changed:
            if self._items and self._items[0] is item:
                self._items.popleft()
                self._unsettled = bool(item.revoked)
                return True
            return False

    def _forget(self, gone: set[Partition]) -> set[Partition]:
        """Take out what waits of `gone`; return those whose assignment the stream has not seen yet."""
        unseen: set[Partition] = set()
        kept: deque[Item] = deque()
        for item in self._items:
            if isinstance(item, Rebalanced):
                unseen.update(gone.intersection(item.assigned))
                left = tuple(part for part in item.assigned if part not in gone)
                if left or item.revoked:
                    kept.append(replace(item, assigned=left) if left != item.assigned else item)
            elif (item.origin.topic, item.origin.partition) in gone:
                self._weight -= self._weigh(item)
            else:
                kept.append(item)
        self._items = kept
        return unseen


def _is_revocation(item: Item) -> bool:
    return isinstance(item, Rebalanced) and bool(item.revoked)
