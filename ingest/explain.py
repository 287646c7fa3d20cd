"""For people who debug their pipeline: one record as the service would read it, and why it reads it so.

Takes the way of the service (decode, redact, template) with the same code, and watches it: which format was
recognised and what else would have taken the record, whose telemetry each event is and by which name, whose
clock gave its time. Pure: no clock, no I/O; keeps templates and names between records of one sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec import structs

from ingest.decode import AUTO, Choice, Decode
from ingest.decoders.batch import Batch
from ingest.events import (
    AlertEvent,
    ChangeEvent,
    Decoded,
    DecodeError,
    Event,
    LogEvent,
    MetricPoint,
    Reject,
    RejectReason,
    Resource,
    SpanEvent,
    TopicDefaults,
)
from ingest.identity import EVERY, Names, identify
from ingest.record import Nanos, Record
from ingest.redaction import RedactionError, Redactor
from ingest.templates import Templates

KINDS: Mapping[type[Event], str] = {
    LogEvent: "log",
    MetricPoint: "metric",
    SpanEvent: "span",
    ChangeEvent: "change",
    AlertEvent: "alert",
}
UNKNOWN = "unknown"
SETTING, NOWHERE = "the topic's setting", "nothing names one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What another format makes of the same record."""

    format: str
    events: int
    refused: str | None
    """Why it takes nothing of it; None where it takes something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One event as it leaves redaction. `service_from` says what named its service."""

    kind: str
    event: Event
    service_from: str
    own_time: bool
    """False where the record's own time (the broker's) stands in for one that the event lacks."""
    redacted: bool
    template: str | None = None
    """Of a log: its template as known by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One record: the format it was read as and why, its events, and what of it was refused or cut."""

    record: Record
    format: str | None
    """None where no format was recognised."""
    why: str
    events: tuple[Shown, ...]
    rejects: tuple[Reject, ...]
    whole: bool
    """Whether all of the record was refused."""
    cuts: tuple[tuple[str, int], ...]
    others: tuple[Attempt, ...]
    """Of the other formats; empty where they were not tried."""


class _Watched(Batch):
    """A batch that notes which name each service was read from."""

    __slots__ = ("_named",)

    def __init__(
        self, record: Record, now: Nanos, defaults: TopicDefaults, named: dict[Resource, str]
    ) -> None:
        super().__init__(record, now, defaults)
        self._named = named

    def resource(
        self, attributes: Mapping[str, object], among: Names = EVERY
    ) -> tuple[Resource, tuple[str, ...]]:
        found, used = super().resource(attributes, among)
        self._named[found] = service_from(attributes, self.defaults)
        return found, used


def service_from(attributes: Mapping[str, object], defaults: TopicDefaults) -> str:
    """Return the attribute that named the service, else `SETTING` or `NOWHERE`."""
    service = identify(attributes, defaults)[0].service
    name = next((name for name in EVERY.service if attributes.get(name) == service), None)
    if name is not None:
        return name
    extra = next((name for name, value in defaults.extra if name in EVERY.service and value == service), None)
    return SETTING if extra is not None or service != UNKNOWN else NOWHERE


def _told(name: str, record: Record) -> str:
    """Return what people find in the record: decoders give identity some fields under its own names."""
    word = name.rpartition(".")[2].encode()
    if (
        name in {SETTING, NOWHERE}
        or word in record.value
        or any(word in n.encode() for n, _ in record.headers)
    ):
        return name
    return f"a field of the format, ranked as {name}"


