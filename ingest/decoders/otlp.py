"""OTLP in protobuf, as the Collector's Kafka exporter writes it: bytes to events. Pure but for a memo.

The whole request must parse; after that each item stands by itself. There are two paths that say the same:
the reference in Python, which goes through the protobuf library's messages, and a compiled one that reads the
bytes itself and leaves what is malformed or rare to the reference. It needs a C compiler when installing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError as ProtobufError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.decoders.batch import Batch
from ingest.decoders.otlp_logs import read_logs
from ingest.decoders.otlp_metrics import read_metrics
from ingest.decoders.otlp_traces import read_traces
from ingest.events import DecodeError, RejectReason

if TYPE_CHECKING:
    from ingest.decoders import _otlp


class Otlp:
    """Decodes requests on the compiled path where there is one; `compiled=False` keeps to the reference."""

    def __init__(self, *, compiled: bool = True) -> None:
        self._fast = compiled_requests() if compiled else None

    @property
    def path(self) -> str:
        """Which path reads: `compiled` or `python`."""
        return "python" if self._fast is None else "compiled"

    def decode_logs(self, value: bytes, batch: Batch) -> None:
        """Read an `ExportLogsServiceRequest`."""
        fast = self._reader(batch)
        if fast is None or not fast.read_logs(value, batch):
            decode_logs(value, batch)

    def decode_metrics(self, value: bytes, batch: Batch) -> None:
        """Read an `ExportMetricsServiceRequest`."""
        fast = self._reader(batch)
        if fast is None or not fast.read_metrics(value, batch):
            decode_metrics(value, batch)

    def decode_traces(self, value: bytes, batch: Batch) -> None:
        """Read an `ExportTraceServiceRequest`."""
        fast = self._reader(batch)
        if fast is None or not fast.read_traces(value, batch):
            decode_traces(value, batch)

    def decode_any(self, value: bytes, batch: Batch) -> None:
        """Read whichever of the three requests `value` plausibly is; `DecodeError` when it is none."""
        fast = self._reader(batch)
        if fast is None or not _read_any(fast, value, batch):
            decode_any(value, batch)

    def _reader(self, batch: Batch) -> _otlp.Requests | None:
        """Return the compiled reader; a batch that watches what is asked of it needs the reference."""
        return self._fast if type(batch) is Batch else None


def compiled_requests() -> _otlp.Requests | None:
    """Return the compiled reader, None where it was not built."""
    try:
        from ingest.decoders._otlp import Requests
    except ImportError:
        return None
    return Requests()


def parse(message: Any, value: bytes) -> Any:
    """Return `value` parsed as the message class; `DecodeError` (malformed, too deep) when it is not."""
    try:
        return message.FromString(value)
    except ProtobufError as error:
        if "MaxDepth" in str(error):
            raise DecodeError(RejectReason.TOO_DEEP, "the message nests deeper than 100 levels") from None
        raise DecodeError(RejectReason.MALFORMED, f"not a whole {message.DESCRIPTOR.name}") from None


def decode_logs(value: bytes, batch: Batch) -> None:
    """Read an `ExportLogsServiceRequest` through the library's messages."""
    read_logs(parse(ExportLogsServiceRequest, value), batch)


def decode_metrics(value: bytes, batch: Batch) -> None:
    """Read an `ExportMetricsServiceRequest` through the library's messages."""
    read_metrics(parse(ExportMetricsServiceRequest, value), batch)


def decode_traces(value: bytes, batch: Batch) -> None:
    """Read an `ExportTraceServiceRequest` through the library's messages."""
    read_traces(parse(ExportTraceServiceRequest, value), batch)


def decode_any(value: bytes, batch: Batch) -> None:
    """Read whichever request `value` plausibly is through the library's messages."""
    if not value:
        return
    deep: DecodeError | None = None
    for (message, names, read), (_, plausible) in zip(_REQUESTS, _ITEMS, strict=True):
        try:
            request = parse(message, value)
        except DecodeError as error:
            deep = error if error.reject.reason is RejectReason.TOO_DEEP else deep
            continue
        first = next(_items(request, names), None)
        if first is not None and plausible(first):
            read(request, batch)
            return
    raise deep or DecodeError(RejectReason.MALFORMED, "not a whole OTLP request of logs, metrics or traces")


def _read_any(fast: _otlp.Requests, value: bytes, batch: Batch) -> bool:
    item = fast.first_item(value)
    if item is None:
        return False
    reads = (fast.read_traces, fast.read_metrics, fast.read_logs)
    for (message, plausible), read in zip(_ITEMS, reads, strict=True):
        try:
            parsed = message.FromString(item)
        except ProtobufError:
            continue
        if plausible(parsed):
            return read(value, batch)
    return False


def _items(request: Any, names: tuple[str, str, str]) -> Iterator[Any]:
    groups, scopes, items = names
    for group in getattr(request, groups):
        for scope in getattr(group, scopes):
            yield from getattr(scope, items)


def _is_span(span: Any) -> bool:
    timed = span.start_time_unix_nano or span.end_time_unix_nano
    return len(span.trace_id) in {8, 16} and len(span.span_id) == 8 and bool(timed)


def _is_metric(metric: Any) -> bool:
    return bool(metric.name) and metric.WhichOneof("data") is not None


def _is_log(log: Any) -> bool:
    timed = log.time_unix_nano or log.observed_time_unix_nano
    return bool(timed) or log.HasField("body")


_ITEMS: tuple[tuple[Any, Callable[[Any], bool]], ...] = (
    (Span, _is_span),
    (Metric, _is_metric),
    (LogRecord, _is_log),
)
"""Traces first: their ids are the strictest mark; logs last, for nearly any bytes may be a body."""
_REQUESTS: tuple[tuple[Any, tuple[str, str, str], Callable[[Any, Batch], None]], ...] = (
    (ExportTraceServiceRequest, ("resource_spans", "scope_spans", "spans"), read_traces),
    (ExportMetricsServiceRequest, ("resource_metrics", "scope_metrics", "metrics"), read_metrics),
    (ExportLogsServiceRequest, ("resource_logs", "scope_logs", "log_records"), read_logs),
)
