"""Incidents and analyses as public JSON: the one place that makes it, for events, webhooks and the API.

Pure. Text is as telemetry had it (redacted, cut to `MAX_TEXT`): whoever shows it escapes it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from agent.analysis import Analysis, Hypothesis, Incident, RemediationStep
from agent.deliver import shapes
from agent.deliver.notification import Notification
from agent.deliver.sanitize import cut
from detectors.anomaly import Anomaly, Evidence
from ingest.record import SECOND, Nanos
from ingest.summary import Line
from ingest.templates import Parameter, parameters

MAX_TEXT = 2000
"""Characters of a sample line: 40 pieces of evidence stay below what Kafka takes by default."""

MAX_PARAMETERS = 16
"""Values of a sample line."""
MAX_VALUE = 200


def incident_view(
    incident: Incident, analyses: Sequence[Analysis] = (), anomalies: Sequence[Anomaly] = ()
) -> dict[str, Any]:
    """Return an incident with its analyses (oldest first) and anomalies."""
    told = tuple(_analysis(analysis) for analysis in analyses)
    view = shapes.IncidentDetailView(
        **_incident(incident),
        analysis=told[-1] if told else None,
        analyses=told,
        anomalies=tuple(_anomaly(anomaly) for anomaly in anomalies),
    )
    return _plain(view)


def incident_summary(incident: Incident) -> dict[str, Any]:
    """Return an incident as lists and events show it."""
    return _plain(shapes.IncidentView(**_incident(incident)))


def analysis_view(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis."""
    return _plain(_analysis(analysis))


def anomaly_view(anomaly: Anomaly) -> dict[str, Any]:
    """Return an anomaly with its evidence."""
    return _plain(_anomaly(anomaly))


def event_view(notification: Notification, public_url: str | None = None) -> dict[str, Any]:
    """Return a notification as webhooks and the incidents topic carry it."""
    view = shapes.EventView(
        version=1,
        delivery_id=notification.delivery_id,
        kind=notification.kind,
        reason=notification.reason,
        time=rfc3339(notification.at),
        url=incident_url(public_url, notification.incident.id),
        incident=shapes.IncidentView(**_incident(notification.incident)),
        analysis=_analysis(notification.analysis) if notification.analysis else None,
    )
    return _plain(view)


def incident_url(public_url: str | None, incident_id: str) -> str | None:
    """Return the address of an incident's page, None when nobody said where pages are."""
    return f"{public_url.rstrip('/')}/incidents/{quote(incident_id, safe='')}" if public_url else None


def rfc3339(time: Nanos) -> str:
    """Return a time in UTC with as many fractional digits as it needs."""
    seconds, nanos = divmod(time, SECOND)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "environment": incident.environment,
        "state": incident.state,
        "severity": incident.severity,
        "title": incident.title,
        "services": incident.services,
        "onset": rfc3339(incident.onset),
        "opened_at": rfc3339(incident.opened_at),
        "last_anomaly_at": rfc3339(incident.last_anomaly_at),
        "resolved_at": None if incident.resolved_at is None else rfc3339(incident.resolved_at),
        "merged_into": incident.merged_into,
        "revision": incident.revision,
        "anomaly_count": len(incident.anomaly_ids),
        "muted_by": incident.muted_by,
    }


def _analysis(analysis: Analysis) -> shapes.AnalysisView:
    return shapes.AnalysisView(
        incident_id=analysis.incident_id,
        revision=analysis.revision,
        stage=analysis.stage,
        as_of=rfc3339(analysis.as_of),
        severity=analysis.severity,
        verdict=analysis.verdict,
        confidence=_share(analysis.confidence),
        headline=analysis.headline,
        hypotheses=tuple(_hypothesis(hypothesis) for hypothesis in analysis.hypotheses),
        timeline=tuple(
            shapes.TimelineView(
                time=rfc3339(item.time), service=item.service, what=item.what, evidence_id=item.evidence_id
            )
            for item in analysis.timeline
        ),
        impact=shapes.ImpactView(
            services=analysis.impact.services,
            symptom=analysis.impact.symptom,
            since=rfc3339(analysis.impact.since),
        ),
        ruled_out=analysis.ruled_out,
        missing_evidence=analysis.missing_evidence,
        remediation=tuple(_step(step) for step in analysis.remediation),
        similar_incidents=tuple(
            shapes.SimilarView(
                incident_id=item.incident_id, similarity=_number(item.similarity), fixed_by=item.fixed_by
            )
            for item in analysis.similar_incidents
        ),
        evidence=tuple(_evidence(item) for item in analysis.evidence),
        provenance=_provenance(analysis),
    )


