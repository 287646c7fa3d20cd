"""The first stage's port: what the stream thread asks of a source. Held by `tests/contract/test_source.py`.

A source promises at-least-once delivery, order within a partition, and that nothing of a partition arrives
between its `Rebalanced` items "revoked" and "assigned". `poll` is the only call that waits. A source loses
nothing: where it starts is what `start` and its position callback say, never what it remembers by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ingest.record import Record

Partition = tuple[str, int]
"""(topic, partition)."""

Positions = Mapping[Partition, int]
"""The next offset to read, by partition."""

PositionsFor = Callable[[Sequence[Partition]], Positions]
"""Reads from the store where to go on; a partition it leaves out starts at the source's default."""


class SourceError(Exception):
    """The source has stopped for good; the message says what to do. `start` may be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalanced:
    """Partitions came or went. Always alone in its batch.

    Revoked: write a checkpoint before the next `poll`; calling `poll` again says that this is done, and only
    then another process gets the partitions. With `lost` they already have another owner: do not commit
    them. Assigned: restore state before the next `poll`; reading goes on at `positions`.
    """

    assigned: tuple[Partition, ...] = ()
    revoked: tuple[Partition, ...] = ()
    lost: bool = False
    positions: Positions = field(default_factory=dict)


Item = Record | Rebalanced


@dataclass(slots=True, kw_only=True)
class SourceCounters:
    """What `/metrics` shows of a source; each only grows. Written by one thread, read by any."""

    records: int = 0
    bytes: int = 0
    polls: int = 0
    pauses: int = 0
    resumes: int = 0
    commits: int = 0
    commit_failures: int = 0
    rebalances: int = 0
    rejoins: int = 0
    """Times the watchdog joined the group again because it had no partitions."""
    connect_failures: int = 0


class Source(Protocol):
    """Records in, positions back. All calls but `counters`, `lag` and `close` belong to the stream thread."""

    @property
    def counters(self) -> SourceCounters:
        """Counts since construction."""
        ...

    @property
    def exhausted(self) -> bool:
        """True once nothing more will ever come (recordings); a live source is never exhausted."""
        ...

    def start(self, positions: Positions) -> None:
        """Begin at `positions`; partitions without one start at the source's default. Does not wait.

        Called again without `close`, everything not yet polled is dropped and read anew from `positions`.
        """
        ...

    def poll(self, timeout_s: float) -> Sequence[Item]:
        """Return what has arrived, after at most about `timeout_s`. Raises SourceError."""
        ...

    def commit(self, positions: Positions) -> str | None:
        """Tell the source what is safely stored. Returns why an earlier commit failed, or None.

        A failure loses nothing (a start reads the store), it is there to be counted and shown.
        """
        ...

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions that this source reads now."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """Return the records not yet polled, by partition, as far as known."""
        ...

    def close(self) -> None:
        """Commit what was handed over and leave, within 20 s. May be called twice."""
        ...
