"""What correlation tests share: anomalies at seconds, and a correlator fed by seconds."""

from __future__ import annotations

from agent.analysis import IncidentChange, InvestigationDue
from agent.incidents import Correlated, Correlator
from agent.topology import Topology
from detectors.anomaly import Anomaly, Direction, Hit, anomaly_id
from ingest.record import SECOND, Nanos
from tests.support.windows import EPOCH


def anomaly_at(
    service: str,
    subject: str,
    at: int,
    *,
    score: float = 1.2,
    end: int | None = None,
    hit: Hit = Hit.ERROR,
    learning: bool = False,
    fatal: bool = False,
    node: str | None = None,
    environment: str = "shop",
) -> Anomaly:
    """Return an anomaly whose window begins `at` seconds after the epoch of the tests; threshold is 1."""
    start = EPOCH + at * SECOND
    return Anomaly(
        id=anomaly_id(environment, service, "test", subject, start),
        environment=environment,
        service=service,
        detector="test",
        subject=subject,
        direction=Direction.UP,
        hit=hit,
        start=start,
        end=EPOCH + (at + 10 if end is None else end) * SECOND,
        score=score,
        threshold=1.0,
        reason=f"{service} is odd.",
        evidence=(),
        node=node,
        learning=learning,
        fatal=fatal,
    )


def chain() -> Topology:
    """Return a chain: cart calls orders, orders calls payments; catalog and search are alone."""
    return Topology({"shop": [("cart", "orders"), ("orders", "payments")]})


def at_second(seconds: int) -> Nanos:
    return EPOCH + seconds * SECOND


class Incidents:
    """A correlator with its topology, fed by seconds."""

    def __init__(self) -> None:
        self.correlator = Correlator()
        self.topology = chain()
        self.attached: dict[str, str] = {}

    def feed(self, seconds: int, *anomalies: Anomaly) -> Correlated:
        result = self.correlator.correlate(anomalies, at_second(seconds), self.topology)
        for incident_id, anomaly in result.attached:
            self.attached[anomaly.id] = incident_id
        return result

    def changes(self, seconds: int, *anomalies: Anomaly) -> tuple[IncidentChange, ...]:
        return self.feed(seconds, *anomalies).changes

    def due(self, seconds: int) -> tuple[InvestigationDue, ...]:
        return self.correlator.due(at_second(seconds))
