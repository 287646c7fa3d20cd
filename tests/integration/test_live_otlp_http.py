"""The OpenTelemetry SDK with its own HTTP exporters → the service → closed windows in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from prometheus_client.parser import text_string_to_metric_families

from agent.app import build
from agent.app.http import http_server
from agent.app.service import Service
from agent.settings import (
    HttpSettings,
    KnowledgeSettings,
    ModelSettings,
    Settings,
    StreamSettings,
    WindowSettings,
)
from ingest.record import SECOND
from ingest.summary import SeriesWindow, WindowSummary
from tests.support.streams import until

KEY = "s3cret"
HEADERS = {"Authorization": f"Bearer {KEY}"}
LINES, SPANS, ROUNDS = 700, 300, 4
"""More lines than the SDK sends at once, so that several requests are under way."""


@dataclass(frozen=True)
class Running:
    """A service that serves, and its address."""

    service: Service
    url: str

    def windows(self) -> tuple[WindowSummary, ...]:
        """Return every stored window of the last ten minutes."""
        now = time.time_ns()
        return self.service.store.telemetry("prod", now - 600 * SECOND, now + 600 * SECOND, ["checkout"])

    def series(self, name: str) -> list[SeriesWindow]:
        """Return the stored windows of one series."""
        return [series for window in self.windows() for series in window.series if series.key.name == name]


def _settings(home: Path) -> Settings:
    """Return those of a service without Kafka and model, with windows of a second."""
    return Settings(
        home=home,
        model=ModelSettings(kind="none"),
        knowledge=KnowledgeSettings(embeddings=False, shipped=False),
        stream=StreamSettings(checkpoint_seconds=0.2),
        windows=WindowSettings(width=1, lateness=1, idle=1),
        http=HttpSettings(port=0, api_key=KEY),  # type: ignore[arg-type]
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Return a service that runs."""
    service = build(_settings(tmp_path))
    service.start()
    server = http_server(service)
    running = Running(service, f"http://127.0.0.1:{server.port}")
    until(lambda: httpx.get(f"{running.url}/readyz", headers=HEADERS).status_code == 200, "readiness")
    yield running
    server.stop()
    service.stop()


@pytest.fixture
def resource() -> Resource:
    """Return what every signal says of itself."""
    return Resource.create({"service.name": "checkout", "deployment.environment.name": "prod"})


def _answers(running: Running) -> dict[tuple[str, str], float]:
    text = httpx.get(f"{running.url}/metrics", headers=HEADERS).text
    return {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "faultline_http_requests_total" and sample.labels["route"].startswith("/v1/")
    }


def _counted(running: Running) -> int:
    return sum(operation.count for window in running.windows() for operation in window.operations)


def test_logs_and_spans_of_the_sdk_are_all_in_windows(running: Running, resource: Resource) -> None:
    """What its batching exporters were told is stored is in the windows, each item once."""
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPLogExporter(f"{running.url}/v1/logs", headers=HEADERS, compression=Compression.Gzip)
    loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = OTLPSpanExporter(f"{running.url}/v1/traces", headers=HEADERS, compression=Compression.Deflate)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    for number in range(LINES):
        loggers.get_logger("shop").emit(
            timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, body=f"order {number} taken"
        )
    for _ in range(SPANS):
        tracers.get_tracer("shop").start_span("POST /orders", kind=SpanKind.SERVER).end()
    assert loggers.force_flush()
    assert tracers.force_flush()
    until(lambda: sum(window.lines for window in running.windows()) >= LINES, "all lines in windows")
    until(lambda: _counted(running) >= SPANS, "all spans in windows")
    assert (sum(window.lines for window in running.windows()), _counted(running)) == (LINES, SPANS)
    assert set(_answers(running)) == {("/v1/logs", "200"), ("/v1/traces", "200")}
    assert _answers(running)["/v1/logs", "200"] > 1
    loggers.shutdown()
    tracers.shutdown()


@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
def test_metrics_of_the_sdk_become_rates_and_quantiles(
    running: Running, resource: Resource, temporality: AggregationTemporality
) -> None:
    """Either temporality, explicit and exponential buckets: every round's growth, at the values recorded."""
    exporter = OTLPMetricExporter(
        f"{running.url}/v1/metrics",
        headers=HEADERS,
        preferred_temporality={Counter: temporality, Histogram: temporality},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)
    view = View(instrument_name="query", aggregation=ExponentialBucketHistogramAggregation())
    meters = MeterProvider([reader], resource, shutdown_on_exit=False, views=[view])
    meter = meters.get_meter("shop")
    orders = meter.create_counter("orders", "{order}")
    served, queried = meter.create_histogram("served", "s"), meter.create_histogram("query", "s")
    for number in range(ROUNDS):
        orders.add(5)
        for _ in range(10):
            served.record(70.0)
            queried.record(0.02 if number else 0.01)
        time.sleep(1.0)
        assert reader.force_flush()
    check: Callable[[], bool] = lambda: len(running.series("served.p50")) >= ROUNDS  # noqa: E731
    until(check, "every round's quantiles")
    assert {round(s.last, 6) for s in running.series("served.p50")} == {70.0}
    assert {s.unit for s in running.series("served.p99")} == {"s"}
    medians = [series.last for series in running.series("query.p50")]
    assert medians == pytest.approx([0.01, *[0.02] * (ROUNDS - 1)], rel=0.05)
    for name, unit, grown in (("orders", "order/s", 5), ("served.rate", "/s", 10)):
        found = running.series(name)
        assert {series.unit for series in found} == {unit}
        samples = [sample for series in found for sample in series.samples]
        for (before, _), (at, rate) in pairwise(samples):
            assert rate * (at - before) / SECOND == pytest.approx(grown, rel=0.01)
    assert set(_answers(running)) == {("/v1/metrics", "200")}
    meters.shutdown()


def test_what_was_answered_survives_the_process(running: Running, resource: Resource, tmp_path: Path) -> None:
    """Another process that takes over right after the answer has every line, none of them twice."""
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPLogExporter(f"{running.url}/v1/logs", headers=HEADERS)
    loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
    for number in range(LINES):
        loggers.get_logger("shop").emit(timestamp=time.time_ns(), body=f"order {number} taken")
    assert loggers.force_flush()
    heir = build(_settings(tmp_path))
    heir.start()  # fences the first one, wherever it is
    try:
        until(lambda: sum(window.lines for window in running.windows()) >= LINES, "all lines in windows")
        assert sum(window.lines for window in running.windows()) == LINES
    finally:
        heir.stop()
        loggers.shutdown()
