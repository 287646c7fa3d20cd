"""What every decoder writes into: the events, refused items and cuts of one record, under its limits.

A decoder raises `DecodeError` for an item it refuses and catches it around each item, so that one bad
item never takes its batch along. What a limit shortens is counted by reason, never silent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ingest.events import Decoded, DecodeError, Event, Labels, Reject, RejectReason, Resource, TopicDefaults
from ingest.identity import EVERY, Names, identify
from ingest.record import SECOND, Nanos, Origin, Record

MAX_RECORD = 4 * 1024 * 1024
"""Bytes of a whole record."""
MAX_ITEMS = 50_000
"""Objects of a record: what is worth a line has eighty bytes, so 4 MiB of such fit."""
MAX_FIELD = 64 * 1024
"""Bytes of one text, such as a log body."""
MAX_LABELS = 32
MAX_LABEL = 256
"""Bytes of a label's name and of its value."""
OLDEST: Nanos = 946_684_800 * SECOND
"""2000-01-01T00:00:00Z; nothing that is alive reports an earlier time."""
AHEAD: Nanos = 3600 * SECOND
UNREAD = "time_unread"
"""Counts lines of a time in no known form, which get another: the broker's, if they say no second one."""


class Batch:
    """Collects what one record holds; `now` bounds which times are believed."""

    __slots__ = ("cuts", "defaults", "events", "headers", "latest", "origin", "received", "rejects")

    def __init__(self, record: Record, now: Nanos, defaults: TopicDefaults) -> None:
        self.origin: Origin = record.origin
        self.received: Nanos = record.received
        self.headers = record.headers
        self.defaults = defaults
        self.latest: Nanos = now + AHEAD
        self.events: list[Event] = []
        self.rejects: list[Reject] = []
        self.cuts: defaultdict[str, int] = defaultdict(int)

    def valid_time(self, time: Nanos) -> Nanos:
        """Return `time` unchanged; `DecodeError` when it is before 2000 or over 1 h ahead."""
        if OLDEST <= time <= self.latest:
            return time
        side = "before 2000-01-01" if time < OLDEST else "more than 1 h ahead of now"
        raise DecodeError(RejectReason.TIME_INVALID, f"the item's time is {side}; check the sender's clock")

    def stamped(self, time: Nanos) -> Nanos:
        """Return a valid time where 0 stands for none; `DecodeError` when it is missing or not valid."""
        if time == 0:
            raise DecodeError(RejectReason.TIME_MISSING, "the item has no time that can be read")
        return self.valid_time(time)

    def text(self, value: str) -> str:
        """Return `value`, cut to `MAX_FIELD` bytes."""
        return self._cut(value, MAX_FIELD, "field") if len(value) > MAX_FIELD // 4 else value

    def name(self, value: str) -> str:
        """Return the name of a metric, span, service or the like, cut to `MAX_LABEL` bytes."""
        return self._cut(value, MAX_LABEL, "name") if len(value) > MAX_LABEL // 4 else value

    def resource(
        self, attributes: Mapping[str, object], among: Names = EVERY
    ) -> tuple[Resource, tuple[str, ...]]:
        """Return whose telemetry these attributes describe, and the names that were read for it."""
        found, used = identify(attributes, self.defaults, among)
        texts = (found.environment, found.service, found.instance or "", found.node or "")
        if max(map(len, texts)) > MAX_LABEL // 4:
            found = Resource(
                environment=self.name(found.environment),
                service=self.name(found.service),
                instance=None if found.instance is None else self.name(found.instance),
                node=None if found.node is None else self.name(found.node),
            )
        return found, used

    def labels(self, pairs: Iterable[tuple[str, str]]) -> Labels:
        """Return the pairs sorted by name, at most `MAX_LABELS` of them, each within `MAX_LABEL` bytes."""
        short = MAX_LABEL // 4
        kept = [
            (
                key if len(key) <= short else self._cut(key, MAX_LABEL, "label"),
                value if len(value) <= short else self._cut(value, MAX_LABEL, "label"),
            )
            for key, value in pairs
        ]
        kept.sort()
        if len(kept) > MAX_LABELS:
            self.cuts["labels"] += len(kept) - MAX_LABELS
            del kept[MAX_LABELS:]
        return tuple(kept)

    def _cut(self, value: str, limit: int, reason: str) -> str:
        raw = value.encode("utf-8", "replace")
        if len(raw) <= limit:
            return value
        self.cuts[reason] += 1
        return raw[:limit].decode("utf-8", "ignore")

    def decoded(self) -> Decoded:
        """Return what was collected; `DecodeError` with the first reason when every item was refused."""
        if self.rejects and not self.events:
            first = self.rejects[0]
            count = len(self.rejects)
            detail = first.detail if count == 1 else f"{first.detail} (first of {count} items, all refused)"
            raise DecodeError(first.reason, detail)
        return Decoded(
            events=tuple(self.events),
            rejects=tuple(self.rejects),
            cuts=tuple(sorted(self.cuts.items())) if self.cuts else (),
        )
