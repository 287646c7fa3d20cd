"""What decoders make of a record, and all that later stages know of it.

An event is immutable, says where it came from and whose telemetry it is. Names follow OpenTelemetry.
Events are msgspec structs, made millions of times: a frozen dataclass costs ten times as much to make. They
hold texts, numbers and tuples of these, so no cycles, and the garbage collector need not know them (`gc`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from ingest.distribution import Distribution
from ingest.record import Nanos, Origin

Labels = tuple[tuple[str, str], ...]
"""Label pairs sorted by name: hashable, and the same for the same labels."""


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False, cache_hash=True):
    """Whose telemetry this is. `instance` is the pod, container or host; `node` the machine below it."""

    environment: str
    service: str
    instance: str | None = None
    node: str | None = None


class LogEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One log record. `severity_number` is OpenTelemetry's 1..24, 0 when unknown.

    `sequence_key` is what orders lines that belong together: trace id, else session, else thread.
    """

    origin: Origin
    resource: Resource
    time: Nanos
    body: str
    severity_number: int = 0
    trace_id: str | None = None
    span_id: str | None = None
    sequence_key: str | None = None
    attributes: Labels = ()


class MetricKind(StrEnum):
    """How successive values of a series relate."""

    GAUGE = "gauge"
    CUMULATIVE = "cumulative"
    """A counter since some start: only differences mean anything, a fall is a restart."""
    DELTA = "delta"
    """An amount since the previous sample."""


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One sample of one series. The value is finite: decoders reject what is not.

    A histogram's sample has a `distribution`; its value is then the number of values in it. `start` is
    since when a counter or histogram counts, 0 where the sender does not say.
    """

    origin: Origin
    resource: Resource
    time: Nanos
    name: str
    value: float
    unit: str = ""
    kind: MetricKind = MetricKind.GAUGE
    labels: Labels = ()
    start: Nanos = 0
    distribution: Distribution | None = None


class SpanKind(StrEnum):
    """OpenTelemetry's span kinds; `UNKNOWN` where the source gives none."""

    UNKNOWN = "unknown"
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One finished span. Its window is that of `time`, which is its end: spans arrive when they end.

    `peer` names the other side of a client span as far as the span itself tells
    (peer.service, db.system + server.address, ...).
    """

    origin: Origin
    resource: Resource
    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start: Nanos
    end: Nanos
    kind: SpanKind = SpanKind.UNKNOWN
    error: bool = False
    peer: str | None = None
    attributes: Labels = ()

    @property
    def time(self) -> Nanos:
        return self.end


class ChangeEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A deploy, a flag, a configuration change: something somebody did."""

    origin: Origin
    resource: Resource
    time: Nanos
    kind: str
    title: str
    attributes: Labels = ()


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An alert that another system raised (Alertmanager's webhook v4)."""

    origin: Origin
    resource: Resource
    time: Nanos
    fingerprint: str
    firing: bool
    labels: Labels
    annotations: Labels = ()
    ends: Nanos | None = None


Event = LogEvent | MetricPoint | SpanEvent | ChangeEvent | AlertEvent


class RejectReason(StrEnum):
    """Why a record, or one item of a batch, was not taken. The value stands in headers and metrics."""

    MALFORMED = "malformed"
    """The bytes are not what the format says."""
    UNKNOWN_FORMAT = "unknown_format"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    NOT_FINITE = "not_finite"
    TIME_MISSING = "time_missing"
    TIME_INVALID = "time_invalid"
    """Before 2000 or more than an hour ahead."""
    REDACTION_FAILED = "redaction_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One item that was refused. `detail` never holds telemetry text."""

    reason: RejectReason
    detail: str


class Decoded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Good events and refused items of one record: a batch may hold both."""

    events: tuple[Event, ...] = ()
    rejects: tuple[Reject, ...] = ()
    cuts: tuple[tuple[str, int], ...] = ()
    """(reason, how often): what a limit shortened or left out, for the counters in `/metrics`."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a record: how many events went on, and which items were refused."""

    events: int = 0
    rejects: tuple[Reject, ...] = ()


class DecodeError(Exception):
    """Nothing of the record could be taken."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reject = Reject(reason=reason, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDefaults:
    """What a topic's setting says about records that do not say it themselves."""

    format: str = "auto"
    environment: str = "default"
    service: str = "unknown"
    time_field: str | None = None
    time_zone: str | None = None
    """Where clocks stand that name no zone (`Europe/Berlin`, `+01:00`); UTC when None."""
    extra: Labels = field(default=())
