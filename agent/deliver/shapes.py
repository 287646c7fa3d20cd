"""The public JSON of incidents and analyses, as types: fields are only ever added to them.

`view` fills them; the JSON Schemas in `schemas/` are made from them. Times are RFC 3339 in UTC. Every
field is always there, null where there is nothing to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from agent.analysis import IncidentState, Mechanism, Risk, Severity, Stage, Verdict
from agent.deliver.notification import Kind, Reason
from detectors.anomaly import Direction, EvidenceKind, Hit
from ingest.templates import ParameterKind

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginView:
    """Where a record stands in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterView:
    """A value of a line: seconds, bytes or a number where its kind is one, else text. Untrusted."""

    kind: ParameterKind
    value: float | str
    text: str
    name: str
    """The key before it; empty where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """A sample line, redacted, untrusted."""

    time: Time
    text: str
    origin: OriginView
    instance: str | None
    trace_id: str | None
    parameters: tuple[ParameterView, ...]
    """What stands where the line's template has placeholders; the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    """One fact that can be looked up again."""

    id: str
    kind: EvidenceKind
    environment: str
    service: str
    subject: str
    label: str
    statement: str
    start: Time
    end: Time
    score: float
    expected: float | None
    observed: float | None
    unit: str
    instance: str | None
    lines: tuple[LineView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimView:
    """A sentence and the evidence it cites."""

    text: str
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """A named summand of a suspect's score."""

    name: str
    value: float
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisView:
    """A suspect, most probable first."""

    service: str
    component: str | None
    mechanism: Mechanism
    probability: Share
    evidence_ids: tuple[str, ...]
    against: tuple[str, ...]
    claims: tuple[ClaimView, ...]
    parts: tuple[PartView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """What happened when."""

    time: Time
    service: str
    what: str
    evidence_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactView:
    """Who is hit, how it shows, since when."""

    services: tuple[str, ...]
    symptom: str
    since: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationView:
    """A section of a runbook."""

    runbook: str
    section: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step somebody may take."""

    step: str
    why: str
    risk: Risk
    command: str | None
    citation: CitationView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarView:
    """An earlier incident like this one."""

    incident_id: str
    similarity: float
    fixed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceView:
    """How the analysis came about."""

    model: str | None
    model_sha256: str | None
    prompt: str | None
    detectors: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    degraded: tuple[str, ...]
    claims_dropped: int
    dropped_because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisView:
    """One investigation's answer about one revision of an incident."""

    incident_id: str
    revision: int
    stage: Stage
    as_of: Time
    severity: Severity
    verdict: Verdict
    confidence: Share
    headline: str
    hypotheses: tuple[HypothesisView, ...]
    timeline: tuple[TimelineView, ...]
    impact: ImpactView
    ruled_out: tuple[str, ...]
    missing_evidence: tuple[str, ...]
    remediation: tuple[StepView, ...]
    similar_incidents: tuple[SimilarView, ...]
    evidence: tuple[EvidenceView, ...]
    provenance: ProvenanceView


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyView:
    """One detector's finding."""

    id: str
    environment: str
    service: str
    detector: str
    subject: str
    direction: Direction
    hit: Hit
    start: Time
    end: Time
    score: float
    threshold: float
    reason: str
    instance: str | None
    node: str | None
    learning: bool
    evidence: tuple[EvidenceView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident as lists and events show it."""

    id: str
    environment: str
    state: IncidentState
    severity: Severity
    title: str
    services: tuple[str, ...]
    onset: Time
    opened_at: Time
    last_anomaly_at: Time
    resolved_at: Time | None
    merged_into: str | None
    revision: int
    anomaly_count: int
    muted_by: tuple[str, ...] = ()
    """`maintenance ID` or `mute ID` of what covers all that it rests on; while any, it pages nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDetailView(IncidentView):
    """An incident with all that is known of it; `analysis` is the newest of `analyses`."""

    analysis: AnalysisView | None
    analyses: tuple[AnalysisView, ...]
    anomalies: tuple[AnomalyView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """What the incidents topic and webhooks carry. `delivery_id` is the same on every attempt."""

    version: Literal[1]
    delivery_id: str
    kind: Kind
    reason: Reason
    time: Time
    url: str | None
    """The incident's page."""
    incident: IncidentView
    analysis: AnalysisView | None
