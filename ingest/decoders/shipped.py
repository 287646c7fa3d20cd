"""Used by the decoders of what log shippers write: an envelope of fields around a line of an application.

The line may be JSON itself, docker's wrapper, or carry a container runtime's prefix; then it says its own
time, level and text, and the envelope says whose it is. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, NamedTuple

from ingest.decoders import flat_plan as names
from ingest.decoders import severity
from ingest.decoders.batch import Batch
from ingest.decoders.flat_fields import Fields, known_id, read_fields
from ingest.decoders.flat_json import level_of, other_reader
from ingest.decoders.json_text import parse_json
from ingest.decoders.log_fields import sequence_key, with_error
from ingest.decoders.text import own_time
from ingest.decoders.times import parse_time
from ingest.events import DecodeError, Event, LogEvent, RejectReason
from ingest.record import Nanos

_COOKIE = "@cee:"
"""What announces JSON in a syslog message."""
_REPLICAS = re.compile(r"-[0-9a-f]{6,10}\Z")
"""The hash that Kubernetes puts between a Deployment's name and its pods'."""
_WORKLOADS = frozenset({"statefulset", "daemonset", "job", "cronjob", "deployment"})
LAST_RESORT = "container_name"
"""The last name that identity reads a service from: what is put here gives way to every better one."""


class Noise(NamedTuple):
    """Names of fields, and what the names of fields begin with."""

    names: frozenset[str]
    prefixes: tuple[str, ...] = ()

    def covers(self, name: str) -> bool:
        """Tell whether a field is one of these."""
        return name in self.names or name.startswith(self.prefixes)


NOTHING = Noise(frozenset())


@dataclass(slots=True, kw_only=True)
class Shipped:
    """A line in its envelope; `fields.used` already holds what these members were read from."""

    fields: Fields
    text: str
    time: Nanos | None = None
    severity: int = 0
    trace_id: str | None = None
    span_id: str | None = None
    sequence: str | None = None
    """The sequence key, where the line itself gives no better one."""
    noise: Noise = NOTHING
    """Envelope fields that are no attributes: what the shipper says about itself and its host."""


def read_shipped(line: Shipped, batch: Batch) -> Event:
    """Return the event of the line; `DecodeError` when its time is missing or not valid."""
    line.text, own = own_time(line.text.rstrip("\r\n"), batch)
    inner = _inner(line)
    if inner is not None and isinstance(inner.get("log"), str) and "time" in inner:  # docker's wrapper inside
        line.text, line.time = inner["log"].rstrip("\r\n"), _believed(inner["time"], batch) or line.time
        inner = _inner(line)
    if inner is not None:
        event = _read_inner(line, inner, batch)
        if event is not None:
            return event
    time = line.time if line.time is not None else own
    return _event(line, line.fields, line.text, time, batch)


def read_envelope(
    item: Any, text: tuple[str, ...], time: tuple[str, ...], noise: Noise, batch: Batch
) -> Shipped:
    """Return the line that an object wraps; `DecodeError` when no field of `text` holds one."""
    if not isinstance(item, dict):
        raise DecodeError(RejectReason.MALFORMED, "an item is not a JSON object")
    fields = read_fields(item)
    line = fields.take_text(text)
    if line is None:
        blank = next((name for name in text if fields.top.get(name) == ""), None)
        if blank is None:
            raise DecodeError(RejectReason.MALFORMED, f"no field of {', '.join(text)} holds a log text")
        fields.used.add(blank)
    configured = (batch.defaults.time_field,) if batch.defaults.time_field else ()
    stated = fields.take_readable_time((*configured, *time), batch.defaults.time_zone, batch.cuts)
    return Shipped(
        fields=fields,
        text=line or "",
        time=None if stated is None else batch.valid_time(stated),
        severity=level_of(fields),
        trace_id=known_id(fields.take_text(names.TRACE_ID)),
        span_id=known_id(fields.take_text(names.SPAN_ID)),
        noise=noise,
    )


def workload(owner: str) -> str:
    """Return the workload's name of `Kind/name` or of a ReplicaSet's name."""
    kind, _, name = owner.rpartition("/")
    return name if kind.lower() in _WORKLOADS else _REPLICAS.sub("", name)


def priority_severity(value: Any) -> int:
    """Return the severity of a syslog priority or severity number, given as number or digits; 0 for none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 3:
        value = int(value)
    return severity.from_number(value & 7) if isinstance(value, int) and 0 <= value <= 191 else 0


