"""Windows of a small shop as values: normal times and an incident, for tests of suspects and the graph."""

from __future__ import annotations

from agent.analysis import Incident, IncidentState, Severity
from agent.investigate import Request
from ingest.events import MetricKind
from ingest.record import SECOND, Nanos, Origin
from ingest.sketch import sketch
from ingest.summary import (
    CallWindow,
    Line,
    OperationWindow,
    SeriesKey,
    SeriesWindow,
    TemplateCount,
    WindowSummary,
)

WIDTH = 10 * SECOND
START: Nanos = 1_700_000_000 * SECOND
ONSET: Nanos = START + 60 * WIDTH
END: Nanos = ONSET + 18 * WIDTH


def template(name: str, count: int, start: Nanos, *, severity: int = 9, text: str = "") -> TemplateCount:
    """Return a template's count with one sample line."""
    line = Line(
        time=start, origin=Origin(topic="logs", partition=0, offset=start // WIDTH), text=text or name
    )
    return TemplateCount(
        template_id=f"tpl_{name}",
        template=name,
        count=count,
        severity_number=severity,
        first=start,
        last=start + SECOND,
        lines=(line,),
    )


def gauge(name: str, value: float, start: Nanos, unit: str = "%") -> SeriesWindow:
    """Return a window of a series with two samples around `value`."""
    samples = ((start, value), (start + 5 * SECOND, value * 1.01))
    return SeriesWindow(
        key=SeriesKey(name=name, instance="pod-1"),
        kind=MetricKind.GAUGE,
        unit=unit,
        samples=samples,
        count=2,
        total=value * 2.01,
        minimum=value,
        maximum=value * 1.01,
    )


def operation(name: str, seconds: float, own: float, *, errors: int = 0) -> OperationWindow:
    """Return twenty spans of one operation."""
    return OperationWindow(
        operation=name,
        count=20,
        errors=errors,
        entry=20,
        duration=sketch([seconds] * 20),
        self_time=sketch([own] * 20),
    )


def call(callee: str, name: str, caller: float, callee_seconds: float) -> CallWindow:
    """Return twenty calls of one edge."""
    return CallWindow(
        callee=callee,
        operation=name,
        count=20,
        errors=0,
        caller_latency=sketch([caller] * 20),
        callee_latency=sketch([callee_seconds] * 20),
    )


def shop(start: Nanos, *, broken: bool) -> tuple[WindowSummary, ...]:
    """Return one window of frontend → orders → payments; broken, payments burns CPU and throws."""
    slow = 1.0 if broken else 0.02

    def window(service: str, **fields: object) -> WindowSummary:
        known: dict[str, object] = {
            "environment": "prod",
            "service": service,
            "start": start,
            "end": start + WIDTH,
            "severities": {9: 20},
            "instances": ("pod-1",),
        }
        return WindowSummary(**{**known, **fields})  # type: ignore[arg-type]

    errors = (
        (
            template(
                "PaymentGateway exploded", 15, start, severity=17, text="PaymentGateway exploded in charge"
            ),
        )
        if broken
        else ()
    )
    return (
        window(
            "frontend",
            templates=(template("GET /", 20, start),),
            operations=(operation("GET /", 0.03 + slow, 0.01),),
            calls=(call("orders", "POST /orders", 0.02 + slow, 0.015 + slow),),
            series=(gauge("cpu_usage", 21.0, start),),
        ),
        window(
            "orders",
            templates=(template("order placed", 20, start),),
            operations=(operation("POST /orders", 0.015 + slow, 0.01),),
            calls=(call("payments", "POST /pay", 0.005 + slow, slow),),
            series=(gauge("cpu_usage", 30.0, start),),
        ),
        window(
            "payments",
            templates=(template("paid", 20, start), *errors),
            severities={9: 20, **({17: 15} if broken else {})},
            operations=(operation("POST /pay", slow, slow, errors=10 if broken else 0),),
            series=(gauge("cpu_usage", 96.0 if broken else 22.0, start),),
        ),
    )


def windows() -> tuple[WindowSummary, ...]:
    """Return ten minutes of normal times and three minutes of incident."""
    starts = range(START, END, WIDTH)
    return tuple(window for start in starts for window in shop(start, broken=start >= ONSET))


class Memory:
    """A telemetry reader over windows held in memory."""

    def __init__(self, held: tuple[WindowSummary, ...] | None = None) -> None:
        self.held = windows() if held is None else held

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: object = None
    ) -> tuple[WindowSummary, ...]:
        """Return the windows that start in [start, end)."""
        return tuple(w for w in self.held if w.environment == environment and start <= w.start < end)


def request() -> Request:
    """Return the request that asks about the shop's incident."""
    incident = Incident(
        id="inc_shop",
        environment="prod",
        state=IncidentState.OPEN,
        severity=Severity.ERROR,
        services=("payments", "orders"),
        anomaly_ids=(),
        title="payments: errors rose",
        onset=ONSET,
        opened_at=ONSET + WIDTH,
        last_anomaly_at=END,
        revision=1,
    )
    return Request(incident=incident, as_of=END, window=(ONSET, END), baseline=((START, ONSET),))
