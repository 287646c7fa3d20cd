"""The first value of the flow: one record as a source delivered it, before anything understood it.

Every later value keeps its `Origin`, so that whatever is claimed about a record can be looked up again.
"""

from __future__ import annotations

import msgspec

Nanos = int
"""Nanoseconds since the Unix epoch, UTC. The only unit of absolute time inside the service."""

SECOND: Nanos = 1_000_000_000


class Origin(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """Where a record came from. Ordered, so that ties are broken the same way on every run."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Bytes with an origin. `received` is the broker's (or the recording's) time of the record."""

    origin: Origin
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    received: Nanos = 0