class Explainer:
    """Explains the records of one sample, one after the other, under one topic's settings."""

    def __init__(self, defaults: TopicDefaults, redactor: Redactor) -> None:
        self._defaults = defaults
        self._redactor = redactor
        self._templates = Templates()
        self._named: dict[Resource, str] = {}

    @property
    def templates(self) -> int:
        """Number of templates found so far."""
        return len(self._templates)

    def explain(self, record: Record, now: Nanos, *, compare: bool) -> Explained:
        """Return what the record is; with `compare` also what every other format would make of it."""
        # A nanosecond that no sender writes tells the broker's time from an equal one of the event's own.
        marked = structs.replace(record, received=record.received + 1) if record.received else record
        chosen: list[Choice] = []
        decode = self._decode(self._defaults, chosen)
        whole = False
        try:
            decoded = decode.decode(marked, now)
        except DecodeError as error:
            decoded, whole = Decoded(rejects=(error.reject,)), True
        shown, failed = self._shown(decoded.events, marked)
        form, why = self._recognised(chosen, whole)
        return Explained(
            record=record,
            format=form,
            why=why,
            events=shown,
            rejects=(*decoded.rejects, *failed),
            whole=whole,
            cuts=decoded.cuts,
            others=self._others(marked, now, form) if compare else (),
        )

    def _decode(self, defaults: TopicDefaults, chosen: list[Choice]) -> Decode:
        def watched(record: Record, now: Nanos, defaults: TopicDefaults) -> Batch:
            return _Watched(record, now, defaults, self._named)

        return Decode({"^": defaults}, on_choice=chosen.append, make_batch=watched)

    def _recognised(self, chosen: list[Choice], whole: bool) -> tuple[str | None, str]:
        if self._defaults.format != AUTO:
            return self._defaults.format, "it is set, not recognised"
        if chosen:
            return chosen[0].format, chosen[0].why
        return None, "nothing of it could be read" if whole else "it holds nothing"

    def _shown(
        self, events: tuple[Event, ...], record: Record
    ) -> tuple[tuple[Shown, ...], tuple[Reject, ...]]:
        shown: list[Shown] = []
        failed: list[Reject] = []
        for event in events:
            try:
                redacted = self._redactor.redact(event)
            except RedactionError as error:
                failed.append(Reject(reason=RejectReason.REDACTION_FAILED, detail=str(error)))
                continue
            shown.append(self._one(event, redacted, record))
        return tuple(shown), tuple(failed)

    def _one(self, event: Event, redacted: Event, record: Record) -> Shown:
        own_time, changed = event.time != record.received, redacted != event
        resource = redacted.resource
        template = None
        if isinstance(redacted, LogEvent):
            found = self._templates.assign(resource.environment, resource.service, redacted.body)
            template = found.template
        if not own_time and not isinstance(redacted, SpanEvent):
            redacted = structs.replace(redacted, time=redacted.time - 1)
        return Shown(
            kind=KINDS[type(event)],
            event=redacted,
            service_from=_told(self._named.get(event.resource, NOWHERE), record),
            own_time=own_time,
            redacted=changed,
            template=template,
        )

    def _others(self, record: Record, now: Nanos, form: str | None) -> tuple[Attempt, ...]:
        """Try every other format; those that take most of the record come first."""
        tried = [
            self._attempt(name, record, now)
            for name in self._decode(self._defaults, []).formats
            if name not in {AUTO, form}
        ]
        return tuple(sorted(tried, key=lambda attempt: -attempt.events))

    def _attempt(self, form: str, record: Record, now: Nanos) -> Attempt:
        decode = self._decode(replace(self._defaults, format=form), [])
        try:
            decoded = decode.decode(record, now)
        except DecodeError as error:
            return Attempt(format=form, events=0, refused=error.reject.detail)
        return Attempt(format=form, events=len(decoded.events), refused=None)


ADVICE: Mapping[RejectReason, str] = {
    RejectReason.MALFORMED: "the bytes are not what the format says: see what is sent, or set another",
    RejectReason.UNKNOWN_FORMAT: "set the topic's `format`, if it is one that Faultline reads",
    RejectReason.TOO_LARGE: "send smaller batches (the Collector's `batch` processor: `send_batch_max_size`)",
    RejectReason.TOO_DEEP: "send structures as text, or flatten them at the sender",
    RejectReason.NOT_FINITE: "NaN and infinity say nothing: drop such samples at the sender",
    RejectReason.TIME_MISSING: "send a time, or set `time_field` to the field that holds it",
    RejectReason.TIME_INVALID: "check the sender's clock, zone and unit; `time_zone` sets a zone",
    RejectReason.REDACTION_FAILED: "the record is kept back: report the kind of line, not the line, as a bug",
}
"""What to do about each reason."""
