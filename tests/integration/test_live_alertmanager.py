"""A real Prometheus rule fires, a real Alertmanager tells us, and an incident lives as long as the alert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.shippers.prometheus import ALERTS, running_alerting
from tests.support.broker import Broker, ExistingBroker
from tests.support.service import RunningService, running_service


def settings(home: Path, broker: Broker | ExistingBroker, topic: str) -> dict[str, Any]:
    return {
        "home": str(home),
        "http": {"port": 0},
        "model": {"kind": "none"},
        "knowledge": {"embeddings": False},
        "incidents": {"resolve_after": 1},
        "stream": {"checkpoint_seconds": 0.2},
        "kafka": {
            "bootstrap_servers": broker.bootstrap,
            "group_id": topic,
            "topics": [{"name": topic}],
            "incidents_topic": f"{topic}.incidents",
            "dead_letter_topic": f"{topic}.dead-letter",
        },
    }


def incident(service: RunningService, *, alerts: int, state: str) -> dict[str, Any] | None:
    """Return the one incident there is, once it has so many alerts and this state."""
    found = service.get("/api/v1/incidents")["incidents"]
    assert len(found) <= 1
    if not found or found[0]["anomaly_count"] != alerts or found[0]["state"] != state:
        return None
    return dict(service.get(f"/api/v1/incidents/{found[0]['id']}"))


def test_an_alert_opens_an_incident_and_its_end_resolves_it(
    broker: Broker | ExistingBroker, topic: str, tmp_path: Path
) -> None:
    """Two rules fire for one service: one incident holds both, and resolves once both are over."""
    with running_service(settings(tmp_path / "home", broker, topic), tmp_path) as service:
        with running_alerting(f"{service.url}/api/v1/alerts/alertmanager") as alerting:

            def after(errors: float, *, alerts: int, state: str) -> dict[str, Any]:
                alerting.errors.set(errors)
                look = f"an incident that is {state} with {alerts} alerts\n{alerting.tail()}"
                return service.eventually(lambda: incident(service, alerts=alerts, state=state), look)

            first = after(0.02, alerts=1, state="open")
            both = after(0.31, alerts=2, state="open")
            over = after(0, alerts=2, state="resolved")
        metrics = service.metrics()
        assert service.terminate(within=20) == 0
    assert first["id"] == both["id"] == over["id"]
    assert (first["severity"], both["severity"]) == ("warning", "critical")
    assert (both["environment"], both["services"]) == ("prod", ["checkout"])
    told = {anomaly["reason"] for anomaly in both["anomalies"]}
    assert told == {f"The alert {name} fires for checkout." for name, _, _ in ALERTS}
    assert {evidence["label"] for anomaly in both["anomalies"] for evidence in anomaly["evidence"]} == {
        "2% of orders fail",
        "31% of orders fail",
    }
    assert not any(value for (name, _), value in metrics.items() if name == "faultline_rejected_total")
