"""The OpenTelemetry SDK for Python: a shop's calls as its OTLP exporter encodes them.

The exporters here keep what they would send: the request's bytes. Times are the clock's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from opentelemetry import metrics as metrics_api
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AnyValue

from tests.shippers.fixture import Fixture, Sent
from tests.support.broker import Broker, ExistingBroker

RESOURCE = {
    "service.name": "checkout",
    "service.version": "2.4.1",
    "service.instance.id": "checkout-1",
    "deployment.environment.name": "prod",
    "host.name": "web-1",
}
_BREAKS = "def charge(order):\n    return order['iban']\n"


class _Kept(SpanExporter):
    """Keeps finished spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep spans."""
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


class Shop:
    """One process of a shop with the three signals of the SDK."""

    def __init__(self, temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE) -> None:
        resource = Resource.create(RESOURCE)
        self._spans, self._logs = _Kept(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self._reader = InMemoryMetricReader(
            preferred_temporality={Counter: temporality, Histogram: temporality}
        )
        exponential = View(
            instrument_name="db.client.operation.duration",
            aggregation=ExponentialBucketHistogramAggregation(),
        )
        self._meters = MeterProvider([self._reader], resource, shutdown_on_exit=False, views=[exponential])
        self._tracer: Tracer = self._tracers.get_tracer("shop.checkout", "2.4.1")
        self._logger = self._loggers.get_logger("shop.checkout", "2.4.1")
        meter = self._meters.get_meter("shop.checkout", "2.4.1")
        self._orders = meter.create_counter("orders", "{order}", "Orders taken")
        self._in_use = meter.create_up_down_counter("db.client.connection.count", "{connection}")
        self._served = meter.create_histogram(
            "http.server.request.duration", "s", explicit_bucket_boundaries_advisory=[0.005, 0.05, 0.5, 5.0]
        )
        self._queried = meter.create_histogram("db.client.operation.duration", "s")
        meter.create_observable_gauge("process.memory.usage", [_memory], "By")

    def order(self, seconds: float, *, paid: bool) -> None:
        """Take one order: a span with a call to payments and a query, its log line, its metrics."""
        route = {"http.request.method": "POST", "http.route": "/orders"}
        with self._tracer.start_as_current_span(
            "POST /orders", kind=SpanKind.SERVER, attributes=route
        ) as span:
            called: dict[str, AnyValue] = {
                "server.address": "payments",
                "server.port": 8443,
                "http.request.method": "POST",
            }
            with self._tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=called) as call:
                if not paid:
                    call.set_status(Status(StatusCode.ERROR, "card declined"))
            query = {"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db-2"}
            with self._tracer.start_as_current_span("INSERT orders", kind=SpanKind.CLIENT, attributes=query):
                self._queried.record(seconds / 10, {"db.operation.name": "INSERT"})
            self._logger.emit(
                timestamp=time.time_ns(),
                observed_timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO if paid else SeverityNumber.ERROR,
                severity_text="INFO" if paid else "ERROR",
                body=f"order took {seconds * 1000:.0f} ms" if paid else "payment refused: card declined",
                attributes={"order.id": "o-17", "order.items": ["tea", "cup"], "retry": 2, "vip": False},
            )
            self._served.record(seconds, {**route, "http.response.status_code": 201 if paid else 402})
            self._orders.add(1, {"paid": paid})
            self._in_use.add(1 if paid else -1, {"state": "used"})
            span.set_attribute("http.response.status_code", 201 if paid else 402)

    def fail(self) -> None:
        """Throw while charging: a span with an exception event, a structured log record with a stack."""
        frame: dict[str, Any] = {}
        exec(compile(_BREAKS, "/srv/shop/pay.py", "exec"), frame)
        first = self._spans.spans[0].get_span_context()
        links = [Link(first)] if first else []
        with self._tracer.start_as_current_span("charge", kind=SpanKind.CONSUMER, links=links) as span:
            try:
                frame["charge"]({"id": "o-18"})
            except KeyError as error:
                error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, "KeyError"))
                self._logger.emit(
                    observed_timestamp=time.time_ns(),
                    severity_number=SeverityNumber.FATAL,
                    severity_text="FATAL",
                    body={"message": "charging failed", "order": {"id": "o-18", "total": 12.5}},
                    exception=error,
                )

    def traces(self) -> bytes:
        """Return the finished spans as one export request."""
        return bytes(encode_spans(self._spans.spans).SerializeToString())

    def logs(self) -> bytes:
        """Return the log records as one export request."""
        return bytes(encode_logs(self._logs.get_finished_logs()).SerializeToString())

    def metrics(self) -> bytes:
        """Collect the metrics now and return them as one export request."""
        data = self._reader.get_metrics_data()
        if data is None:
            raise ValueError("no instrument has been used: take an order first")
        return bytes(encode_metrics(data).SerializeToString())

    def close(self) -> None:
        """Shut all three signals down."""
        self._tracers.shutdown()
        self._loggers.shutdown()
        self._meters.shutdown()


def _memory(_options: metrics_api.CallbackOptions) -> list[metrics_api.Observation]:
    return [metrics_api.Observation(73_400_320, {"process.pid": "412"})]


def metrics(temporality: AggregationTemporality) -> tuple[bytes, bytes]:
    """Return two collections of metrics, with orders before each."""
    shop = Shop(temporality)
    shop.order(0.038, paid=True)
    shop.order(0.0, paid=True)
    first = shop.metrics()
    shop.order(3.355, paid=False)
    second = shop.metrics()
    shop.close()
    return first, second


def logs_and_traces() -> tuple[bytes, bytes]:
    """Return the log records and the spans of two orders and a failure."""
    shop = Shop()
    shop.order(0.038, paid=True)
    shop.order(3.355, paid=False)
    shop.fail()
    made = shop.logs(), shop.traces()
    shop.close()
    return made


def fixtures(_broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Yield logs, traces, and metrics of both temporalities."""
    logs, traces = logs_and_traces()
    values = {
        "otel-sdk-logs": ("otlp_logs", (logs,)),
        "otel-sdk-traces": ("otlp_traces", (traces,)),
        "otel-sdk-metrics": ("otlp_metrics", metrics(AggregationTemporality.CUMULATIVE)),
        "otel-sdk-metrics-delta": ("otlp_metrics", metrics(AggregationTemporality.DELTA)),
    }
    for name, (form, sent) in values.items():
        yield Fixture(
            name=name,
            format=form,
            program="OpenTelemetry SDK for Python, OTLP/protobuf exporter's encoding",
            version=version("opentelemetry-sdk"),
            command="python -m tests.shippers otel-sdk",
            suffix="pb",
            sent=tuple(Sent(value=value, received=time.time_ns()) for value in sent),
        )
