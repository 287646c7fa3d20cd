"""How a shop process speaks: OpenTelemetry's SDK, encoded as OTLP protobuf, produced to Kafka.

Logs and spans leave within about a second, metrics every five. Telemetry is best effort, as in any
application: a broker that is away costs telemetry, never a request. SHOP_WITHOUT (`logs,traces`) names
signals that stay away altogether, as in a shop that never got round to them.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
)
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

ENVIRONMENT = "shop"
LOGS, METRICS, TRACES, CHANGES = (f"telemetry.{name}" for name in ("logs", "metrics", "traces", "changes"))
TOPICS = (LOGS, METRICS, TRACES, CHANGES)
SIGNALS = ("logs", "metrics", "traces", "changes")
WITHOUT = "SHOP_WITHOUT"
METRIC_INTERVAL_MS = 5_000
BATCH_MS = 1_000
DURATION_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]

_POD_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LIBRARY = re.compile(r'File "[^"]*?/lib/python3\.\d+/(?:site-packages/)?([^"]+)"')
_OURS = re.compile(r'File "[^"]*?tests/testbed/(?:services/)?([^"]+)"')


def pod_name(service: str) -> str:
    """Return a new Kubernetes-like pod name of `service`."""

    def letters(count: int) -> str:
        return "".join(secrets.choice(_POD_ALPHABET) for _ in range(count))

    return f"{service}-{letters(9)}-{letters(5)}"


def shop_resource(service: str, *, version: str, pod: str) -> Resource:
    """Return the resource that all telemetry of one process carries."""
    return Resource(
        {
            "service.name": service,
            "service.version": version,
            "service.instance.id": pod,
            "k8s.pod.name": pod,
            "host.name": pod,
            "deployment.environment.name": ENVIRONMENT,
        }
    )


def open_producer(bootstrap: str) -> KafkaProducer:
    """Connect to the broker; raises KafkaError when it is not there."""
    return KafkaProducer(
        bootstrap_servers=bootstrap,
        acks=1,
        enable_idempotence=False,
        linger_ms=50,
        compression_type="zstd",
        reconnect_backoff_max_ms=2_000,
    )


class Wire:
    """The one connection to Kafka of a process, shared by its three exporters."""

    def __init__(self, producer: KafkaProducer, key: str) -> None:
        self._producer = producer
        self._key = key.encode()

    def send(self, topic: str, message: Any) -> bool:
        """Hand an OTLP request to the producer; False when its buffer is full."""
        try:
            self._producer.send(topic, message.SerializeToString(), key=self._key)
        except KafkaError:
            return False
        return True


class KafkaLogs(LogRecordExporter):
    """Log records as `ExportLogsServiceRequest`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        sent = self._wire.send(LOGS, encode_logs(batch))
        return LogRecordExportResult.SUCCESS if sent else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing to close: the wire belongs to the process."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class KafkaSpans(SpanExporter):
    """Spans as `ExportTraceServiceRequest`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        sent = self._wire.send(TRACES, encode_spans(spans))
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE


class KafkaMetrics(MetricExporter):
    """Metrics as `ExportMetricsServiceRequest`, cumulative."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(
            preferred_aggregation={Histogram: ExplicitBucketHistogramAggregation(DURATION_BUCKETS_S)}
        )
        self._wire = wire

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        sent = self._wire.send(METRICS, encode_metrics(metrics_data))
        return MetricExportResult.SUCCESS if sent else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing to close: the wire belongs to the process."""


class ShipLogs(logging.Handler):
    """Python log records as OTLP ones: message and stack trace in the body, as on a console."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        body = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            body = f"{body}\n{short_traceback(record.exc_info[1])}"
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                context=get_current(),
                severity_text=record.levelname,
                severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.INFO),
                body=body,
            )
        )


_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


def short_traceback(error: BaseException, trace: TracebackType | None = None) -> str:
    """Return the stack trace with file names as in a container: no folder of this machine."""
    text = "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))
    return _OURS.sub(r'File "shop/\1"', _LIBRARY.sub(r'File "\1"', text)).rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """The three providers of one resource and the wire below them."""

    logs: LoggerProvider
    meters: MeterProvider
    tracers: TracerProvider
    producer: KafkaProducer

    def tracer(self) -> Tracer:
        return self.tracers.get_tracer("shop")

    def close(self) -> None:
        """Send what is buffered, then let go of the broker."""
        for provider in (self.tracers, self.meters, self.logs):
            provider.shutdown()
        self.producer.flush(timeout=5)
        self.producer.close(timeout=5)


def left_out(named: str) -> frozenset[str]:
    """Return the signals of a list such as `logs,traces`. Raises ValueError with the names there are."""
    asked = frozenset(part.strip() for part in named.split(",") if part.strip())
    if unknown := asked - set(SIGNALS):
        raise ValueError(f"{WITHOUT} names {sorted(unknown)}; signals are {', '.join(SIGNALS)}")
    return asked


def start_telemetry(resource: Resource, bootstrap: str, *, share: float = 1.0) -> Telemetry:
    """Wire the SDK to Kafka; `share` of new traces are kept, those begun elsewhere as decided there."""
    without = left_out(os.environ.get(WITHOUT, ""))
    producer = open_producer(bootstrap)
    wire = Wire(producer, str(resource.attributes["service.name"]))
    logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
    if "logs" not in without:
        logs.add_log_record_processor(
            BatchLogRecordProcessor(KafkaLogs(wire), schedule_delay_millis=BATCH_MS)
        )
    sampler = ParentBased(TraceIdRatioBased(0 if "traces" in without else share))
    tracers = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(KafkaSpans(wire), schedule_delay_millis=BATCH_MS))
    readers = []
    if "metrics" not in without:
        readers = [
            PeriodicExportingMetricReader(KafkaMetrics(wire), export_interval_millis=METRIC_INTERVAL_MS)
        ]
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    return Telemetry(logs=logs, meters=meters, tracers=tracers, producer=producer)


def log_through(telemetry: Telemetry, *, level: int = logging.INFO) -> None:
    """Send the process's Python logs out; the libraries' own chatter only from WARNING."""
    root = logging.getLogger()
    root.handlers = [ShipLogs(telemetry.logs)]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "kafka", "opentelemetry", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("kafka").propagate = False
