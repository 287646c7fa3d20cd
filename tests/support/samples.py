"""Values that store and delivery tests share: one incident with everything an analysis may hold."""

from __future__ import annotations

from agent.analysis import (
    Analysis,
    Citation,
    Claim,
    Hypothesis,
    Impact,
    Incident,
    IncidentState,
    InvestigationDue,
    Mechanism,
    Provenance,
    RemediationStep,
    Risk,
    ScorePart,
    Severity,
    SimilarIncident,
    Stage,
    TimelineEntry,
    Verdict,
)
from agent.deliver.notification import Kind, Notification, Reason
from agent.store.port import Checkpoint, OutboxEntry, TelemetryRow
from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit, anomaly_id, evidence_id
from ingest.record import SECOND, Nanos, Origin
from ingest.summary import Line, TemplateCount, WindowSummary

T0: Nanos = 1_700_000_040 * SECOND
"""A full minute."""


def incident(identity: str = "inc_a", **fields: object) -> Incident:
    """Return an open incident of two services; `fields` override."""
    known: dict[str, object] = {
        "id": identity,
        "environment": "prod",
        "state": IncidentState.OPEN,
        "severity": Severity.ERROR,
        "services": ("cart", "payments"),
        "anomaly_ids": ("an_1",),
        "title": "cart: errors rose",
        "onset": T0,
        "opened_at": T0 + 20 * SECOND,
        "last_anomaly_at": T0 + 30 * SECOND,
        "revision": 1,
    }
    return Incident(**{**known, **fields})  # type: ignore[arg-type]


def evidence(text: str = "connection refused by payments:8443", start: Nanos = T0) -> Evidence:
    """Return log evidence with one sample line of `text`."""
    return Evidence(
        id=evidence_id(EvidenceKind.LOG, "prod", "cart", "tp_1", start),
        kind=EvidenceKind.LOG,
        environment="prod",
        service="cart",
        subject="tp_1",
        label="connection refused by <*>",
        statement="The template appeared 412 times in 10 s, 0 expected.",
        start=start,
        end=start + 10 * SECOND,
        score=9.5,
        expected=0.0,
        observed=412.0,
        unit="lines",
        lines=(Line(time=start + SECOND, origin=Origin(topic="logs", partition=2, offset=77), text=text),),
    )


def anomaly(subject: str = "tp_1", start: Nanos = T0, score: float = 9.5) -> Anomaly:
    """Return an anomaly of the service `cart`."""
    return Anomaly(
        id=anomaly_id("prod", "cart", "template_burst", subject, start),
        environment="prod",
        service="cart",
        detector="template_burst",
        subject=subject,
        direction=Direction.UP,
        hit=Hit.ERROR,
        start=start,
        end=start + 10 * SECOND,
        score=score,
        threshold=3.0,
        reason="The template came far more often than before.",
        evidence=(evidence(start=start),),
    )


def analysis(stage: Stage = Stage.EXPLAINED, revision: int = 1, **fields: object) -> Analysis:
    """Return an analysis of `incident()` with every part filled; `fields` override."""
    proof = evidence()
    known: dict[str, object] = {
        "incident_id": "inc_a",
        "revision": revision,
        "stage": stage,
        "as_of": T0 + 35 * SECOND,
        "severity": Severity.ERROR,
        "verdict": Verdict.LIKELY,
        "confidence": 0.71,
        "headline": "payments refuses connections, so cart fails its checkouts",
        "hypotheses": (
            Hypothesis(
                service="payments",
                component="payments-7d9f",
                mechanism=Mechanism.POOL,
                probability=0.71,
                evidence_ids=(proof.id,),
                against=(),
                claims=(Claim(text="cart saw refused connections 412 times", evidence_ids=(proof.id,)),),
                parts=(ScorePart(name="log burst", value=2.5, evidence_ids=(proof.id,)),),
            ),
        ),
        "timeline": (
            TimelineEntry(time=T0, service="cart", what="refused connections", evidence_id=proof.id),
        ),
        "impact": Impact(services=("cart",), symptom="checkout errors", since=T0),
        "ruled_out": ("catalog: no deviation",),
        "missing_evidence": ("no traces from payments",),
        "remediation": (
            RemediationStep(
                step="Look at the pool of payments",
                why="It is exhausted",
                risk=Risk.READ_ONLY,
                command="kubectl describe pod payments-7d9f",
                citation=Citation(runbook="pool", section="diagnosis", title="Connection pool exhausted"),
            ),
        ),
        "similar_incidents": (SimilarIncident(incident_id="inc_0", similarity=0.8, fixed_by="pool size"),),
        "evidence": (proof,),
        "provenance": Provenance(
            model="small",
            model_sha256="ab" * 32,
            prompt="explain@1",
            detectors=("template_burst@1",),
            prompt_tokens=900,
            completion_tokens=150,
            seconds=12.5,
            degraded=(),
        ),
    }
    return Analysis(**{**known, **fields})  # type: ignore[arg-type]


def window(service: str = "cart", start: Nanos = T0, text: str = "refused") -> WindowSummary:
    """Return a 10 s window with one template."""
    line = Line(time=start, origin=Origin(topic="logs", partition=0, offset=1), text=text)
    return WindowSummary(
        environment="prod",
        service=service,
        start=start,
        end=start + 10 * SECOND,
        templates=(
            TemplateCount(
                template_id="tp_1",
                template="refused",
                count=3,
                severity_number=17,
                first=start,
                last=start,
                lines=(line,),
            ),
        ),
        severities={17: 3},
    )


def telemetry_row(service: str = "cart", minute: Nanos = T0, windows: int = 1) -> TelemetryRow:
    """Return a minute of `service` with its first `windows` windows."""
    return TelemetryRow(
        environment="prod",
        service=service,
        minute=minute,
        windows=tuple(window(service, minute + n * 10 * SECOND) for n in range(windows)),
    )


def entry(delivery_id: str, channel: str = "kafka", incident_id: str = "inc_a") -> OutboxEntry:
    """Return an outbox entry."""
    return OutboxEntry(
        delivery_id=delivery_id,
        channel=channel,
        kind="opened",
        incident_id=incident_id,
        payload=b'{"n":1}',
        created_at=T0,
    )


def due(revision: int = 1, incident_id: str = "inc_a", as_of: Nanos = T0) -> InvestigationDue:
    """Return a due investigation."""
    return InvestigationDue(incident_id=incident_id, revision=revision, as_of=as_of, reason="opened")


def checkpoint(epoch: int, **fields: object) -> Checkpoint:
    """Return an otherwise empty checkpoint of owner `stream`; `fields` override."""
    known: dict[str, object] = {
        "owner": "stream",
        "epoch": epoch,
        "offsets": (),
        "snapshot": b"",
        "incidents": (),
        "anomalies": (),
        "telemetry": (),
        "outbox": (),
        "due": (),
    }
    return Checkpoint(**{**known, **fields})  # type: ignore[arg-type]


def notification(**fields: object) -> Notification:
    """Return a notification of `analysis()` for channel `kafka`; `fields` override."""
    known: dict[str, object] = {
        "delivery_id": "dl_1",
        "channel": "kafka",
        "kind": Kind.ANALYZED,
        "reason": Reason.ANALYSIS_EXPLAINED,
        "at": T0 + 35 * SECOND,
        "incident": incident(),
        "analysis": analysis(),
    }
    return Notification(**{**known, **fields})  # type: ignore[arg-type]
