"""Where partial summaries of several processes become whole windows: in front of the detectors, at scale.

Order: windows close one after the other in time, each once, when every source partition that is spoken of
has passed them; a source that nobody speaks of for the idle time is left out, as in `ingest.windows`. What
is merged does not depend on the order in which parts came. Loss: a part that comes after its window closed
is counted in the next closed summary of its service. Does not block and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import msgspec
import zstandard

from ingest.collect import ServiceKey
from ingest.merge import merge
from ingest.naming import Naming
from ingest.partials import Mark, Part, PartialError
from ingest.rates import KnownCounter, Rates
from ingest.record import SECOND, Nanos
from ingest.summary import ClosedWindow, WindowSummary
from ingest.templates import Templates
from ingest.watermark import Partition, PartitionTime, Watermark
from ingest.windows import MAX_EMPTY

_Id = tuple[str, str, int]
"""The partition of the topic that a part came on, its owner and its number."""
_MAX_OWNERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    partition: Partition
    spoke: Nanos
    awake: Nanos
    newest: Nanos | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Everything between two calls."""

    open: tuple[tuple[str, Part], ...]
    lives: tuple[tuple[str, str, int], ...]
    fenced: int
    sources: tuple[_Source, ...]
    time: Nanos | None
    next_start: Nanos | None
    naming: bytes
    counters: tuple[KnownCounter, ...]
    late: tuple[tuple[str, str, int], ...]
    late_total: int


