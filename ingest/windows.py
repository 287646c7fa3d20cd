"""Between redaction and detection: events in, closed windows out, in event time.

Order: windows close one after the other in time, each once. A closed window does not depend on the
order in which its records came: they are buffered and sorted before anything order-dependent runs.
Loss: what comes after its window closed, or stays too far ahead, is counted in the next closed summary
of its service. Does not block and reads no clock: `wall` is an argument; a replay passes the
recording's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import zstandard

from ingest.collect import Collector, Records, ServiceKey
from ingest.events import LogEvent
from ingest.rates import KnownCounter, Rates
from ingest.record import SECOND, Nanos
from ingest.spans import KnownSpan, SpanJoin
from ingest.summary import ClosedWindow, SeriesKey
from ingest.templates import Templates
from ingest.watermark import Partition, PartitionTime, Watermark, Windowed

MAX_EMPTY = 60
"""Empty windows emitted in a row by one call: ten minutes of silence at the default width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartitionState:
    partition: Partition
    spoke: Nanos
    awake: Nanos
    newest: Nanos | None
    held: Records


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Everything between two calls."""

    templates: bytes
    open: Records
    partitions: tuple[_PartitionState, ...]
    time: Nanos | None
    next_start: Nanos | None
    spans: tuple[KnownSpan, ...]
    series: tuple[tuple[str, str, SeriesKey, Nanos], ...]
    late: tuple[tuple[str, str, int], ...]
    rejected: tuple[tuple[str, str, int], ...]
    counts: dict[str, int]
    counters: tuple[KnownCounter, ...] = ()
    traces: tuple[LogEvent, ...] = ()


class Windows:
    """Tumbling event-time windows over all services of this worker."""

    def __init__(
        self,
        templates: Templates,
        *,
        width: Nanos = 10 * SECOND,
        lateness: Nanos = 5 * SECOND,
        idle: Nanos = 15 * SECOND,
        jump: Nanos = 600 * SECOND,
        agreeing: int = 20,
        series_limit: int = 50_000,
        span_retention: Nanos = 60 * SECOND,
        span_limit: int = 200_000,
        whole: bool = True,
    ) -> None:
        """Make windows; not `whole` where each is to be merged with others and its counters stay raw."""
        self._width = width
        self._lateness = lateness
        self._watermark = Watermark(idle=idle, jump=jump, agreeing=agreeing)
        self._spans = SpanJoin(retention=span_retention, limit=span_limit)
        self._collector = Collector(templates, self._spans, series_limit=series_limit)
        self._rates = Rates(limit=series_limit)
        self._whole = whole
        self._open: dict[Nanos, Records] = {}
        self._next: Nanos | None = None
        """Start of the next window to close; what is before it is late. None until one has closed."""
        self._current = Records()
        self._from: Nanos = 0
        self._to: Nanos = 0
        """The window that the last event went to, [from, to), as long as it is open."""
        self._late: dict[ServiceKey, int] = {}
        self._rejected: dict[ServiceKey, int] = {}
        self._late_total = 0
        self._ahead_total = 0
        self._base: Mapping[str, int] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals by reason since the stream began, for `/metrics`."""
        own = {
            "late": self._late_total,
            "time_ahead": self._ahead_total,
            "series_limit": self._collector.series_refused,
            "counter_limit": self._rates.forgotten,
            "template_limit": self._collector.templates.overflowed,
            "span_limit": self._spans.dropped,
            "span_repeated": self._spans.repeated,
            "trace_joined": self._collector.traces.joined,
            "trace_limit": self._collector.traces.cut,
        }
        return {reason: own[reason] + self._base.get(reason, 0) for reason in own}

    @property
    def buffered(self) -> int:
        """Events in open windows."""
        return sum(len(records) for records in self._open.values())

    def expect(self, partitions: Iterable[Partition], *, wall: Nanos) -> None:
        """Announce partitions whose reading begins or goes on now; call it after `load` and each rebalance.

        Time waits for each until it speaks or has been idle; else a backlog would be taken for late.
        """
        self._watermark.expect(partitions, wall=wall)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Stop waiting for partitions that are read elsewhere now."""
        self._refuse(self._watermark.forget(partitions))

    def add(self, event: Windowed, *, partition: Partition, wall: Nanos) -> None:
        """Take an event that came from `partition` when the wall clock said `wall`."""
        time = event.time
        if self._watermark.follows(time, partition, wall):
            if self._from <= time < self._to:
                if type(event) is LogEvent:
                    self._current.logs.append(event)
                else:
                    self._current.add(event)
            else:
                self._buffer(event)
            return
        admitted = self._watermark.admit(event, partition=partition, wall=wall)
        for accepted in admitted.accepted:
            self._buffer(accepted)
        if admitted.rejected:
            self._refuse(admitted.rejected)

    def advance(self, wall: Nanos) -> tuple[ClosedWindow, ...]:
        """Tick: close and return every window that is over for longer than the allowed lateness.

        Empty windows between are returned too, but no more than `MAX_EMPTY` in a row: a longer gap jumps
        to the next window with records, so `start` of consecutive windows may then be further apart.
        """
        released, time = self._watermark.advance(wall)
        for event in released:
            self._buffer(event)
        if time is None:
            return ()
        until = self._floor(time - self._lateness)
        return () if self._next is not None and until <= self._next else self._close(until)

    def flush(self) -> tuple[ClosedWindow, ...]:
        """Close everything that is open: the recording is over. Unconfirmed events ahead are refused."""
        self._refuse(self._watermark.give_up_held())
        if not self._open:
            return ()
        return self._close(max(self._open) + self._width)

    def part(self) -> tuple[ClosedWindow, ...]:
        """Return what open windows hold so far and let go of it, closing none: for whoever merges parts."""
        opened, self._open, self._to = self._open, {}, 0
        return tuple(self._closed(opened[start], start) for start in sorted(opened))

    @property
    def reached(self) -> Nanos | None:
        """The time up to which windows have closed; None before the first."""
        return self._next

    def active(self, wall: Nanos) -> tuple[Partition, ...]:
        """Return the partitions that time waits for: those that are not idle."""
        return self._watermark.active(wall)

    def stream_time(self, wall: Nanos) -> Nanos:
        """Return the event time that the stream has reached; `wall` where nothing has come yet."""
        time = self._watermark.peek(wall)
        return wall if time is None else time

    def dump(self) -> bytes:
        """Return the complete state, compressed."""
        opened = Records()
        for start in sorted(self._open):
            opened.extend(self._open[start])
        state = _State(
            templates=self._collector.templates.dump(),
            open=opened,
            partitions=tuple(_partition_state(k, p) for k, p in self._watermark.partitions.items()),
            time=self._watermark.time,
            next_start=self._next,
            spans=self._spans.dump(),
            series=tuple((*key, last) for key, last in self._collector.series.items()),
            late=tuple((*key, n) for key, n in sorted(self._late.items())),
            rejected=tuple((*key, n) for key, n in sorted(self._rejected.items())),
            counts=dict(self.counts),
            counters=self._rates.dump(),
            traces=self._collector.traces.dump(),
        )
        return zstandard.compress(msgspec.msgpack.encode(state))

    def load(self, state: bytes) -> None:
        """Replace everything by a `dump`; the settings stay those of this object."""
        saved = msgspec.msgpack.decode(zstandard.decompress(state), type=_State)
        self._collector.templates.load(saved.templates)
        self._spans.load(saved.spans)
        self._collector.series = {(env, svc, key): last for env, svc, key, last in saved.series}
        self._rates.load(saved.counters)
        self._collector.traces.load(saved.traces)
        self._watermark.time = saved.time
        self._watermark.partitions = {
            p.partition: PartitionTime(spoke=p.spoke, awake=p.awake, newest=p.newest, held=p.held.all())
            for p in saved.partitions
        }
        self._next = saved.next_start
        self._open, self._to = {}, 0
        for event in saved.open.all():
            self._open.setdefault(self._floor(event.time), Records()).add(event)
        self._late = {(env, svc): n for env, svc, n in saved.late}
        self._rejected = {(env, svc): n for env, svc, n in saved.rejected}
        self._restore_counts(saved.counts)

    def _restore_counts(self, saved: Mapping[str, int]) -> None:
        self._base = {}
        current = self.counts
        self._base = {reason: saved.get(reason, 0) - current[reason] for reason in current}

    def _floor(self, time: Nanos) -> Nanos:
        return time - time % self._width

    def _buffer(self, event: Windowed) -> None:
        time = event.time
        start = time - time % self._width
        if self._next is not None and start < self._next:
            self._late_total += 1
            _count(self._late, event)
            return
        records = self._open.get(start)
        if records is None:
            records = self._open[start] = Records()
        records.add(event)
        self._current, self._from, self._to = records, start, start + self._width

    def _refuse(self, events: Iterable[Windowed]) -> None:
        for event in events:
            self._ahead_total += 1
            _count(self._rejected, event)

    def _close(self, until: Nanos) -> tuple[ClosedWindow, ...]:
        """Close every window that ends at or before `until`."""
        start = self._next
        if start is None:
            start = min(self._open, default=until)
        closed: list[ClosedWindow] = []
        empty = 0
        if start < until:
            self._to = 0
        while start < until:
            records = self._open.pop(start, None)
            empty = 0 if records else empty + 1
            if empty > MAX_EMPTY:
                start = min([s for s in self._open if s < until], default=until)
                continue
            closed.append(self._closed(records or Records(), start))
            start += self._width
        if closed or self._next is not None:
            self._next = start
        return tuple(closed)

    def _closed(self, records: Records, start: Nanos) -> ClosedWindow:
        end = start + self._width
        late, self._late = self._late, {}
        rejected, self._rejected = self._rejected, {}
        summaries = self._collector.collect(records, start=start, end=end, late=late, rejected=rejected)
        if self._whole:
            summaries = tuple(self._rates.derive(summary) for summary in summaries)
        return ClosedWindow(start=start, end=end, summaries=summaries)


def _count(counts: dict[ServiceKey, int], event: Windowed) -> None:
    key = (event.resource.environment, event.resource.service)
    counts[key] = counts.get(key, 0) + 1


def _partition_state(partition: Partition, time: PartitionTime) -> _PartitionState:
    held = Records()
    for event in time.held:
        held.add(event)
    return _PartitionState(
        partition=partition, spoke=time.spoke, awake=time.awake, newest=time.newest, held=held
    )
