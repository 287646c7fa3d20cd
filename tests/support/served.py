"""A store with one incident that fills every part of its page, and an application over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from starlette.testclient import TestClient

from agent.analysis import Stage
from agent.serve import Deps, create_app
from agent.store.port import TelemetryRow
from agent.store.sql import SqlStore
from detectors.anomaly import Evidence, EvidenceKind, evidence_id
from ingest.events import ChangeEvent, Receipt, Resource
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.sketch import sketch
from ingest.summary import CallWindow, Line, SeriesKey, SeriesWindow, TemplateCount, WindowSummary
from tests.support import samples

KEY = "correct horse battery"
T0 = samples.T0
WINDOWS = 30
"""Windows of 10 s before the onset; a quarter as many follow."""


def window(number: int, *, text: str = "connection refused by payments:8443") -> WindowSummary:
    """Return window `number` of `cart`, counted from the onset; trouble begins with 0."""
    start = T0 + number * 10 * SECOND
    bad = number >= 0
    line = Line(time=start, origin=Origin(topic="logs", partition=2, offset=500 + number), text=text)
    template = TemplateCount(
        template_id="tp_1",
        template="connection refused by <*>",
        count=40 + number if bad else 1,
        severity_number=17,
        first=start,
        last=start,
        lines=(line,),
    )
    pool = 100.0 if bad else 40.0 + number % 5
    series = SeriesWindow(
        key=SeriesKey(name="pool.used", instance="cart-1"),
        kind="gauge",  # type: ignore[arg-type]
        unit="%",
        samples=((start, pool),),
        count=1,
        total=pool,
        minimum=pool,
        maximum=pool,
    )
    slow = sketch([2.0 if bad else 0.02] * 5)
    call = CallWindow(
        callee="payments", operation="POST /pay", count=5, errors=0, caller_latency=slow, callee_latency=slow
    )
    return WindowSummary(
        environment="prod",
        service="cart",
        start=start,
        end=start + 10 * SECOND,
        templates=(template,),
        severities={17: template.count},
        series=(series,),
        calls=(call,),
        changes=(change(start),) if number == -3 else (),
    )


def change(time: Nanos, title: str = "cart 2.4.1") -> ChangeEvent:
    """Return a deploy of `cart`."""
    return ChangeEvent(
        origin=Origin(topic="changes", partition=0, offset=1),
        resource=Resource(environment="prod", service="cart"),
        time=time,
        kind="deploy",
        title=title,
    )


def more_evidence() -> tuple[Evidence, ...]:
    """Return evidence of a series and of an edge, as `window` has them."""
    subjects = (
        (
            EvidenceKind.METRIC,
            'pool.used{instance="cart-1"}',
            "pool.used rose from 42 % to 100 %",
            "%",
            42.0,
            100.0,
        ),
        (
            EvidenceKind.CALL,
            "payments|POST /pay",
            "calls to payments rose from 0.02 s to 2 s",
            "s",
            0.02,
            2.0,
        ),
    )
    return tuple(
        Evidence(
            id=evidence_id(kind, "prod", "cart", subject, T0),
            kind=kind,
            environment="prod",
            service="cart",
            subject=subject,
            label=subject,
            statement=statement,
            start=T0,
            end=T0 + 60 * SECOND,
            score=7.0,
            expected=expected,
            observed=observed,
            unit=unit,
        )
        for kind, subject, statement, unit, expected, observed in subjects
    )


def fill(store: SqlStore) -> str:
    """Store an incident with anomalies, telemetry, two analyses and a dead delivery; return its id."""
    epoch = store.take_over("stream").epoch
    anomaly = samples.anomaly()
    incident = samples.incident(anomaly_ids=(anomaly.id,))
    minutes: dict[Nanos, list[WindowSummary]] = {}
    for number in range(-WINDOWS, WINDOWS // 4):
        one = window(number)
        minutes.setdefault(one.start // (60 * SECOND) * 60 * SECOND, []).append(one)
    rows = tuple(
        TelemetryRow(environment="prod", service="cart", minute=minute, windows=tuple(windows))
        for minute, windows in minutes.items()
    )
    outbox = (samples.entry("dl_1"), samples.entry("dl_2", channel="webhook:pager"))
    store.checkpoint(
        samples.checkpoint(
            epoch, incidents=(incident,), anomalies=((incident.id, anomaly),), telemetry=rows, outbox=outbox
        )
    )
    explained = samples.analysis(evidence=(samples.evidence(), *more_evidence()))
    store.save_analysis(samples.analysis(stage=Stage.STATISTICS), (), T0)
    store.save_analysis(explained, (), T0 + SECOND)
    store.sent("dl_1", T0)
    store.failed("dl_2", "HTTP 500", None)
    return incident.id


def open_store(folder: Path) -> SqlStore:
    """Return a fresh SQLite store."""
    return SqlStore(f"sqlite:///{folder / 'served.db'}")


def no_metrics() -> Iterable[Metric]:
    """Return nothing."""
    return ()


def deps(store: SqlStore, **fields: Any) -> Deps:
    """Return what an application over `store` is given; `fields` override."""
    plain: dict[str, Any] = {
        "submit": None,
        "ready": lambda: {"store": None},
        "metrics": no_metrics,
        "api_key": None,
        "public_url": None,
        "now": lambda: T0 + 300 * SECOND,
        "mutes": store,
    }
    return Deps(store=store, **{**plain, **fields})


def client(
    store: SqlStore, *, ready: dict[str, str | None] | None = None, host: str = "localhost", **fields: Any
) -> TestClient:
    """Return a client of an application over `store`; `fields` are those of its `Deps`."""
    if ready is not None:
        fields["ready"] = lambda: ready
    app = create_app(deps(store, **fields))
    return TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False)


class Taken:
    """A stream that takes records; `settle` decides what becomes of each future."""

    def __init__(self, settle: Callable[[Future[Receipt]], None]) -> None:
        self._settle = settle
        self.records: list[Record] = []
        self.futures: list[Future[Receipt]] = []

    def __call__(self, record: Record) -> Future[Receipt]:
        """Take a record as `Stream.submit` does."""
        future: Future[Receipt] = Future()
        self.records.append(record)
        self.futures.append(future)
        threading.Thread(target=self._settle, args=(future,)).start()
        return future
