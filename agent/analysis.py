"""The values that every inner room of `agent` speaks: incidents, suspects, analyses.

Frozen and free of behaviour beyond what follows from their own fields. Absolute times are `Nanos`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detectors.anomaly import Evidence
from ingest.record import Nanos


class Severity(StrEnum):
    """Ordered by `SEVERITY_RANK`."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


SEVERITY_RANK = {Severity.CRITICAL: 3, Severity.ERROR: 2, Severity.WARNING: 1, Severity.INFO: 0}


class IncidentState(StrEnum):
    """An incident's life."""

    OPEN = "open"
    RESOLVED = "resolved"
    MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A group of anomalies that belong together. `id` is its first anomaly's with prefix `inc`."""

    id: str
    environment: str
    state: IncidentState
    severity: Severity
    services: tuple[str, ...]
    """In the order in which they joined."""
    anomaly_ids: tuple[str, ...]
    title: str
    onset: Nanos
    """Start of the first anomaly's window."""
    opened_at: Nanos
    last_anomaly_at: Nanos
    revision: int
    """Grows with every change; analyses say which one they saw."""
    resolved_at: Nanos | None = None
    merged_into: str | None = None
    muted_by: tuple[str, ...] = ()
    """`maintenance mu_…` or `mute mu_…` of those that cover all its anomalies; while any, it pages nobody."""


class ChangeKind(StrEnum):
    """What happened to an incident; the value ends up in the CloudEvents type."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """One step in an incident's life. `reason` is a short, stable phrase."""

    kind: ChangeKind
    incident: Incident
    at: Nanos
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationDue:
    """An analysis of `incident_id` is due as of stream time `as_of`. Newest wins."""

    incident_id: str
    revision: int
    as_of: Nanos
    reason: str


class Verdict(StrEnum):
    """How sure the analysis is, in a word."""

    CONFIRMED = "confirmed"
    LIKELY = "likely"
    INCONCLUSIVE = "inconclusive"


class Stage(StrEnum):
    """Without or with the language model."""

    STATISTICS = "statistics"
    EXPLAINED = "explained"


class Mechanism(StrEnum):
    """Fault classes that suspects name."""

    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    NETWORK = "network"
    DEPENDENCY = "dependency_error"
    EXCEPTION = "code_exception"
    BAD_RETURN = "bad_return"
    CHANGE = "bad_deploy_or_config"
    POOL = "pool_saturation"
    LOCK = "lock"
    TRAFFIC = "traffic"
    SILENCE = "silence"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """One named summand of a suspect's score and the evidence it rests on."""

    name: str
    value: float
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A service as a possible root cause. `score` is the sum of its parts."""

    service: str
    component: str | None
    """Instance, operation or template owner within the service, where evidence points at one."""
    mechanism: Mechanism
    score: float
    parts: tuple[ScorePart, ...]
    against: tuple[str, ...] = ()
    """Evidence ids that speak against it."""
    sign: str | None = None
    """Id of the strongest evidence for the mechanism."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Suspects, best first, with all evidence they cite, and how sure the ranker is (0..1)."""

    suspects: tuple[Suspect, ...]
    evidence: tuple[Evidence, ...]
    confidence: float
    missing: tuple[str, ...] = ()
    """What telemetry was not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence that cites evidence. Only verified claims stand in an analysis."""

    text: str
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A suspect as the analysis presents it."""

    service: str
    component: str | None
    mechanism: Mechanism
    probability: float
    evidence_ids: tuple[str, ...]
    against: tuple[str, ...]
    claims: tuple[Claim, ...]
    parts: tuple[ScorePart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """What happened when, with the evidence for it."""

    time: Nanos
    service: str
    what: str
    evidence_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """Who is hit, how it shows, since when."""

    services: tuple[str, ...]
    symptom: str
    since: Nanos


class Risk(StrEnum):
    """What a remediation step may do to the running system."""

    READ_ONLY = "read-only"
    REVERSIBLE = "reversible"
    DISRUPTIVE = "disruptive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A section of a runbook."""

    runbook: str
    section: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationStep:
    """A step somebody may take; Faultline itself never runs one."""

    step: str
    why: str
    risk: Risk
    command: str | None
    citation: Citation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarIncident:
    """An earlier incident like this one."""

    incident_id: str
    similarity: float
    fixed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How the analysis came about, so that it can be questioned."""

    model: str | None
    model_sha256: str | None
    prompt: str | None
    """Prompt id and version, `explain@1`."""
    detectors: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    degraded: tuple[str, ...]
    """Why something is missing or weaker than usual; empty when all went well."""
    claims_dropped: int = 0
    dropped_because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One investigation's answer about one revision of an incident."""

    incident_id: str
    revision: int
    stage: Stage
    as_of: Nanos
    severity: Severity
    verdict: Verdict
    confidence: float
    headline: str
    hypotheses: tuple[Hypothesis, ...]
    timeline: tuple[TimelineEntry, ...]
    impact: Impact
    ruled_out: tuple[str, ...]
    missing_evidence: tuple[str, ...]
    remediation: tuple[RemediationStep, ...]
    similar_incidents: tuple[SimilarIncident, ...]
    evidence: tuple[Evidence, ...]
    """Everything cited above, so that the analysis stands alone."""
    provenance: Provenance

    @property
    def worded_by(self) -> str:
        """Who found the words, for people."""
        if self.stage is Stage.STATISTICS:
            return "statistics only, no model"
        if self.provenance.model is None:
            return "statistics only, the model gave nothing"
        if not any(hypothesis.claims for hypothesis in self.hypotheses):
            return "statistics only, the model's words did not hold"
        return "explained by the model"
