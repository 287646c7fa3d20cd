"""From anomalies to incidents: join, open, merge, resolve, reopen. One call a closed window.

Pure: state in and out as bytes, time and topology as arguments. The outcome depends on what a call was
given, not on its order; an anomaly belongs to at most one incident; ids are those of first anomalies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from agent.analysis import (
    SEVERITY_RANK,
    ChangeKind,
    Incident,
    IncidentChange,
    IncidentState,
    InvestigationDue,
)
from agent.incidents import schedule
from agent.incidents.alerts import released_by
from agent.incidents.relate import former, joins, related, touching
from agent.incidents.state import (
    ALERTMANAGER,
    HOLD_ALERT,
    MAX_LIVE,
    MAX_MEMBERS,
    MAX_PENDING,
    VERSION,
    Correlated,
    Live,
    Pending,
    Policy,
    Reason,
    State,
    Step,
    absorbed,
    begun,
    by_age,
    in_order,
    muted_by,
    severity_of,
    title_of,
)
from agent.incidents.weighing import ratio, standing, weight
from agent.topology import Topology
from detectors.anomaly import Anomaly
from ingest.events import AlertEvent
from ingest.record import Nanos


class Correlator:
    """Groups anomalies into incidents and lives their lives. Owned by the stream thread."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._state = State()
        self._owner: dict[str, str] = {}
        """Anomaly id -> id of the live incident it belongs to."""

    def correlate(self, anomalies: Sequence[Anomaly], now: Nanos, topology: Topology) -> Correlated:
        """Take the anomalies of one window and move stream time to `now`; without any, only time passes."""
        now = self._state.now = max(now, self._state.now)
        step = Step(now=now)
        self._forget(step)
        for anomaly in in_order(anomalies):
            step.owners[anomaly.id] = ("", anomaly)
            if anomaly.fatal or not anomaly.learning:
                self._take(anomaly, topology, step)
        self._open(topology, step)
        self._merge(topology, step)
        changes = [*step.finished, *self._tell(step)]
        changes.extend(self._resolve(step))
        self._shrink(step)
        changes.sort(key=lambda one: (one.incident.opened_at, one.incident.id, one.incident.revision))
        return Correlated(changes=tuple(changes), attached=tuple(step.owners.values()), dropped=step.dropped)

    def due(self, now: Nanos) -> tuple[InvestigationDue, ...]:
        """Return the analyses due at stream time `now`, each once."""
        return schedule.take_due(self._state.live.values(), max(now, self._state.now))

    def lead(self, incident_id: str, service: str) -> None:
        """Note who leads the suspects of an incident; a change makes an analysis due."""
        live = self._state.live.get(incident_id)
        if live is None:
            return
        if live.suspect is not None and live.suspect != service:
            # A new analysis needs a revision of its own.
            live.incident = replace(live.incident, revision=live.incident.revision + 1)
            schedule.plan(live, (Reason.SUSPECT,), self._state.now, self._policy, opened=False)
        live.suspect = service

    def release(self, event: AlertEvent, now: Nanos) -> None:
        """Let go of an alert that stopped firing: its incident resolves when nothing else holds it."""
        owner = self._owner.get(released_by(event))
        if owner is not None:
            live = self._state.live[owner]
            if live.alerts.pop(released_by(event), None) is not None:
                last = max(live.incident.last_anomaly_at, min(now, max(event.ends or now, event.time)))
                live.incident = replace(live.incident, last_anomaly_at=last)

    def incidents(self) -> tuple[Incident, ...]:
        """Return the open incidents and those that may reopen, oldest first."""
        return tuple(live.incident for live in by_age(self._state.live.values()))

    def firing(self) -> tuple[Anomaly, ...]:
        """Return the alerts that hold open incidents, oldest incident first."""
        return tuple(
            live.members[one]
            for live in by_age(self._state.live.values())
            for one in live.alerts
            if live.open and one in live.members
        )

    def dump(self) -> bytes:
        """Return the whole state; `load` continues from it identically."""
        return msgspec.msgpack.encode(self._state)

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on damaged bytes or another version."""
        try:
            loaded = msgspec.msgpack.decode(state, type=State)
        except msgspec.DecodeError as error:
            raise ValueError(
                f"the state of correlation cannot be read ({error}); start without it"
            ) from error
        if loaded.version != VERSION:
            raise ValueError(
                f"the state of correlation has version {loaded.version}, this one reads {VERSION}"
            )
        self._state = loaded
        self._owner = {
            anomaly_id: live.incident.id for live in loaded.live.values() for anomaly_id in live.members
        }

    def _take(self, anomaly: Anomaly, topology: Topology, step: Step) -> None:
        """File one anomaly: with its incident, with one it belongs to, or among the pending."""
        owner = self._owner.get(anomaly.id)
        if owner is not None:
            live = self._state.live[owner]
            if not live.open:
                self._reopen(live, step)
            self._attach(live, anomaly, step)
            return
        for live in by_age(self._state.live.values()):
            if joins(topology, anomaly, live, self._policy.join_within):
                self._attach(live, anomaly, step)
                return
        self._state.pending[anomaly.id] = Pending(anomaly=anomaly, seen=step.now)

    def _attach(self, live: Live, anomaly: Anomaly, step: Step) -> None:
        """Make `anomaly` a member (again, with what is newest about it) and note what that changes."""
        incident = live.incident
        self._state.pending.pop(anomaly.id, None)
        is_alert = anomaly.detector == ALERTMANAGER
        last = max(incident.last_anomaly_at, step.now if is_alert else anomaly.end)
        live.incident = incident = replace(incident, last_anomaly_at=last)
        if anomaly.id not in live.members and len(live.members) >= MAX_MEMBERS:
            step.owners[anomaly.id] = ("", anomaly)
            step.dropped += 1
            return
        if is_alert:
            live.alerts[anomaly.id] = step.now + HOLD_ALERT
        new = anomaly.id not in live.members
        live.members[anomaly.id] = anomaly
        self._owner[anomaly.id] = incident.id
        step.owners[anomaly.id] = (incident.id, anomaly)
        services, severity, title = incident.services, incident.severity, incident.title
        if anomaly.service not in services:
            services = (*services, anomaly.service)
            step.why(incident.id, Reason.SERVICE)
        if SEVERITY_RANK[severity_of((anomaly,))] > SEVERITY_RANK[severity]:
            severity, title = severity_of((anomaly,)), title_of((anomaly,))
            step.why(incident.id, Reason.SEVERITY)
        if new:
            step.why(incident.id, Reason.ANOMALY)
        since = last - self._policy.resolve_after
        muted = muted_by(live.members.values(), since=since, firing=live.alerts)
        if incident.muted_by and not muted:
            step.why(incident.id, Reason.UNMUTED)
        ids = (*incident.anomaly_ids, anomaly.id) if new else incident.anomaly_ids
        live.incident = replace(
            incident,
            services=services,
            severity=severity,
            title=title,
            anomaly_ids=ids,
            onset=min(incident.onset, anomaly.start),
            muted_by=muted,
        )

    def _open(self, topology: Topology, step: Step) -> None:
        """Open or reopen an incident for every pending anomaly that suffices, alone or with another."""
        for pending in in_order(one.anomaly for one in self._state.pending.values()):
            if pending.id not in self._state.pending:
                continue
            group, reason = self._enough(pending, topology, step.now)
            if reason is None:
                continue
            live = former(self._state.live.values(), group) or self._begin(group, reason, step)
            if live is None:
                step.dropped += 1
                continue
            if not live.open:
                self._reopen(live, step)
            for anomaly in group:
                self._attach(live, anomaly, step)
            self._gather(live, topology, step)

    def _enough(
        self, anomaly: Anomaly, topology: Topology, now: Nanos
    ) -> tuple[tuple[Anomaly, ...], Reason | None]:
        if anomaly.detector == ALERTMANAGER:
            return (anomaly,), Reason.ALERT
        if standing(anomaly) >= self._policy.strong:
            return (anomaly,), Reason.STRONG
        near = [
            one.anomaly
            for one in self._state.pending.values()
            if one.anomaly.id != anomaly.id
            and now - one.seen <= self._policy.pair_within
            and related(topology, anomaly, one.anomaly)
        ]
        group = tuple(in_order((anomaly, *near)))
        together = weight(group, self._policy.repeated)
        return (group, Reason.PAIR) if near and together >= self._policy.together else ((), None)

    def _begin(self, group: Sequence[Anomaly], reason: Reason, step: Step) -> Live | None:
        if len(self._state.live) >= MAX_LIVE and not self._make_room():
            return None
        incident = begun(group, step.now)
        live = self._state.live[incident.id] = Live(incident=incident)
        step.opened.add(incident.id)
        step.why(incident.id, reason)
        return live

    def _make_room(self) -> bool:
        for live in by_age(self._state.live.values()):
            if not live.open:
                self._drop(live)
                return True
        return False

    def _reopen(self, live: Live, step: Step) -> None:
        live.incident = replace(live.incident, state=IncidentState.OPEN, resolved_at=None)
        step.reopened.add(live.incident.id)
        step.why(live.incident.id, Reason.AGAIN)

    def _gather(self, live: Live, topology: Topology, step: Step) -> None:
        """Let all pending anomalies that belong to `live` join, and those that belong to these."""
        joined = True
        while joined:
            joined = False
            for anomaly in in_order(one.anomaly for one in self._state.pending.values()):
                if joins(topology, anomaly, live, self._policy.join_within):
                    self._attach(live, anomaly, step)
                    self._state.pending.pop(anomaly.id, None)
                    joined = True

    def _merge(self, topology: Topology, step: Step) -> None:
        """Fold every open incident into the oldest one that it turned out to touch."""
        merged = True
        while merged:
            merged = False
            open_ones = [live for live in by_age(self._state.live.values()) if live.open]
            for index, older in enumerate(open_ones):
                for younger in open_ones[index + 1 :]:
                    if younger.incident.id in self._state.live and touching(
                        topology, older, younger, self._policy.join_within
                    ):
                        self._absorb(older, younger, step)
                        merged = True

    def _absorb(self, older: Live, younger: Live, step: Step) -> None:
        gone = younger.incident
        self._drop(younger)
        reasons = step.reasons.pop(gone.id, set())
        for anomaly in in_order(younger.members.values()):
            self._attach(older, anomaly, step)
        older.alerts.update(younger.alerts)
        last = max(older.incident.last_anomaly_at, gone.last_anomaly_at)
        older.incident = replace(older.incident, last_anomaly_at=last)
        if gone.id in step.opened and reasons:
            # Opened and merged within one call: nobody heard of it.
            step.opened.discard(gone.id)
            return
        step.why(older.incident.id, Reason.ABSORBED)
        step.finished.extend(absorbed(gone, older.incident.id, step))

    def _tell(self, step: Step) -> Iterable[IncidentChange]:
        """Return one change for each incident that changed, with its most important reason."""
        order = list(Reason)
        for incident_id in sorted(step.reasons):
            live = self._state.live[incident_id]
            opened = incident_id in step.opened
            reasons = sorted(step.reasons[incident_id], key=order.index)
            kind = ChangeKind.OPENED if opened else ChangeKind.UPDATED
            if incident_id in step.reopened:
                kind = ChangeKind.REOPENED
            live.incident = replace(live.incident, revision=live.incident.revision + 1)
            schedule.plan(live, reasons, step.now, self._policy, opened=opened)
            yield IncidentChange(kind=kind, incident=live.incident, at=step.now, reason=reasons[0].value)

    def _resolve(self, step: Step) -> Iterable[IncidentChange]:
        for live in by_age(self._state.live.values()):
            for anomaly_id in [one for one, until in live.alerts.items() if until <= step.now]:
                del live.alerts[anomaly_id]
            quiet = step.now - live.incident.last_anomaly_at >= self._policy.resolve_after
            if live.open and quiet and not live.alerts:
                live.incident = replace(
                    live.incident,
                    state=IncidentState.RESOLVED,
                    resolved_at=step.now,
                    revision=live.incident.revision + 1,
                )
                yield IncidentChange(
                    kind=ChangeKind.RESOLVED, incident=live.incident, at=step.now, reason=Reason.QUIET.value
                )

    def _forget(self, step: Step) -> None:
        for live in list(self._state.live.values()):
            resolved = live.incident.resolved_at
            if resolved is not None and step.now - resolved > self._policy.reopen_within:
                self._drop(live)
        pending = self._state.pending
        for anomaly_id in [
            one for one, entry in pending.items() if step.now - entry.seen > self._policy.pair_within
        ]:
            del pending[anomaly_id]

    def _shrink(self, step: Step) -> None:
        """Keep the strongest of too many pending anomalies."""
        pending = self._state.pending
        if len(pending) > MAX_PENDING:
            ranked = sorted(pending, key=lambda one: (ratio(pending[one].anomaly), one))
            for anomaly_id in ranked[: len(pending) - MAX_PENDING]:
                del pending[anomaly_id]
                step.dropped += 1

    def _drop(self, live: Live) -> None:
        self._state.live.pop(live.incident.id, None)
        for anomaly_id in live.members:
            if self._owner.get(anomaly_id) == live.incident.id:
                del self._owner[anomaly_id]
