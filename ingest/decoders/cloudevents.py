"""Change events as CloudEvents 1.0: Kafka's binary mode (headers `ce_*`), structured mode and its batches.

A change is what somebody did: deploy, rollback, flag, config, restart, scale. Its kind shows in the data
(`kind`, `change`) or in the words of the event's type, CDEvents' types included. Events that tell of no
change are counted (`cuts`: `not_a_change`) and left out: a topic of events usually carries others too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.change_words import change_kind, service_in
from ingest.decoders.flat_fields import Fields, read_fields, scalar_text
from ingest.decoders.flat_json import documents
from ingest.decoders.json_text import parse_json
from ingest.decoders.times import parse_text
from ingest.events import ChangeEvent, DecodeError, RejectReason
from ingest.identity import SERVICE
from ingest.record import Nanos

_PREFIX = "ce_"
_REQUIRED = frozenset({"specversion", "id", "source", "type"})
_VERSIONS = frozenset({"1.0", "0.3"})
_STRUCTURED = "application/cloudevents"
_TITLE = ("title", "summary", "message", "description", "name")
_VERSION = (
    "version",
    "tag",
    "image.tag",
    "revision",
    "service.version",
    "artifact_id",
    "artifactId",
    "image",
)
_DATA_TIME = ("time", "timestamp", "finished_at", "deployed_at")
_NOT_SERVICES = frozenset({"flag", "config"})
"""Kinds whose subject names what was changed, not a service."""


def decode(value: bytes, batch: Batch) -> None:
    """Read a record in whichever mode its headers and bytes show; `DecodeError` when it is no CloudEvent."""
    headers = _headers(batch)
    if is_binary(batch):
        attributes = {
            name.removeprefix(_PREFIX): text for name, text in headers.items() if name.startswith(_PREFIX)
        }
        content = headers.get("content-type", attributes.get("datacontenttype", ""))
        _add(attributes, _binary_data(value, content), batch)
        return
    content = headers.get("content-type", "")
    if content.startswith(_STRUCTURED) and "json" not in content:
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, "structured CloudEvents are read in JSON only")
    for item in documents(value, batch):
        try:
            read_structured(item, batch)
        except DecodeError as error:
            batch.rejects.append(error.reject)


def is_binary(batch: Batch) -> bool:
    """Tell by the record's headers whether it is a CloudEvent in binary mode."""
    return any(name.lower() == "ce_specversion" for name, _ in batch.headers)


def is_event(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is a structured CloudEvent."""
    return item.keys() >= _REQUIRED


def read_structured(item: Any, batch: Batch) -> None:
    """Add the change that one structured event tells of."""
    if not isinstance(item, dict):
        raise DecodeError(RejectReason.MALFORMED, "an item is not a JSON object")
    attributes = {
        name: text
        for name, text in item.items()
        if isinstance(text, str) and name not in {"data", "data_base64"}
    }
    data = item.get("data")
    if isinstance(item.get("data_base64"), str):
        try:
            raw = base64.b64decode(item["data_base64"], validate=True)
        except (binascii.Error, ValueError):
            raise DecodeError(RejectReason.MALFORMED, "`data_base64` is not base64") from None
        data = _binary_data(raw, attributes.get("datacontenttype", ""))
    _add(attributes, data, batch)


def _headers(batch: Batch) -> dict[str, str]:
    return {name.lower(): raw.decode("utf-8", "replace") for name, raw in batch.headers}


def _binary_data(value: bytes, content: str) -> Any:
    """Return JSON as what it spells, text as text, and nothing for what cannot be read."""
    if not value:
        return None
    kind = content.partition(";")[0].strip().lower()
    if not kind or kind.endswith(("/json", "+json")):
        try:
            return parse_json(value)
        except DecodeError:
            if kind:
                raise
    return value.decode("utf-8", "replace") if kind.startswith("text/") else None


def _add(attributes: Mapping[str, str], data: Any, batch: Batch) -> None:
    missing = sorted(name for name in _REQUIRED if not attributes.get(name))
    if missing:
        raise DecodeError(RejectReason.MALFORMED, f"no CloudEvent: {', '.join(missing)} missing")
    if attributes["specversion"] not in _VERSIONS:
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, "the CloudEvent's specversion is not 1.0")
    fields = _data_fields(data)
    stated = fields.take(("kind", "change", "change_type", "changeType", "change.kind"))
    kind = change_kind(attributes["type"], stated if isinstance(stated, str) else None)
    if kind is None:
        batch.cuts["not_a_change"] += 1
        return
    batch.events.append(_change(kind, attributes, fields, data, batch))


def _data_fields(data: Any) -> Fields:
    """Return the data as flat fields; what CDEvents keep in `subject.content` counts as the data's own."""
    fields = read_fields(data) if isinstance(data, dict) else Fields(top={}, extras={})
    for name in [name for name in fields.top if name.startswith("subject.content.")]:
        value = fields.top.pop(name)
        short = name.removeprefix("subject.content.")
        fields.top.setdefault("environment" if short == "environment.id" else short, value)
    for name in [name for name in fields.top if name.startswith("context.")]:
        del fields.top[name]  # CDEvents repeat the event's own attributes there
    return fields


def _change(kind: str, attributes: Mapping[str, str], fields: Fields, data: Any, batch: Batch) -> ChangeEvent:
    time = _time(attributes, fields, batch)
    title = data if isinstance(data, str) else fields.take_text(_TITLE)
    version = next(
        (fields.top[name] for name in _VERSION if isinstance(fields.top.get(name), str | int)), None
    )
    subject = attributes.get("subject") or fields.top.get("subject.id") or fields.top.get("subject")
    named = any(
        isinstance(fields.top.get(name), str) or isinstance(fields.extras.get(name), str) for name in SERVICE
    )
    if not named:
        service = service_in(
            subject if isinstance(subject, str) else "", attributes["source"], bare=kind not in _NOT_SERVICES
        )
        if service:
            fields.top["service"] = service
    resource = fields.take_resource(batch)
    if not title:
        what = subject if isinstance(subject, str) else resource.service
        title = " ".join(str(part) for part in (kind, what, version) if part)
    kept = dict(fields.rest())
    for name in ("id", "source", "type", "subject"):
        if attributes.get(name):
            kept[f"cloudevents.event_{name}"] = attributes[name]
    return ChangeEvent(
        origin=batch.origin,
        resource=resource,
        time=time,
        kind=batch.name(kind),
        title=batch.text(scalar_text(title)),
        attributes=batch.labels(kept.items()),
    )


def _time(attributes: Mapping[str, str], fields: Fields, batch: Batch) -> Nanos:
    text = attributes.get("time")
    if text:
        time = parse_text(text)
        if time is None:
            raise DecodeError(RejectReason.TIME_INVALID, "the CloudEvent's `time` is not RFC 3339")
        return batch.valid_time(time)
    inner = fields.take_time(_DATA_TIME, batch.defaults.time_zone)
    return batch.stamped(batch.received) if inner is None else batch.valid_time(inner)