def _provenance(analysis: Analysis) -> shapes.ProvenanceView:
    how = analysis.provenance
    return shapes.ProvenanceView(
        model=how.model,
        model_sha256=how.model_sha256,
        prompt=how.prompt,
        detectors=how.detectors,
        prompt_tokens=how.prompt_tokens,
        completion_tokens=how.completion_tokens,
        seconds=_number(how.seconds),
        degraded=how.degraded,
        claims_dropped=how.claims_dropped,
        dropped_because=how.dropped_because,
    )


def _hypothesis(hypothesis: Hypothesis) -> shapes.HypothesisView:
    return shapes.HypothesisView(
        service=hypothesis.service,
        component=hypothesis.component,
        mechanism=hypothesis.mechanism,
        probability=_share(hypothesis.probability),
        evidence_ids=hypothesis.evidence_ids,
        against=hypothesis.against,
        claims=tuple(
            shapes.ClaimView(text=claim.text, evidence_ids=claim.evidence_ids) for claim in hypothesis.claims
        ),
        parts=tuple(
            shapes.PartView(name=part.name, value=_number(part.value), evidence_ids=part.evidence_ids)
            for part in hypothesis.parts
        ),
    )


def _step(step: RemediationStep) -> shapes.StepView:
    cited = step.citation
    citation = (
        shapes.CitationView(runbook=cited.runbook, section=cited.section, title=cited.title)
        if cited
        else None
    )
    return shapes.StepView(
        step=step.step, why=step.why, risk=step.risk, command=step.command, citation=citation
    )


def _anomaly(anomaly: Anomaly) -> shapes.AnomalyView:
    return shapes.AnomalyView(
        id=anomaly.id,
        environment=anomaly.environment,
        service=anomaly.service,
        detector=anomaly.detector,
        subject=anomaly.subject,
        direction=anomaly.direction,
        hit=anomaly.hit,
        start=rfc3339(anomaly.start),
        end=rfc3339(anomaly.end),
        score=_number(anomaly.score),
        threshold=_number(anomaly.threshold),
        reason=anomaly.reason,
        instance=anomaly.instance,
        node=anomaly.node,
        learning=anomaly.learning,
        evidence=tuple(_evidence(item) for item in anomaly.evidence),
    )


def _evidence(item: Evidence) -> shapes.EvidenceView:
    return shapes.EvidenceView(
        id=item.id,
        kind=item.kind,
        environment=item.environment,
        service=item.service,
        subject=item.subject,
        label=item.label,
        statement=item.statement,
        start=rfc3339(item.start),
        end=rfc3339(item.end),
        score=_number(item.score),
        expected=None if item.expected is None else _number(item.expected),
        observed=None if item.observed is None else _number(item.observed),
        unit=item.unit,
        instance=item.instance,
        lines=tuple(_line(line, item.label) for line in item.lines),
    )


def _line(line: Line, template: str) -> shapes.LineView:
    origin = shapes.OriginView(
        topic=line.origin.topic, partition=line.origin.partition, offset=line.origin.offset
    )
    return shapes.LineView(
        time=rfc3339(line.time),
        text=cut(line.text, MAX_TEXT),
        origin=origin,
        instance=line.instance,
        trace_id=line.trace_id,
        parameters=tuple(_parameter(one) for one in parameters(template, line.text)[:MAX_PARAMETERS]),
    )


def _parameter(item: Parameter) -> shapes.ParameterView:
    value = item.value
    return shapes.ParameterView(
        kind=item.kind,
        value=_number(value) if isinstance(value, float) else cut(value, MAX_VALUE),
        text=cut(item.text, MAX_VALUE),
        name=item.name,
    )


def _plain(view: object) -> dict[str, Any]:
    # Through JSON, so that the result is what a consumer decodes: lists and not tuples, plain strings.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(view))
    return plain


def _share(value: float) -> float:
    return min(max(_number(value), 0.0), 1.0)


def _number(value: float) -> float:
    """Return `value` as a number that JSON has."""
    if math.isfinite(value):
        return value
    return 0.0 if math.isnan(value) else math.copysign(sys.float_info.max, value)