class MergedWindows:
    """Tumbling windows over all services of this detect process, made of parts."""

    def __init__(
        self,
        templates: Templates,
        *,
        width: Nanos = 10 * SECOND,
        idle: Nanos = 15 * SECOND,
        series_limit: int = 50_000,
    ) -> None:
        self._width = width
        self._watermark = Watermark(idle=idle)
        self._naming = Naming(templates)
        self._rates = Rates(limit=series_limit)
        self._open: dict[Nanos, dict[_Id, Part]] = {}
        self._lives: dict[tuple[str, str], int] = {}
        """By partition of the topic and owner: the life that spoke there last."""
        self._next: Nanos | None = None
        self._late: dict[ServiceKey, int] = {}
        self._late_total = self._fenced = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals by reason, for `/metrics`: lines of late parts among them."""
        limits = {"counter_limit": self._rates.forgotten, "template_limit": self._naming.overflowed}
        return {"late": self._late_total, "fenced": self._fenced, **limits}

    @property
    def buffered(self) -> int:
        """Parts of open windows."""
        return sum(len(parts) for parts in self._open.values())

    def expect(self, partitions: Iterable[Partition], *, wall: Nanos) -> None:
        """Have time wait: partitions of the topic have records that were not read yet."""
        if held := tuple(partitions):
            self._watermark.expect([*held, *self._watermark.partitions], wall=wall)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Stop waiting for what partitions of the topic say: another process reads them now."""
        names = {_name(partition) for partition in partitions}
        gone = [
            key for key in self._watermark.partitions if _name(key) in names or key[0].split("|")[0] in names
        ]
        self._watermark.forget(gone)

    def add(self, part: Part, *, partition: Partition) -> None:
        """Take a part that came on `partition` of the topic; one of the same owner and number is replaced.

        Raises `PartialError` on one of windows that are not these, which nothing here could ever close.
        """
        end = part.start + self._width
        if part.start % self._width or any(
            (one.start, one.end) != (part.start, end) for one in part.summaries
        ):
            raise PartialError(
                f"its windows are not of {self._width // SECOND} s: windows.width must be the same everywhere"
            )
        if not self._heard(part, partition):
            self._fenced += sum(one.lines for one in part.summaries)
            return
        if self._next is not None and part.start < self._next:
            for summary in part.summaries:
                key = (summary.environment, summary.service)
                self._late[key] = self._late.get(key, 0) + max(1, summary.lines)
                self._late_total += max(1, summary.lines)
            return
        self._open.setdefault(part.start, {})[_name(partition), part.owner, part.number] = part

    def _heard(self, said: Part | Mark, partition: Partition) -> bool:
        """Say whether it counts: what an owner's former life still says does not, its next one says it again.

        Where a new life speaks first, what the one before had not stored is dropped, and time waits for it.
        """
        key = (_name(partition), said.owner)
        before = self._lives.pop(key, said.life)
        self._lives[key] = max(before, said.life)
        if len(self._lives) > _MAX_OWNERS:
            del self._lives[next(iter(self._lives))]
        if said.life > before:
            for parts in self._open.values():
                for one in [one for one in parts if one[:2] == key and one[2] >= said.since]:
                    del parts[one]
            own = self._watermark.partitions.get((f"{key[0]}|owner.{said.owner}", 0))
            if own is not None:
                own.newest = None
        return said.life >= before

    def mark(self, mark: Mark, *, partition: Partition, wall: Nanos) -> None:
        """Note how far an owner is, as `partition` of the topic says."""
        if not self._heard(mark, partition):
            return
        known = self._watermark.partitions
        known.pop(partition, None)  # it has spoken: from now on its sources are what time waits for
        for topic, number in mark.sources:
            key = (f"{_name(partition)}|{topic}", number)
            state = known.setdefault(key, PartitionTime(spoke=wall, awake=wall))
            if mark.reached is not None:
                state.newest = max(state.newest or 0, mark.reached)
            state.spoke, state.awake = max(state.spoke, wall), max(state.awake, wall)

    def advance(self, wall: Nanos) -> tuple[ClosedWindow, ...]:
        """Tick: close and return every window that all sources have passed, empty ones between included."""
        _, time = self._watermark.advance(wall)
        return () if time is None else self._close(time - time % self._width)

    def flush(self) -> tuple[ClosedWindow, ...]:
        """Close everything that is open."""
        return self._close(max(self._open) + self._width) if self._open else ()

    def stream_time(self, wall: Nanos) -> Nanos:
        """Return the event time that all sources have reached; `wall` where nothing has come yet."""
        time = self._watermark.peek(wall)
        return wall if time is None else time

    def dump(self) -> bytes:
        """Return the complete state, compressed."""
        opened = [one for start in sorted(self._open) for one in sorted(self._open[start].items())]
        state = _State(
            open=tuple((one[0], part) for one, part in opened),
            lives=tuple((*key, life) for key, life in self._lives.items()),
            fenced=self._fenced,
            sources=tuple(
                _Source(partition=key, spoke=one.spoke, awake=one.awake, newest=one.newest)
                for key, one in self._watermark.partitions.items()
            ),
            time=self._watermark.time,
            next_start=self._next,
            naming=self._naming.dump(),
            counters=self._rates.dump(),
            late=tuple((*key, n) for key, n in sorted(self._late.items())),
            late_total=self._late_total,
        )
        return zstandard.compress(msgspec.msgpack.encode(state))

    def load(self, state: bytes) -> None:
        """Replace everything by a `dump`. Raises ValueError on other bytes."""
        try:
            saved = msgspec.msgpack.decode(zstandard.decompress(state), type=_State)
        except (msgspec.DecodeError, zstandard.ZstdError) as error:
            raise ValueError(
                f"the state of merged windows cannot be read ({type(error).__name__}); start without it"
            ) from error
        self._open = {}
        for partition, part in saved.open:
            self._open.setdefault(part.start, {})[partition, part.owner, part.number] = part
        self._lives = {(partition, owner): life for partition, owner, life in saved.lives}
        self._watermark.time = saved.time
        self._watermark.partitions = {
            one.partition: PartitionTime(spoke=one.spoke, awake=one.awake, newest=one.newest)
            for one in saved.sources
        }
        self._next, self._late_total, self._fenced = saved.next_start, saved.late_total, saved.fenced
        self._naming.load(saved.naming)
        self._rates.load(saved.counters)
        self._late = {(environment, service): n for environment, service, n in saved.late}

    def _close(self, until: Nanos) -> tuple[ClosedWindow, ...]:
        start = min(self._open, default=until) if self._next is None else self._next
        closed: list[ClosedWindow] = []
        empty = 0
        while start < until:
            parts = self._open.pop(start, None)
            empty = 0 if parts else empty + 1
            if empty > MAX_EMPTY:
                start = min([s for s in self._open if s < until], default=until)
                continue
            closed.append(self._closed(parts or {}, start))
            start += self._width
        if closed or self._next is not None:
            self._next = start
        return tuple(closed)

    def _closed(self, parts: Mapping[_Id, Part], start: Nanos) -> ClosedWindow:
        end = start + self._width
        services: dict[ServiceKey, list[WindowSummary]] = {}
        for _, part in sorted(parts.items()):
            for summary in part.summaries:
                services.setdefault((summary.environment, summary.service), []).append(summary)
        late, self._late = self._late, {}
        for environment, service in late.keys() - services.keys():
            services[environment, service] = [
                WindowSummary(environment=environment, service=service, start=start, end=end)
            ]
        summaries = []
        for key in sorted(services):
            whole = self._naming.named(reduce(merge, services[key]))
            summaries.append(self._rates.derive(replace(whole, late=whole.late + late.get(key, 0))))
        return ClosedWindow(start=start, end=end, summaries=tuple(summaries))


def _name(partition: Partition) -> str:
    return f"{partition[0]}/{partition[1]}"
