"""OTLP in protobuf, as the Collector's Kafka exporter writes it: bytes to messages to events.

The whole request must parse; after that each item stands by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decoders.batch import Batch
from ingest.decoders.otlp_logs import read_logs
from ingest.decoders.otlp_metrics import read_metrics
from ingest.decoders.otlp_traces import read_traces
from ingest.events import DecodeError, RejectReason


def parse(message: Any, value: bytes) -> Any:
    """Return `value` parsed as the message class; `DecodeError` (malformed, too deep) when it is not."""
    try:
        return message.FromString(value)
    except ProtobufError as error:
        if "MaxDepth" in str(error):
            raise DecodeError(RejectReason.TOO_DEEP, "the message nests deeper than 100 levels") from None
        raise DecodeError(RejectReason.MALFORMED, f"not a whole {message.DESCRIPTOR.name}") from None


def decode_logs(value: bytes, batch: Batch) -> None:
    """Read an `ExportLogsServiceRequest`."""
    read_logs(parse(ExportLogsServiceRequest, value), batch)


def decode_metrics(value: bytes, batch: Batch) -> None:
    """Read an `ExportMetricsServiceRequest`."""
    read_metrics(parse(ExportMetricsServiceRequest, value), batch)


def decode_traces(value: bytes, batch: Batch) -> None:
    """Read an `ExportTraceServiceRequest`."""
    read_traces(parse(ExportTraceServiceRequest, value), batch)


def decode_any(value: bytes, batch: Batch) -> None:
    """Read whichever of the three requests `value` plausibly is; `DecodeError` when it is none."""
    if not value:
        return
    deep: DecodeError | None = None
    for message, plausible, read in _requests():
        try:
            request = parse(message, value)
        except DecodeError as error:
            deep = error if error.reject.reason is RejectReason.TOO_DEEP else deep
            continue
        if plausible(request):
            read(request, batch)
            return
    raise deep or DecodeError(RejectReason.MALFORMED, "not a whole OTLP request of logs, metrics or traces")


def _requests() -> tuple[tuple[Any, Callable[[Any], bool], Callable[[Any, Batch], None]], ...]:
    """Traces first: their ids are the strictest mark; logs last, for nearly any bytes may be a body."""
    return (
        (ExportTraceServiceRequest, _has_span, read_traces),
        (ExportMetricsServiceRequest, _has_metric, read_metrics),
        (ExportLogsServiceRequest, _has_log, read_logs),
    )


def _has_span(request: Any) -> bool:
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                timed = span.start_time_unix_nano or span.end_time_unix_nano
                return len(span.trace_id) in {8, 16} and len(span.span_id) == 8 and bool(timed)
    return False


def _has_metric(request: Any) -> bool:
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                return bool(metric.name) and metric.WhichOneof("data") is not None
    return False


def _has_log(request: Any) -> bool:
    for group in request.resource_logs:
        for scope in group.scope_logs:
            for log in scope.log_records:
                timed = log.time_unix_nano or log.observed_time_unix_nano
                return bool(timed) or log.HasField("body")
    return False
