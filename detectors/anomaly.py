"""What detectors say: an anomaly is one detector's finding, and evidence is what anyone can look up again.

Scores and thresholds travel together and are never folded into one number; ids are deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ingest.ids import digest
from ingest.record import Nanos
from ingest.summary import Line


class EvidenceKind(StrEnum):
    """What kind of thing a piece of evidence points at, and so how it resolves."""

    LOG = "log"
    """A template: `subject` is the template id, `lines` hold at least one sample (unless it vanished)."""
    METRIC = "metric"
    """A series: `subject` is str(SeriesKey), looked up in the window."""
    CALL = "call"
    """An edge: `subject` is `callee|operation`, looked up in the service's calls of the window."""
    OPERATION = "operation"
    """A span name of the service: `subject` is the operation."""
    CHANGE = "change"
    """A change event: `subject` is its kind and title."""
    ALERT = "alert"
    """An alert: `subject` is its fingerprint."""
    SILENCE = "silence"
    """A service that stopped sending: `subject` is the service; resolves by absence in the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One fact with its place. `statement` is one sentence in our words with the numbers it rests on."""

    id: str
    kind: EvidenceKind
    environment: str
    service: str
    subject: str
    label: str
    """The subject for people: template text, series, `caller → callee operation`."""
    statement: str
    start: Nanos
    end: Nanos
    score: float
    instance: str | None = None
    expected: float | None = None
    observed: float | None = None
    unit: str = ""
    lines: tuple[Line, ...] = ()


def evidence_id(kind: EvidenceKind, environment: str, service: str, subject: str, start: Nanos) -> str:
    """Return the id of evidence about `subject` in the window that begins at `start`."""
    return digest("ev", kind.value, environment, service, subject, str(start))


class Direction(StrEnum):
    """What happened to the subject."""

    UP = "up"
    DOWN = "down"
    NEW = "new"
    GONE = "gone"


class Hit(StrEnum):
    """What an anomaly hits; severity follows from it (CONTRACTS: user-facing first)."""

    USER = "user"
    """Error or latency that a user sees: an entry operation, or an alert that says so."""
    ERROR = "error"
    SATURATION = "saturation"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A finding about one subject in one window. `score >= threshold` always holds."""

    id: str
    environment: str
    service: str
    detector: str
    subject: str
    direction: Direction
    hit: Hit
    start: Nanos
    end: Nanos
    score: float
    threshold: float
    reason: str
    """One sentence for people; the same wording for the same kind of finding."""
    evidence: tuple[Evidence, ...]
    instance: str | None = None
    node: str | None = None
    learning: bool = False
    """Found while the service or series was still being learned: shown and counted, pages nobody."""
    fatal: bool = False
    """Silence or fatal severity: pages even while learning."""
    extra: tuple[tuple[str, str], ...] = field(default=())


def anomaly_id(environment: str, service: str, detector: str, subject: str, start: Nanos) -> str:
    """Return the id CONTRACTS.md fixes: environment, service, detector, subject, first window."""
    return digest("an", environment, service, detector, subject, str(start))
