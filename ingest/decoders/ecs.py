"""Elastic Common Schema: what Filebeat, Logstash and ECS loggers write. Fields may be nested or dotted.

Says whose a line is by `service.name`, `kubernetes.*`, `container.*`, `host.name`; a stack trace joins the
text; what the shipper says about itself is left out.
"""

from __future__ import annotations

from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.flat_fields import Fields
from ingest.decoders.flat_json import read_each
from ingest.decoders.json_text import to_text
from ingest.decoders.shipped import (
    LAST_RESORT,
    Noise,
    name_containers,
    name_journal,
    read_envelope,
    read_shipped,
)
from ingest.events import Event
from ingest.identity import ENVIRONMENT

_TEXT = ("message", "event.original", "log.original", "error.message")
_TIME = ("@timestamp", "timestamp")
_NOISE = Noise(
    frozenset({
        "@version", "container.id", "container.runtime", "container.name", "log.offset", "log.flags",
        "log.original", "log.file.device_id", "log.file.inode", "log.file.fingerprint", "event.created",
        "event.ingested", "event.original", "event.kind", "event.category", "event.type", "event.severity",
        "event.timezone", "service.type", "stream", "tags",
    }),
    (
        "@metadata.", "agent.", "ecs.", "input.", "host.", "kubernetes.", "data_stream.", "orchestrator.",
        "fileset.", "elastic_agent.",
    ),
)  # fmt: skip
_KINDS = ("service.type", "event.module", "fileset.module")


def decode(value: bytes, batch: Batch) -> None:
    """Read every document of the record; one that cannot be read is refused alone."""
    read_each(value, read_document, batch)


def read_document(item: Any, batch: Batch) -> Event:
    """Return the log line of one ECS document; `DecodeError` when it holds none."""
    if isinstance(item, dict) and isinstance(item.get("json"), dict) and not item.get("message"):
        # Filebeat's `json` options put a parsed line there unless told to put its keys at the root.
        rest = {name: value for name, value in item.items() if name != "json"}
        item = {**rest, "message": to_text(item["json"])}
    line = read_envelope(item, _TEXT, _TIME, _NOISE, batch)
    top = line.fields.top
    _name_environment(line.fields)
    name_containers(top)
    name_journal(top)
    kind = next((top[name] for name in _KINDS if isinstance(top.get(name), str)), None)
    if kind is not None:
        top.setdefault(LAST_RESORT, kind)
    return read_shipped(line, batch)


def _name_environment(fields: Fields) -> None:
    """Take the environment from what Filebeat's operator configured (`fields`) or ECS's `labels`."""
    if not any(name in fields.top for name in ENVIRONMENT):
        name = next((name for name in ENVIRONMENT if isinstance(fields.extras.get(name), str)), None)
        if name is not None:
            fields.top[name] = fields.extras.pop(name)


def is_document(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is an ECS document."""
    return "@timestamp" in item and not item.keys().isdisjoint(_MARKS)


_MARKS = frozenset({"ecs", "ecs.version", "@metadata", "@version", "log.level", "agent"})
