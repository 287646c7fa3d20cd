"""The way of the data, on one screen: a record goes in, what must be stored and said comes out.

Pure between its edges: no clock, no database, no network. `take` handles one record, `tick` moves stream
time and collects what the closed windows led to. Refused records are kept in the outcome with their
reasons; nothing is dropped without a count. Owned by one thread (`agent.stream`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from agent.analysis import Incident, IncidentChange, InvestigationDue
from agent.incidents import Correlator, alert_anomaly
from agent.journal import Journal, Place, Snapshot
from agent.mutes import Mute, marked, muted_by
from agent.store.port import ModelAction, ModelRequest, TelemetryRow
from agent.topology import Topology
from detectors.anomaly import Anomaly
from detectors.manifest import ModelVersion
from detectors.suite import Learning, Suite
from detectors.versioned import RefusedError, Retired
from detectors.versions import Versions
from ingest.decode import Decode
from ingest.events import AlertEvent, DecodeError, Event, Receipt, Reject, RejectReason
from ingest.merged import MergedWindows
from ingest.minutes import Minutes
from ingest.partials import Mark, Part
from ingest.record import Nanos, Record
from ingest.redaction import RedactionError, Redactor
from ingest.summary import ClosedWindow
from ingest.windows import Windows


class _Stage(Protocol):
    """What every stage with a state can do."""

    def dump(self) -> bytes: ...

    def load(self, state: bytes) -> None: ...


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one commit has to write. Emptied by `Pipeline.outcome`."""

    changes: list[IncidentChange] = field(default_factory=list)
    anomalies: list[tuple[str, Anomaly]] = field(default_factory=list)
    due: list[InvestigationDue] = field(default_factory=list)
    refused: list[tuple[Record, tuple[Reject, ...]]] = field(default_factory=list)
    telemetry: list[TelemetryRow] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    """Live incidents that differ from the last outcome's, a change told or not."""
    retired: list[Retired] = field(default_factory=list)
    """Versions of detectors' models that ended."""
    parts: list[Part] = field(default_factory=list)
    """What an ingest half hands on to detection; with it alerts, and how far it is."""
    alerts: list[AlertEvent] = field(default_factory=list)
    mark: Mark | None = None


@dataclass(slots=True, kw_only=True)
class Counts:
    """What `/metrics` shows of the stream."""

    records: int = 0
    events: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    windows: int = 0
    anomalies: dict[str, int] = field(default_factory=dict)
    shadowed: dict[str, int] = field(default_factory=dict)
    """Of these, what detectors in shadow found."""
    muted: dict[str, int] = field(default_factory=dict)
    """Of these, what maintenance and mutes cover, by kind."""
    changes: dict[str, int] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    """What a limit shortened, by reason."""
    learning: Learning | None = None
    """As of the last closed window."""
    models: tuple[ModelVersion, ...] = ()
    """The versions of detectors' models that are live, as of the last outcome."""