def name_journal(top: dict[str, Any]) -> None:
    """Give journald's and syslog parsers' fields the names that identity and severity look for."""
    ident = top.get("SYSLOG_IDENTIFIER") or top.get("ident") or top.get("appname") or top.get("_COMM")
    unit = top.get("_SYSTEMD_UNIT")
    if ident is None and isinstance(unit, str):
        ident = unit.removesuffix(".service")
    if isinstance(ident, str):
        top.setdefault("application", ident)
    if isinstance(top.get("_HOSTNAME"), str) and "host" not in top:
        top.setdefault("hostname", top["_HOSTNAME"])


def name_containers(top: dict[str, Any]) -> None:
    """Give the forms in which shippers name containers, images and namespaces the names of OpenTelemetry."""
    container = top.get("container_name")
    if isinstance(container, str):
        top["container_name"] = container.removeprefix("/")
    for known, forms in _SAME.items():
        value = next((top[form] for form in forms if isinstance(top.get(form), str)), None)
        if value is not None:
            top.setdefault(known, value)
    owner = top.get("kubernetes.pod_owner") or top.get("kubernetes.replicaset.name")
    if isinstance(owner, str):
        top.setdefault("kubernetes.deployment.name", workload(owner))


_SAME = {
    "k8s.namespace.name": (
        "kubernetes.namespace_name", "kubernetes.pod_namespace", "kubernetes.namespace",
        "orchestrator.namespace",
    ),
    "container.image.name": ("kubernetes.container_image", "kubernetes.container.image", "image"),
    "application": ("label.com.docker.compose.service", "container.labels.com_docker_compose_service"),
    "kubernetes.labels.app.kubernetes.io/name": ("kubernetes.labels.app_kubernetes_io/name",),
    "kubernetes.pod_labels.app.kubernetes.io/name": ("kubernetes.pod_labels.app_kubernetes_io/name",),
}  # fmt: skip


def _inner(line: Shipped) -> dict[str, Any] | None:
    text = line.text.removeprefix(_COOKIE).lstrip(" ") if line.text.startswith(_COOKIE) else line.text
    if not text.startswith("{"):
        return None
    try:
        parsed = parse_json(text.encode("utf-8", "replace"))
    except DecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _believed(value: Any, batch: Batch) -> Nanos | None:
    """Return the time of a line inside an envelope, None where it is missing, odd or not valid."""
    time = parse_time(value, batch.defaults.time_zone)
    try:
        return None if time is None else batch.valid_time(time)
    except DecodeError:
        return None


def _read_inner(line: Shipped, inner: dict[str, Any], batch: Batch) -> Event | None:
    """Return what a JSON line says, None where it is no log, span, metric or change that we know."""
    outer = {name: value for name, value in line.fields.top.items() if name not in line.fields.used}
    try:
        own = read_fields(inner)
        read = other_reader(own.top)
        merged = Fields(top={**outer, **own.top}, extras={**line.fields.extras, **own.extras})
        if read is not None:
            if line.time is not None and own.take(names.TIME) is None:
                merged.top["time"] = line.time
            return read(merged, batch)
        level = level_of(own)
        body = own.take_text(names.BODY)
    except DecodeError:
        return None
    if body is None and level == 0:
        return None
    stated = own.take(names.TIME)
    merged.used |= own.used
    line.trace_id = known_id(merged.take_text(names.TRACE_ID)) or line.trace_id
    line.span_id = known_id(merged.take_text(names.SPAN_ID)) or line.span_id
    line.severity = level or line.severity
    time = _believed(stated, batch)
    time = line.time if time is None else time
    return _event(line, merged, line.text if body is None else body, time, batch, own.top)


def _event(
    line: Shipped, fields: Fields, body: str, time: Nanos | None, batch: Batch, own: Container[str] = ()
) -> LogEvent:
    resource = fields.take_resource(batch)
    hidden = {name for name in line.fields.top if name not in own and line.noise.covers(name)}
    attributes = dict(fields.rest(hidden))
    body = with_error(body.rstrip("\r\n"), attributes)
    return LogEvent(
        origin=batch.origin,
        resource=resource,
        time=batch.stamped(batch.received) if time is None else time,
        body=batch.text(body),
        severity_number=line.severity or severity.from_line(body),
        trace_id=line.trace_id,
        span_id=line.span_id,
        sequence_key=line.trace_id or sequence_key(attributes, resource.instance) or line.sequence,
        attributes=batch.labels(attributes.items()),
    )
