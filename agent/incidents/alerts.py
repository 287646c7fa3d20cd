"""An alert that another system raised, as an anomaly: correlation treats both alike."""

from __future__ import annotations

from agent.incidents.state import ALERTMANAGER
from detectors.anomaly import (
    Anomaly,
    Direction,
    Evidence,
    EvidenceKind,
    Hit,
    anomaly_id,
    evidence_id,
)
from ingest.events import AlertEvent

_HITS = {
    "critical": Hit.USER,
    "page": Hit.USER,
    "emergency": Hit.USER,
    "error": Hit.ERROR,
    "high": Hit.ERROR,
    "major": Hit.ERROR,
    "warning": Hit.SATURATION,
    "ticket": Hit.SATURATION,
}
_SCORE = 2.0
_LABEL = 300


def alert_anomaly(event: AlertEvent) -> Anomaly | None:
    """Return the anomaly of a firing alert, None for a resolved one (see `Correlator.release`)."""
    if not event.firing:
        return None
    labels = dict(event.labels)
    environment, service = event.resource.environment, event.resource.service
    name = labels.get("alertname", "an alert without a name")
    severity = labels.get("severity", "").lower()
    annotations = dict(event.annotations)
    evidence = Evidence(
        id=evidence_id(EvidenceKind.ALERT, environment, service, event.fingerprint, event.time),
        kind=EvidenceKind.ALERT,
        environment=environment,
        service=service,
        subject=event.fingerprint,
        label=(annotations.get("summary") or annotations.get("description") or name)[:_LABEL],
        statement=f"The alert {name} fires for {service}, severity {severity or 'not given'}.",
        start=event.time,
        end=event.time,
        score=_SCORE,
        instance=event.resource.instance,
    )
    return Anomaly(
        id=anomaly_id(environment, service, ALERTMANAGER, event.fingerprint, event.time),
        environment=environment,
        service=service,
        detector=ALERTMANAGER,
        subject=event.fingerprint,
        direction=Direction.NEW,
        hit=_HITS.get(severity, Hit.OTHER),
        start=event.time,
        end=event.time,
        score=_SCORE,
        threshold=1.0,
        reason=f"The alert {name} fires for {service}.",
        evidence=(evidence,),
        instance=event.resource.instance,
        node=event.resource.node,
        extra=(("alertname", name),),
    )


def released_by(event: AlertEvent) -> str:
    """Return the id of the anomaly that the same alert made when it began to fire."""
    return anomaly_id(
        event.resource.environment, event.resource.service, ALERTMANAGER, event.fingerprint, event.time
    )
