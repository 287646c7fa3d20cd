"""Notifications as CloudEvents 1.0 for Kafka, binary mode: attributes in headers, data in the value.

Pure. The key is the incident's id, so a partition holds an incident's events in order. `ce_id` is the
delivery id: a consumer that remembers it sees each event once. The data's JSON Schema is shipped beside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

from agent.deliver.notification import Notification
from agent.deliver.shapes import EventView
from agent.deliver.view import event_view, rfc3339

SCHEMA_FILE = "incident-event.v1.json"
SCHEMA_ID = "urn:faultline:schema:incident-event:v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """A Kafka record of one event."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def cloud_event(notification: Notification, *, source: str, public_url: str | None = None) -> CloudEvent:
    """Return the record for a notification. `source` is a URI reference naming this installation."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": notification.delivery_id,
        "ce_type": event_type(notification),
        "ce_source": source,
        "ce_subject": notification.incident.id,
        "ce_time": rfc3339(notification.at),
        "ce_dataschema": SCHEMA_ID,
        "content-type": "application/json",
    }
    return CloudEvent(
        key=notification.incident.id.encode(),
        value=msgspec.json.encode(event_view(notification, public_url)),
        headers=tuple((name, value.encode()) for name, value in attributes.items()),
    )


def event_type(notification: Notification) -> str:
    """Return the CloudEvents type."""
    return f"faultline.incident.{notification.kind.value}.v1"


def event_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the data, made from the types. The shipped file equals it."""
    body = msgspec.json.schema(EventView)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Faultline incident event",
        **body,
    }


def shipped_schema() -> dict[str, Any]:
    """Return the JSON Schema as it is shipped."""
    text = (files("agent.deliver") / "schemas" / SCHEMA_FILE).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def schema_text() -> str:
    """Return the shipped file's text as it must be."""
    return json.dumps(event_schema(), indent=2, sort_keys=True) + "\n"