class Pipeline:
    """decode → redact → windows → detectors → correlate, in that order, for every record."""

    def __init__(
        self,
        *,
        decode: Decode,
        redactor: Redactor,
        windows: Windows | MergedWindows,
        suite: Suite,
        correlator: Correlator,
        topology: Topology,
        minutes: Minutes,
        models: Versions | None = None,
        shadow: Iterable[str] = (),
    ) -> None:
        """Make the stages' pipeline; what detectors in `shadow` find is stored and opens nothing."""
        self._decode, self._redactor = decode, redactor
        self.windows: Windows | MergedWindows = windows
        self._suite, self._correlator, self._topology, self._minutes = suite, correlator, topology, minutes
        self.models = models or Versions()
        """The suite's detectors as versions of their models."""
        self._shadow = frozenset(shadow)
        self._mutes: tuple[Mute, ...] = ()
        self._journal = Journal()
        self._outcome = Outcome()
        self._told: dict[str, Incident] = {}
        self.counts = Counts()

    def take(self, record: Record, wall: Nanos) -> Receipt:
        """Decode, redact and file one record; say what became of it. Never raises on what a record holds."""
        self.counts.records += 1
        try:
            decoded = self._decode.decode(record, wall)
        except DecodeError as error:
            self._refuse(record, (error.reject,))
            return Receipt(rejects=(error.reject,))
        for reason, number in decoded.cuts:
            self.counts.cuts[reason] = self.counts.cuts.get(reason, 0) + number
        rejects, taken = list(decoded.rejects), 0
        for event in decoded.events:
            try:
                self._file(self._redactor.redact(event), record, wall)
                taken += 1
            except RedactionError as error:
                rejects.append(Reject(reason=RejectReason.REDACTION_FAILED, detail=str(error)))
            except DecodeError as error:
                rejects.append(error.reject)
        if rejects:
            self._refuse(record, tuple(rejects))
        return Receipt(events=taken, rejects=tuple(rejects))

    def tick(self, wall: Nanos) -> None:
        """Move stream time to `wall`: close windows, judge them, correlate what was found."""
        for closed in self.windows.advance(wall):
            self._judge(closed)
        # Incidents live by closed windows alone, so that arrival order cannot matter; only where there is
        # no telemetry at all (alerts over HTTP) does time have to move them by itself.
        if not self.windows.buffered and self._correlator.incidents():
            self._correlate((), self.windows.stream_time(wall))

    @property
    def hurried(self) -> bool:
        """True when somebody waits for the next commit: never, where all stages are in one process."""
        return False

    def begin(self, epoch: int) -> None:
        """Hear which life of its owner this is, once its state stands; only what is published tells."""

    def hand_over(self) -> None:
        """Get ready to lose partitions, or to end: nothing, where the stored state says where to go on."""

    def finish(self) -> None:
        """Close every open window: the end of a recording."""
        for closed in self.windows.flush():
            self._judge(closed)

    def heed_mutes(self, mutes: Sequence[Mute]) -> None:
        """Go by these mutes from the next window on."""
        self._mutes = tuple(mutes)

    def mutes_active(self, now: Nanos) -> dict[str, int]:
        """Return how many mutes are in force at `now`, by kind."""
        active: dict[str, int] = {}
        for one in self._mutes:
            if one.active(now):
                _count(active, one.kind.value)
        return active

    def lead(self, incident_id: str, service: str) -> None:
        """Note who leads an incident's suspects: another leader makes a new analysis due."""
        self._correlator.lead(incident_id, service)

    def heed(self, request: ModelRequest) -> str:
        """Do what a person asked of a detector's versions, and say what became of it."""
        self._journal.spoil()
        try:
            if request.action is ModelAction.RETRAIN:
                return self.models.retrain(request.detector, "asked for")
            if request.version is None or request.state is None:
                return f"refused: the state of version {request.number} is kept no longer"
            return self.models.rollback(request.detector, request.version, request.state)
        except RefusedError as error:
            return f"refused: {error}"

    def outcome(self) -> Outcome:
        """Return what has come up since the last call, and forget it."""
        done, self._outcome = self._outcome, Outcome()
        live = {incident.id: incident for incident in self._correlator.incidents()}
        done.incidents = [one for one in live.values() if self._told.get(one.id) != one]
        self._told = live
        done.telemetry = [
            TelemetryRow(environment=environment, service=service, minute=minute, windows=windows)
            for environment, service, minute, windows in self._minutes.dirty()
        ]
        done.retired = list(self.models.retired())
        self.counts.models = self.models.live()
        return done

    def _file(self, event: Event, record: Record, wall: Nanos) -> None:
        kind = type(event).__name__
        self.counts.events[kind] = self.counts.events.get(kind, 0) + 1
        if isinstance(event, AlertEvent):
            self._alert(event, max(event.time, self.windows.stream_time(wall)))
            return
        if isinstance(self.windows, MergedWindows):
            raise DecodeError(
                RejectReason.UNKNOWN_FORMAT, "this process detects; send telemetry to one of role ingest"
            )
        origin = record.origin
        self.windows.add(event, partition=(origin.topic, origin.partition), wall=wall)

    def _alert(self, event: AlertEvent, now: Nanos) -> None:
        anomaly = alert_anomaly(event)
        if anomaly is None:
            self._correlator.release(event, now)
        else:
            self._correlate(self._heard((anomaly,), now), now)

    def _judge(self, closed: ClosedWindow) -> None:
        self.counts.windows += 1
        self._topology.learn(closed.summaries)
        self._minutes.add(closed.summaries)
        anomalies = self._suite.observe(closed)
        self._journal.add(closed)
        for anomaly in anomalies:
            _count(self.counts.anomalies, anomaly.detector)
        self.counts.learning = self._suite.learning()
        self._correlate(self._heard(anomalies), closed.end)

    def _heard(self, anomalies: Sequence[Anomaly], at: Nanos | None = None) -> Sequence[Anomaly]:
        """Return what may become an incident, marked where it is muted; what is in shadow is only stored."""
        heard = []
        for anomaly in anomalies:
            if anomaly.detector in self._shadow:
                _count(self.counts.shadowed, anomaly.detector)
                self._outcome.anomalies.append(("", anomaly))
                continue
            told = marked(anomaly, self._mutes, at)
            by = muted_by(told)
            if by is not None:
                _count(self.counts.muted, by.partition(" ")[0])
            heard.append(told)
        return heard

    def _correlate(self, anomalies: Sequence[Anomaly], now: Nanos) -> None:
        heard = (*anomalies, *self._muted_otherwise({one.id for one in anomalies}, now))
        correlated = self._correlator.correlate(heard, now, self._topology)
        for change in correlated.changes:
            self.counts.changes[change.kind] = self.counts.changes.get(change.kind, 0) + 1
        self._outcome.changes.extend(correlated.changes)
        self._outcome.anomalies.extend(correlated.attached)
        self._outcome.due.extend(self._correlator.due(now))

    def _muted_otherwise(self, told: Container[str], now: Nanos) -> Iterable[Anomaly]:
        """Yield firing alerts whose mute has ended, or begun: nobody sends them again for hours."""
        for alert in self._correlator.firing():
            now_marked = marked(alert, self._mutes, now)
            if alert.id not in told and now_marked != alert:
                yield now_marked

    def _refuse(self, record: Record, rejects: tuple[Reject, ...]) -> None:
        for reject in rejects:
            self.counts.rejected[reject.reason] = self.counts.rejected.get(reject.reason, 0) + 1
        self._outcome.refused.append((record, rejects))

    def versions(self) -> tuple[str, ...]:
        """Return the detectors and their versions, for provenance."""
        return self._suite.versions()

    def dump(self) -> bytes:
        """Return the state of all stages; `load` continues from it identically."""
        return msgspec.msgpack.encode([stage.dump() for stage in self._stages()])

    def load(self, state: bytes) -> None:
        """Replace the state of all stages. Raises ValueError on bytes of another version."""
        dumped = msgspec.msgpack.decode(state, type=list[bytes])
        for stage, part in zip(self._stages(), dumped, strict=True):
            stage.load(part)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the state as a checkpoint writes it: all of the detectors' only `whole`, or now and then."""
        taken = None if whole else self._journal.taken()
        base = None
        if taken is None:
            base = self._journal.begin(self._suite.dump())
            taken = self._journal.taken()
        others = [stage.dump() for stage in self._stages() if stage is not self._suite]
        place, windows = taken or (None, ())
        return Snapshot(recent=msgspec.msgpack.encode((others, place)), base=base, windows=windows)

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the state of all stages by what `snapshot` gave. Raises ValueError on anything else."""
        if snapshot.base is None:
            self.load(snapshot.recent)
            return
        try:
            others, place = msgspec.msgpack.decode(snapshot.recent, type=tuple[list[bytes], Place])
        except msgspec.DecodeError as error:
            raise ValueError(f"the stored state cannot be read ({error}); start without it") from error
        state, windows = self._journal.resume(snapshot, place)
        self._suite.load(state)
        for closed in windows:
            self._suite.observe(closed)
        # What was found in these windows, and the versions that ended in them, was stored with them.
        self.models.retired()
        stages = [stage for stage in self._stages() if stage is not self._suite]
        for stage, part in zip(stages, others, strict=True):
            stage.load(part)

    def _stages(self) -> tuple[_Stage, ...]:
        return (self.windows, self._suite, self._correlator, self._topology, self._minutes)


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
