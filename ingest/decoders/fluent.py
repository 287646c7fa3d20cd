"""Fluent Bit's and Vector's JSON (Fluentd's too): a line in `log` or `message`, and where it was found.

Fluent Bit's Kafka output adds `@timestamp` as epoch seconds or ISO 8601; `date` is its name in other outputs.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import read_each
from ingest.decoders.shipped import (
    Noise,
    Shipped,
    name_containers,
    name_journal,
    priority_severity,
    read_envelope,
    read_shipped,
)
from ingest.events import Event

_FLUENT_TEXT = ("log", "message", "MESSAGE", "msg")
_VECTOR_TEXT = ("message", "MESSAGE", "log", "msg")
_FLUENT_TIME = ("@timestamp", "time", "timestamp", "date")
_VECTOR_TIME = ("timestamp", "@timestamp", "time")
_FLUENT_NOISE = Noise(
    frozenset({
        "container_id", "container_hash", "docker_id", "stream", "source", "logtag", "tag", "PRIORITY", "pri",
        "priority", "time",
    }),
    ("kubernetes.", "docker.", "log_processed.", "_", "SYSLOG_", "CODE_", "@metadata."),
)  # fmt: skip
_VECTOR_NOISE = Noise(
    frozenset({
        "container_id", "container_created_at", "image", "stream", "source_type", "source_ip", "version",
        "PRIORITY", "priority",
    }),
    ("kubernetes.", "label.", "_", "SYSLOG_", "CODE_"),
)  # fmt: skip
_PRIORITIES = ("PRIORITY", "pri")


def decode_fluent_bit(value: bytes, batch: Batch) -> None:
    """Read every Fluent Bit record; one that cannot be read is refused alone."""
    read_each(value, read_fluent_bit, batch)


def decode_vector(value: bytes, batch: Batch) -> None:
    """Read every Vector log event; one that cannot be read is refused alone."""
    read_each(value, read_vector, batch)


def read_fluent_bit(item: Any, batch: Batch) -> Event:
    """Return the log line of one Fluent Bit or Fluentd record; `DecodeError` when it holds none."""
    return _read(read_envelope(item, _FLUENT_TEXT, _FLUENT_TIME, _FLUENT_NOISE, batch), batch)


def read_vector(item: Any, batch: Batch) -> Event:
    """Return the log line of one Vector event; `DecodeError` when it holds none."""
    return _read(read_envelope(item, _VECTOR_TEXT, _VECTOR_TIME, _VECTOR_NOISE, batch), batch)


def is_fluent_bit(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is a record of Fluent Bit or Fluentd."""
    if "MESSAGE" in item:
        return not item.keys().isdisjoint(_JOURNAL)
    if "log" in item:
        return not item.keys().isdisjoint(_BESIDE_LOG)
    return "message" in item and (
        ("pri" in item and "ident" in item) or ("kubernetes" in item and "stream" in item)
    )


def is_vector(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is a log event of Vector."""
    return "source_type" in item and "message" in item


_JOURNAL = frozenset({"_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_HOSTNAME", "PRIORITY"})
_BESIDE_LOG = frozenset(
    {"@timestamp", "date", "kubernetes", "stream", "logtag", "_p", "container_name", "tag"}
)


def _read(line: Shipped, batch: Batch) -> Event:
    top = line.fields.top
    name_containers(top)
    name_journal(top)
    if line.severity == 0:
        line.severity = next(
            (priority_severity(top[name]) for name in _PRIORITIES if top.get(name) is not None), 0
        )
    return read_shipped(line, batch)
