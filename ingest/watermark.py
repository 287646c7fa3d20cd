"""Event time of a stream with several source partitions; part of `ingest.windows`. Pure: wall time is given.

The stream's time is the least of its active partitions' times and never goes back. A partition that is
idle is left out until it speaks again; when all are, time goes on at the pace of the wall clock. A backlog
that ends such a silence has time wait for all of them again, because each may have its own. Events far
ahead of their partition are held until enough of them agree, so that one wrong clock closes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ingest.events import ChangeEvent, LogEvent, MetricPoint, SpanEvent
from ingest.record import SECOND, Nanos

Partition = tuple[str, int]
"""Topic and partition."""
Windowed = LogEvent | MetricPoint | SpanEvent | ChangeEvent
"""The events that windows are made of; alerts go straight to correlation."""


@dataclass(slots=True)
class PartitionTime:
    """Where one partition stands.

    `spoke` is the wall time of its last event, `awake` that from which idleness counts: later than `spoke`
    where reading has only just begun (again). `newest` is None until the partition has said anything;
    `held` are events ahead of it, unconfirmed.
    """

    spoke: Nanos
    awake: Nanos
    newest: Nanos | None = None
    held: list[Windowed] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What became of an event and of those held before it."""

    accepted: tuple[Windowed, ...] = ()
    rejected: tuple[Windowed, ...] = ()


class Watermark:
    """Decides which events move time, and what time it is."""

    def __init__(self, *, idle: Nanos = 15 * SECOND, jump: Nanos = 600 * SECOND, agreeing: int = 20) -> None:
        self._idle = idle
        self._jump = jump
        self._agreeing = agreeing
        self.partitions: dict[Partition, PartitionTime] = {}
        self.time: Nanos | None = None
        """Event time of the stream, None before the first event."""

    def expect(self, partitions: Iterable[Partition], *, wall: Nanos) -> None:
        """Announce partitions whose reading begins or goes on now: time waits for each until it is idle.

        Without it, a restart would take the time that it was down for silence, and its backlog for late.
        """
        for partition in partitions:
            state = self.partitions.setdefault(partition, PartitionTime(spoke=wall, awake=wall))
            state.awake = max(state.awake, wall)

    def forget(self, partitions: Iterable[Partition]) -> tuple[Windowed, ...]:
        """Leave out partitions that somebody else reads now; returns their held events."""
        gone = [self.partitions.pop(partition, None) for partition in partitions]
        return tuple(event for state in gone if state for event in state.held)

    def follows(self, time: Nanos, partition: Partition, wall: Nanos) -> bool:
        """Take note of an event that goes on where its partition stands, as nearly all do; False for others.

        What it returns True for, `admit` would have accepted alone; what it returns False for is for `admit`.
        """
        state = self.partitions.get(partition)
        if state is None or state.newest is None or state.held or time < wall - self._idle:
            return False
        spoke = state.spoke
        if time > state.newest:
            if time > state.newest + (wall - spoke if wall > spoke else 0) + self._jump:
                return False
            state.newest = time
        if wall > spoke:
            state.spoke = wall
        if wall > state.awake:
            state.awake = wall
        return True

    def admit(self, event: Windowed, *, partition: Partition, wall: Nanos) -> Admitted:
        """Take an event of `partition`, hold it, or settle those held before it."""
        state = self.partitions.get(partition)
        if state is None:
            state = self.partitions[partition] = PartitionTime(spoke=wall, awake=wall)
        if event.time < wall - self._idle and self._silent(wall):
            # Silence ends with something old, so a backlog is coming: others may have theirs.
            self.expect(self.partitions, wall=wall)
        if event.time > self._expected(state, wall) + self._jump:
            return self._hold(state, event, wall)
        rejected = tuple(state.held)
        state.held.clear()
        self._spoke(state, event.time, wall)
        return Admitted(accepted=(event,), rejected=rejected)

    def advance(self, wall: Nanos) -> tuple[tuple[Windowed, ...], Nanos | None]:
        """Move time to `wall`; returns held events that are no longer ahead, and the stream's time."""
        released: list[Windowed] = []
        for state in self.partitions.values():
            if state.held and min(e.time for e in state.held) <= self._expected(state, wall) + self._jump:
                released.extend(state.held)
                self._spoke(state, max(e.time for e in state.held), wall)
                state.held.clear()
        now = self._now(wall)
        if now is not None and (self.time is None or now > self.time):
            self.time = now
        return tuple(released), self.time

    def peek(self, wall: Nanos) -> Nanos | None:
        """Return what the stream's time would be at `wall`, changing nothing."""
        now = self._now(wall)
        return self.time if now is None or (self.time is not None and self.time > now) else now

    def active(self, wall: Nanos) -> tuple[Partition, ...]:
        """Return the partitions that are not idle at `wall`."""
        return tuple(key for key, state in self.partitions.items() if wall - state.awake < self._idle)

    def give_up_held(self) -> tuple[Windowed, ...]:
        """Return and drop all events that are still held."""
        held = tuple(event for state in self.partitions.values() for event in state.held)
        for state in self.partitions.values():
            state.held.clear()
        return held

    def _silent(self, wall: Nanos) -> bool:
        """Say whether no partition has spoken for the idle time."""
        return all(
            state.newest is None or wall - state.spoke >= self._idle for state in self.partitions.values()
        )

    def _expected(self, state: PartitionTime, wall: Nanos) -> Nanos:
        """Where the partition's time would be if it had gone on with the clock since it last spoke."""
        return wall if state.newest is None else state.newest + max(0, wall - state.spoke)

    def _hold(self, state: PartitionTime, event: Windowed, wall: Nanos) -> Admitted:
        times = [held.time for held in state.held]
        times.append(event.time)
        if max(times) - min(times) > self._jump:
            rejected = tuple(state.held)
            state.held = [event]
            return Admitted(rejected=rejected)
        state.held.append(event)
        if len(state.held) < self._agreeing:
            return Admitted()
        accepted = tuple(state.held)
        state.held.clear()
        self._spoke(state, max(times), wall)
        return Admitted(accepted=accepted)

    @staticmethod
    def _spoke(state: PartitionTime, time: Nanos, wall: Nanos) -> None:
        state.newest = time if state.newest is None else max(state.newest, time)
        state.spoke = max(state.spoke, wall)
        state.awake = max(state.awake, wall)

    def _now(self, wall: Nanos) -> Nanos | None:
        least: Nanos | None = None
        for state in self.partitions.values():
            if wall - state.awake < self._idle:
                if state.newest is None:
                    return None
                if least is None or state.newest < least:
                    least = state.newest
        if least is not None:
            return least
        known = [state for state in self.partitions.values() if state.newest is not None]
        if not known:
            return None
        newest = max(state.newest for state in known if state.newest is not None)
        return newest + max(0, wall - max(state.awake for state in known))
