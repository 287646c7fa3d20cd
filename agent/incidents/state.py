"""What correlation remembers between windows, and what it hands out after each."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agent import mutes
from agent.analysis import (
    SEVERITY_RANK,
    ChangeKind,
    Incident,
    IncidentChange,
    IncidentState,
    Severity,
)
from agent.incidents.weighing import ratio
from detectors.anomaly import Anomaly, Hit
from ingest.record import SECOND, Nanos

VERSION = 1
HOLD_ALERT: Nanos = 5 * 3600 * SECOND
"""A firing alert is told again every few hours; unless told, it counts as over after this long."""
ALERTMANAGER = "alertmanager"

MAX_PENDING = 1_000
MAX_LIVE = 500
MAX_MEMBERS = 200
_TITLE = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When anomalies become incidents, and incidents investigations; all of it stream time."""

    join_within: Nanos = 120 * SECOND
    """Since an incident's last anomaly."""
    pair_within: Nanos = 60 * SECOND
    """Between two anomalies that open an incident together."""
    strong: float = 2.0
    """Multiple of the threshold that opens an incident alone."""
    together: float = 1.4
    """What anomalies within `pair_within` must weigh together (`weighing`) to open one."""
    repeated: float = 0.25
    """What further anomalies of one detector on one service count for: most are the same thing told again."""
    resolve_after: Nanos = 300 * SECOND
    reopen_within: Nanos = 1800 * SECOND
    first_analysis_after: Nanos = 15 * SECOND
    analysis_every: Nanos = 120 * SECOND


class Reason(StrEnum):
    """Why an incident changed, most important first; the values are stable."""

    STRONG = "one strong anomaly"
    PAIR = "several anomalies within a minute"
    ALERT = "an alert fired"
    AGAIN = "anomalies came again"
    SEVERITY = "the severity rose"
    SERVICE = "a service joined"
    ABSORBED = "another incident was merged into it"
    ANOMALY = "an anomaly joined"
    UNMUTED = "it is no longer muted"
    MERGED = "merged into an older incident"
    QUIET = "no anomalies for five minutes"
    SUSPECT = "the leading suspect changed"


SEVERITY_OF = {
    Hit.USER: Severity.CRITICAL,
    Hit.ERROR: Severity.ERROR,
    Hit.SATURATION: Severity.WARNING,
    Hit.OTHER: Severity.INFO,
}


@dataclass(slots=True)
class Pending:
    """An anomaly that is not enough for an incident yet. `seen` is the stream time of its last sighting."""

    anomaly: Anomaly
    seen: Nanos


@dataclass(slots=True)
class Live:
    """An incident that is open, or resolved so recently that it may reopen."""

    incident: Incident
    members: dict[str, Anomaly] = field(default_factory=dict)
    alerts: dict[str, Nanos] = field(default_factory=dict)
    """Firing alerts by anomaly id, and until when they hold the incident open."""
    due_at: Nanos | None = None
    due_reason: str = ""
    analysed: Nanos | None = None
    """When an analysis was last due."""
    suspect: str | None = None

    @property
    def open(self) -> bool:
        return self.incident.state is IncidentState.OPEN


@dataclass(slots=True)
class State:
    """Everything correlation knows; equal state is equal bytes."""

    version: int = VERSION
    now: Nanos = 0
    live: dict[str, Live] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlated:
    """What one call led to. `attached` pairs every anomaly that came with its incident, "" while none."""

    changes: tuple[IncidentChange, ...]
    attached: tuple[tuple[str, Anomaly], ...]
    dropped: int = 0
    """Anomalies that a limit kept out."""


@dataclass(slots=True)
class Step:
    """What happens during one call, collected to be told once per incident."""

    now: Nanos
    reasons: dict[str, set[Reason]] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    reopened: set[str] = field(default_factory=set)
    owners: dict[str, tuple[str, Anomaly]] = field(default_factory=dict)
    """Anomaly id -> (incident id, anomaly)."""
    finished: list[IncidentChange] = field(default_factory=list)
    dropped: int = 0

    def why(self, incident_id: str, *reasons: Reason) -> None:
        """Note why an incident changed."""
        self.reasons.setdefault(incident_id, set()).update(reasons)


def muted_by(members: Iterable[Anomaly], *, since: Nanos, firing: Container[str] = ()) -> tuple[str, ...]:
    """Return the mutes that cover an incident: none as soon as one that counts is uncovered.

    What counts are anomalies later than `since`, and alerts that are `firing`, whenever they began.
    """
    found: set[str] = set()
    for one in members:
        if one.end <= since and one.id not in firing:
            continue
        by = mutes.muted_by(one)
        if by is None:
            return ()
        found.add(by)
    return tuple(sorted(found))


def in_order(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Return each anomaly once, in an order that does not depend on how they came."""

    def rank(one: Anomaly) -> tuple[str, Nanos, str, str, str, str, Nanos, float]:
        return (
            one.environment,
            one.start,
            one.service,
            one.detector,
            one.subject,
            one.id,
            one.end,
            one.score,
        )

    return list({one.id: one for one in sorted(anomalies, key=rank)}.values())


def severity_of(anomalies: Iterable[Anomaly]) -> Severity:
    """Return the severity that follows from what the anomalies hit."""
    return max((SEVERITY_OF[one.hit] for one in anomalies), key=SEVERITY_RANK.__getitem__)


def title_of(anomalies: Iterable[Anomaly]) -> str:
    """Return the reason of the anomaly that says most: by what it hits, then by how strongly."""
    lead = max(anomalies, key=lambda one: (SEVERITY_RANK[SEVERITY_OF[one.hit]], ratio(one), one.id))
    title = lead.reason.rstrip(".")
    return title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"


def by_age(live: Iterable[Live]) -> Iterator[Live]:
    """Yield incidents, oldest first."""
    yield from sorted(live, key=lambda one: (one.incident.opened_at, one.incident.onset, one.incident.id))


def begun(group: Sequence[Anomaly], now: Nanos) -> Incident:
    """Return the incident that the first of `group` gives its id to, before any of them is a member."""
    first = group[0]
    return Incident(
        id=f"inc_{first.id.removeprefix('an_')}",
        environment=first.environment,
        state=IncidentState.OPEN,
        severity=severity_of(group),
        services=(),
        anomaly_ids=(),
        title=title_of(group),
        onset=first.start,
        opened_at=now,
        last_anomaly_at=first.end,
        revision=0,
    )


def absorbed(gone: Incident, into: str, step: Step) -> Iterator[IncidentChange]:
    """Yield what is told of an incident that was merged into an older one.

    Who heard that it was over hears that it came again before hearing where it went.
    """
    if gone.id in step.reopened:
        step.reopened.discard(gone.id)
        gone = replace(gone, revision=gone.revision + 1)
        yield IncidentChange(kind=ChangeKind.REOPENED, incident=gone, at=step.now, reason=Reason.AGAIN.value)
    ended = replace(
        gone,
        state=IncidentState.MERGED,
        merged_into=into,
        anomaly_ids=(),
        revision=gone.revision + 1,
        resolved_at=step.now,
    )
    yield IncidentChange(kind=ChangeKind.UPDATED, incident=ended, at=step.now, reason=Reason.MERGED.value)
