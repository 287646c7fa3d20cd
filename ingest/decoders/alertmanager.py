"""Alertmanager's webhook, version 4: one notification of a group, one event for each alert in it.

An alert's service is what its labels say, as for any telemetry. Its time is when it began to fire, resolved
or not, so a repeated notification gives the same events and an end finds its beginning.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.json_text import parse_json
from ingest.decoders.times import parse_text
from ingest.events import AlertEvent, DecodeError, RejectReason
from ingest.record import Nanos

VERSION = "4"
_NEVER = "0001-"
"""Alertmanager writes Go's zero time for an alert without an end."""


def decode(value: bytes, batch: Batch) -> None:
    """Read the webhook's body; an alert that cannot be read is refused alone."""
    read_webhook(parse_json(value), batch)


def is_webhook(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is Alertmanager's webhook."""
    return {"alerts", "groupKey", "version"} <= item.keys()


def read_webhook(body: Any, batch: Batch) -> None:
    """Add the alerts of a parsed body; `DecodeError` when it is no webhook of version 4."""
    if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
        raise DecodeError(RejectReason.MALFORMED, "no Alertmanager webhook: the field `alerts` is missing")
    if body.get("version") != VERSION:
        raise DecodeError(RejectReason.UNKNOWN_FORMAT, 'the webhook\'s `version` is not "4"')
    for item in body["alerts"]:
        try:
            batch.events.append(read_alert(item, batch))
        except DecodeError as error:
            batch.rejects.append(error.reject)


def read_alert(item: Any, batch: Batch) -> AlertEvent:
    """Return one alert. Raises `DecodeError` where it has no labels, status or time."""
    if not isinstance(item, dict) or not isinstance(item.get("labels"), dict):
        raise DecodeError(RejectReason.MALFORMED, "an alert without `labels`")
    status = item.get("status")
    if not isinstance(status, str) or status not in {"firing", "resolved"}:
        raise DecodeError(RejectReason.MALFORMED, "an alert whose `status` is neither firing nor resolved")
    labels = {str(name): str(value) for name, value in item["labels"].items()}
    noted = item.get("annotations")
    annotations = noted if isinstance(noted, dict) else {}
    starts = _time(item, "startsAt", batch)
    ends = _time(item, "endsAt", batch) if status == "resolved" else None
    if starts is None:
        raise DecodeError(RejectReason.TIME_MISSING, "an alert without `startsAt`")
    resource, _ = batch.resource(_named(labels))
    return AlertEvent(
        origin=batch.origin,
        resource=resource,
        time=starts,
        fingerprint=batch.name(str(item.get("fingerprint") or _fingerprint(labels))),
        firing=status == "firing",
        labels=batch.labels(labels.items()),
        annotations=batch.labels((str(name), str(value)) for name, value in annotations.items()),
        ends=ends,
    )


def _named(labels: dict[str, str]) -> dict[str, object]:
    """Return labels under the names that identity looks for: Prometheus writes `job` for a service."""
    named: dict[str, object] = dict(labels)
    if not any(name in labels for name in ("service", "service_name", "app", "deployment", "container")):
        named["service"] = labels.get("job", "")
    if "deployment" in labels and "service" not in labels:
        named["service"] = labels["deployment"]
    return {name: value for name, value in named.items() if value}


def _time(item: dict[str, Any], field: str, batch: Batch) -> Nanos | None:
    text = item.get(field)
    if not isinstance(text, str) or text.startswith(_NEVER):
        return None
    time = parse_text(text)
    if time is None:
        raise DecodeError(RejectReason.TIME_INVALID, f"an alert's `{field}` is not RFC 3339")
    return batch.valid_time(time)


def _fingerprint(labels: dict[str, str]) -> str:
    joined = "\x00".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()
