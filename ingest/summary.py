"""What one closed window of one service carries: all that detectors and investigations ever see.

Summaries are values. Two partial ones of the same window and service merge into what one over all
records would have been, in any order and grouping (`ingest.merge`). What a window holds many of are msgspec
structs, for the reason that events are (`ingest.events`); they are changed with `msgspec.structs.replace`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import msgspec

from ingest.distribution import Distribution
from ingest.events import ChangeEvent, Labels, MetricKind
from ingest.record import Nanos, Origin
from ingest.sketch import Sketch

MAX_LINES = 3
MAX_SEQUENCES = 2_000
MAX_SAMPLES = 60
MAX_HISTOGRAMS = 12
"""Samples of one histogram that a window keeps apart."""


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A log line as evidence: redacted text and where it stands."""

    time: Nanos
    origin: Origin
    text: str
    instance: str | None = None
    trace_id: str | None = None


class TemplateCount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often a template occurred. `template` is its text as known in this window.

    `severity_number` is the highest seen; `lines` are the first `MAX_LINES` by (time, origin).
    """

    template_id: str
    template: str
    count: int
    severity_number: int
    first: Nanos
    last: Nanos
    lines: tuple[Line, ...]


class PairCount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Template `second` directly followed `first` under one sequence key this many times."""

    first: str
    second: str
    count: int


class SequenceCount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was written under one sequence key (a trace, a session, a block) in this window, by template."""

    key: str
    counts: tuple[tuple[str, int], ...]


def sequence_rank(key: str) -> float:
    """Return where a sequence key stands in [0, 1), evenly spread and the same everywhere."""
    return zlib.crc32(key.encode()) / 2**32


class SeriesKey(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False, cache_hash=True):
    """Names a series within an environment and service."""

    name: str
    instance: str = ""
    labels: Labels = ()

    def __str__(self) -> str:
        pairs = [("instance", self.instance)] if self.instance else []
        inner = ",".join(f'{k}="{v}"' for k, v in [*pairs, *self.labels])
        return f"{self.name}{{{inner}}}" if inner else self.name


class SeriesWindow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Samples of a series as (time, value), by time; past `MAX_SAMPLES` only min, mean, max and last.

    `count` is the number of samples seen and `total` their sum, whether kept or not.
    """

    key: SeriesKey
    kind: MetricKind
    unit: str
    samples: tuple[tuple[Nanos, float], ...]
    count: int
    total: float
    minimum: float
    maximum: float

    @property
    def last(self) -> float:
        return self.samples[-1][1]

    @property
    def mean(self) -> float:
        return self.total / self.count


class CounterPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One reading of a counter or histogram, as `ingest.events.MetricPoint` has it."""

    time: Nanos
    value: float
    start: Nanos = 0
    distribution: Distribution | None = None


class CounterWindow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Raw readings of a counter or histogram by time: what `ingest.rates` makes series of once it is whole.

    `count` is the number of readings. Where they are too many, of a running total the first and the last
    are kept (what lies between cancels out), and amounts are added up.
    """

    key: SeriesKey
    kind: MetricKind
    unit: str
    points: tuple[CounterPoint, ...]
    count: int


class CallWindow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Calls from this summary's service to `callee`. Latencies in seconds, as each side saw them.

    `callee_latency` is empty where the callee sends no spans (a database, say).
    """

    callee: str
    operation: str
    count: int
    errors: int
    caller_latency: Sketch
    callee_latency: Sketch


class OperationWindow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Spans of this service by name. `entry` counts those without a parent in the same service.

    `self_time` is a span's duration less what its children (of any service) cover, in seconds. Spans that
    only call another service have none: what their callee does not cover is the path's (`CallWindow`).
    """

    operation: str
    count: int
    errors: int
    entry: int
    duration: Sketch
    self_time: Sketch


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSummary:
    """One service in one window [start, end). All collections are sorted, so equal content is equal bytes."""

    environment: str
    service: str
    start: Nanos
    end: Nanos
    templates: tuple[TemplateCount, ...] = ()
    pairs: tuple[PairCount, ...] = ()
    severities: dict[int, int] = field(default_factory=dict)
    series: tuple[SeriesWindow, ...] = ()
    calls: tuple[CallWindow, ...] = ()
    operations: tuple[OperationWindow, ...] = ()
    instances: tuple[str, ...] = ()
    nodes: tuple[tuple[str, str], ...] = ()
    """(instance, node) pairs."""
    changes: tuple[ChangeEvent, ...] = ()
    late: int = 0
    rejected: int = 0
    counters: tuple[CounterWindow, ...] = ()
    """Only of a partial summary: in a whole one they have become `series`."""
    sequences: tuple[SequenceCount, ...] = ()
    """By key; only of the window itself, not of what is remembered of it."""
    sequence_share: float = 1.0
    """Keys are counted whose `sequence_rank` is below this: less than all where they are too many."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Template ids that earlier windows have, and the ids that these go by from this window on."""

    @property
    def lines(self) -> int:
        return sum(self.severities.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedWindow:
    """All services of one window, in the order (environment, service); in time order, empty ones too."""

    start: Nanos
    end: Nanos
    summaries: tuple[WindowSummary, ...]
