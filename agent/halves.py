"""The pipeline in two halves, for more processes than one: ingest up to partial windows, detect from there.

`IngestHalf` reads telemetry like the whole pipeline and publishes each closed window's parts, with a mark
that says how far it is; several share a topic's partitions. `DetectHalf` reads what they published, makes
windows whole and goes on like the whole pipeline; it sees all services of its environments, so nothing that
belongs together is judged apart. What each promises of order and loss is what `Pipeline` promises.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent.incidents import Correlator
from agent.journal import Snapshot
from agent.pipeline import Outcome, Pipeline
from agent.topology import Topology
from detectors.suite import Suite
from ingest.decode import Decode
from ingest.events import AlertEvent, Receipt, Reject, RejectReason
from ingest.merged import MergedWindows
from ingest.minutes import Minutes
from ingest.partials import Mark, PartialError, decode, parts_of
from ingest.record import Nanos, Record
from ingest.redaction import Redactor
from ingest.summary import ClosedWindow
from ingest.watermark import Partition
from ingest.windows import Windows

HTTP = "http."
"""What topics of records begin with that came over HTTP: they have no partition that another could read."""


class IngestHalf(Pipeline):
    """decode → redact → windows → parts. `windows` must be made with `whole=False`."""

    def __init__(self, *, owner: str, decode: Decode, redactor: Redactor, windows: Windows) -> None:
        super().__init__(
            decode=decode,
            redactor=redactor,
            windows=windows,
            suite=Suite([]),
            correlator=Correlator(),
            topology=Topology(),
            minutes=Minutes(),
        )
        self._owner, self._windows = owner, windows
        self._number = self._since = self._life = 0
        self._wall: Nanos = 0
        self._told_sources: tuple[Partition, ...] = ()

    @property
    def hurried(self) -> bool:
        """True when detection waits for something: parts, or a word that a partition is read here now."""
        return bool(self._outcome.parts) or self._sources() != self._told_sources

    def begin(self, epoch: int) -> None:
        """Say from now on that what an earlier life published beyond this state is void."""
        self._life, self._since = epoch, self._number

    def tick(self, wall: Nanos) -> None:
        """Move stream time to `wall`; windows that close become parts."""
        self._wall = max(wall, self._wall)
        super().tick(wall)

    def hand_over(self) -> None:
        """Publish what open windows hold: nobody may come back for it."""
        for part in self._windows.part():
            self._judge(part)

    def outcome(self) -> Outcome:
        """Return what is to be published, with how far this half is."""
        done = super().outcome()
        self._told_sources = self._sources()
        if self._told_sources:
            done.mark = Mark(
                owner=self._owner,
                reached=self._windows.reached,
                sources=self._told_sources,
                life=self._life,
                since=self._since,
            )
        return done

    def dump(self) -> bytes:
        """Return the state, with the number that parts have reached."""
        return msgspec.msgpack.encode((self._number, super().dump()))

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the state: no detector's is in it, so all of it is written every time."""
        del whole
        return Snapshot(recent=self.dump())

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the state; what another role left beside it does not matter. Raises ValueError."""
        self.load(snapshot.recent)

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on bytes of another role or version."""
        self._number, rest = _thawed(state, "ingest", tuple[int, bytes])
        super().load(rest)

    def _judge(self, closed: ClosedWindow) -> None:
        self.counts.windows += 1
        parts = parts_of(
            closed.summaries, owner=self._owner, number=self._number, life=self._life, since=self._since
        )
        self._number += len(parts)
        self._outcome.parts.extend(parts)

    def _alert(self, event: AlertEvent, now: Nanos) -> None:
        del now  # an alert's time is that of the half that correlates
        self._outcome.alerts.append(event)

    def _sources(self) -> tuple[Partition, ...]:
        """Return the partitions that detection must wait for; one of our own for what is still open here."""
        active = sorted(self._windows.active(self._wall))
        if not active and not self._windows.buffered:
            return ()
        ours = (f"owner.{self._owner}", 0)
        return (ours, *(partition for partition in active if not partition[0].startswith(HTTP)))


class DetectHalf(Pipeline):
    """parts → windows → detectors → correlate."""

    def __init__(self, *, merged: MergedWindows, **stages: Any) -> None:
        super().__init__(windows=merged, **stages)
        self._merged = merged

    def take(self, record: Record, wall: Nanos) -> Receipt:
        """File one message of an ingest process, or an alert that came over HTTP."""
        if record.origin.topic.startswith(HTTP):
            return super().take(record, wall)
        self.counts.records += 1
        partition = (record.origin.topic, record.origin.partition)
        try:
            message = decode(record.value)
            if message.part is not None:
                self._merged.add(message.part, partition=partition)
        except PartialError as error:
            reject = Reject(reason=RejectReason.MALFORMED, detail=f"between ingest and detect: {error}")
            self._refuse(record, (reject,))
            return Receipt(rejects=(reject,))
        if message.alert is not None:
            super()._alert(message.alert, max(message.alert.time, self.windows.stream_time(wall)))
        if message.mark is not None:
            self._merged.mark(message.mark, partition=partition, wall=wall)
        return Receipt(events=1)

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on bytes of another role or version."""
        _thawed(state, "detect", list[bytes])
        super().load(state)


def _thawed(state: bytes, role: str, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(state, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"the stored state is not one of role {role} ({error}); give each role an owner of its own"
        ) from error
