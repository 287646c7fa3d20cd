"""OTLP logs: messages to `LogEvent`. Each record is taken or refused by itself."""

from __future__ import annotations

from typing import Any

from ingest.decoders import severity
from ingest.decoders.batch import Batch
from ingest.decoders.log_fields import sequence_key, with_exception
from ingest.decoders.otlp_values import attribute_map, hex_id, read_resource, value_text
from ingest.events import DecodeError, LogEvent, Resource


def read_logs(request: Any, batch: Batch) -> None:
    """Add every log record of an `ExportLogsServiceRequest` to the batch."""
    for group in request.resource_logs:
        resource, version = read_resource(group, batch)
        for scope in group.scope_logs:
            for item in scope.log_records:
                try:
                    batch.events.append(read_log(item, resource, version, batch))
                except DecodeError as error:
                    batch.rejects.append(error.reject)


def read_log(item: Any, resource: Resource, version: str | None, batch: Batch) -> LogEvent:
    """Return one LogRecord as an event; a missing time is the observed, else the broker's."""
    time = batch.stamped(item.time_unix_nano or item.observed_time_unix_nano or batch.received)
    attributes = attribute_map(item.attributes)
    if version is not None:
        attributes.setdefault("service.version", version)
    body = with_exception(value_text(item.body), attributes) or item.event_name
    number = item.severity_number
    if not 1 <= number <= 24:
        number = severity.from_name(item.severity_text) or severity.from_line(body)
    trace_id = hex_id(item.trace_id)
    return LogEvent(
        origin=batch.origin,
        resource=resource,
        time=time,
        body=batch.text(body),
        severity_number=number,
        trace_id=trace_id,
        span_id=hex_id(item.span_id),
        sequence_key=trace_id or sequence_key(attributes, resource.instance),
        attributes=batch.labels(attributes.items()),
    )
