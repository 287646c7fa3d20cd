"""Used by the OTLP decoders: attributes, any-values, ids and identity of OpenTelemetry's messages. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import orjson

from ingest.decoders.batch import Batch
from ingest.events import Resource

AnyValue = Any
"""`opentelemetry.proto.common.v1.AnyValue`; protobuf's generated classes carry no types here."""


def value_text(value: AnyValue) -> str:
    """Return an any-value as text: strings as they are, structures as JSON, bytes in base64."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind is None:
        return ""
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        return repr(value.double_value)
    plain = plain_value(value)
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()


def plain_value(value: AnyValue) -> Any:
    """Return an any-value as JSON's types; its depth is bounded by protobuf's own limit of 100."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain_value(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def attribute_map(attributes: Iterable[Any]) -> dict[str, str]:
    """Return key-values as text by name; of a repeated name the last."""
    return {pair.key: value_text(pair.value) for pair in attributes}


def read_resource(message: Any, batch: Batch) -> tuple[Resource, str | None]:
    """Return whose telemetry a ResourceLogs, -Metrics or -Spans holds, and the version it runs."""
    return owner_of(attribute_map(message.resource.attributes), batch)


def owner_of(attributes: dict[str, str], batch: Batch) -> tuple[Resource, str | None]:
    """Return what the attributes of a resource say: whose telemetry it is and the version that runs."""
    return batch.resource(attributes)[0], attributes.get("service.version") or None


def hex_id(raw: bytes) -> str | None:
    """Return a trace or span id in hex, None where it is absent, all zero or too long to be one."""
    return raw.hex() if len(raw) <= 16 and raw.strip(b"\0") else None
