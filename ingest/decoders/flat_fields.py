"""Used by the flat JSON decoder: one object as a flat view, and the names that people give its fields. Pure.

Nested objects become dotted names. What stands in a container (`attributes`, `labels`, `tags`, `fields`) is
kept apart: it may say whose telemetry this is, but never what its level, time or text is.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ingest.decoders.batch import UNREAD, Batch
from ingest.decoders.flat_plan import Plan, plan_of
from ingest.decoders.json_text import to_text
from ingest.decoders.times import parse_time
from ingest.events import DecodeError, RejectReason, Resource
from ingest.identity import SERVICE
from ingest.record import Nanos

MAX_ID = 64
CONTAINERS = frozenset({"attributes", "labels", "tags", "fields"})
_RESOURCES = ("resource.attributes.", "resource.")
_DEPTH = 8
"""Levels that become dotted names; what lies deeper stays JSON text."""


@dataclass(slots=True)
class Fields:
    """One object: `top` by dotted name, `extras` from containers; `used` grows as fields are read."""

    top: dict[str, Any]
    extras: dict[str, Any]
    used: set[str] = field(default_factory=set)

    def take(self, names: Iterable[str]) -> Any:
        """Return the first present value of these names, None when there is none."""
        for name in names:
            value = self.top.get(name)
            if value is not None and value != "":
                self.used.add(name)
                return value
        return None

    def take_text(self, names: Iterable[str]) -> str | None:
        """Return the first present value as text."""
        value = self.take(names)
        return None if value is None else scalar_text(value)

    def take_time(self, names: Iterable[str], zone: str | None = None) -> Nanos | None:
        """Return the first present time; `DecodeError` when it is there and none of its forms is known."""
        value = self.take(names)
        if value is None:
            return None
        time = parse_time(value, zone)
        if time is None:
            raise DecodeError(
                RejectReason.TIME_INVALID, "the time's form is not known; send RFC 3339 or an epoch"
            )
        return time

    def take_readable_time(
        self, names: Iterable[str], zone: str | None, cuts: MutableMapping[str, int]
    ) -> Nanos | None:
        """Return the first time that can be read, None when there is none.

        What should be one and cannot be read is counted in `cuts` and stays an attribute: a line must not be
        lost for it.
        """
        for name in names:
            value = self.top.get(name)
            if value is None or value == "":
                continue
            time = parse_time(value, zone)
            if time is not None:
                self.used.add(name)
                return time
            cuts[UNREAD] += 1
        return None

    def take_resource(self, batch: Batch, plan: Plan | None = None) -> Resource:
        """Return whose telemetry this is; containers are asked only where the object names no service.

        `plan` is that of `top`, where it is known already.
        """
        known: Mapping[str, Any] = self.top
        if self.extras and not any(isinstance(self.top.get(name), str) for name in SERVICE[:3]):
            known, plan = {**self.extras, **self.top}, None
        resource, names = batch.resource(known, (plan or plan_of(known)).whose)
        self.used.update(names)
        return resource

    def rest(self, hidden: Container[str] = ()) -> Iterable[tuple[str, str]]:
        """Yield what no field has taken, as text; a container's value gives way to the object's own.

        Of the object's own, `hidden` names are left out.
        """
        used, top, extras = self.used, self.top, self.extras
        for name, value in extras.items():
            if value is not None and (name not in used or name in top):
                yield name, scalar_text(value)
        for name, value in top.items():
            if name not in used and value is not None and name not in hidden and name not in extras:
                yield name, value if isinstance(value, str) else to_text(value)


def known_id(text: str | None) -> str | None:
    """Return a trace or span id in lower case; None when it is empty, all zero or too long to be one."""
    known = text.strip().lower() if text and len(text) <= MAX_ID else ""
    return known if known.strip("0-") else None


def scalar_text(value: Any) -> str:
    """Return a JSON value as text: strings as they are, anything else as JSON spells it."""
    return value if isinstance(value, str) else to_text(value)


def read_fields(item: Mapping[str, Any]) -> Fields:
    """Return the flat view of one object."""
    if dict not in map(type, item.values()):
        return Fields(top=dict(item), extras={})
    top: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for name, value in item.items():
        if not isinstance(value, dict):
            top[name] = value
        elif name in CONTAINERS:
            _flatten("", value, extras, _DEPTH)
        else:
            _flatten(f"{name}.", value, top, _DEPTH)
    for name in [name for name in top if name.startswith("resource.")]:
        value = top.pop(name)
        prefix = next(prefix for prefix in _RESOURCES if name.startswith(prefix))
        top.setdefault(name[len(prefix) :], value)
    return Fields(top=top, extras=extras)


def _flatten(prefix: str, value: Mapping[str, Any], into: dict[str, Any], depth: int) -> None:
    for name, inner in value.items():
        if isinstance(inner, dict) and depth > 1:
            _flatten(f"{prefix}{name}.", inner, into, depth - 1)
        else:
            into.setdefault(prefix + name, inner)
