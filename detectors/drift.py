"""How far a detector's inputs have moved from those that its model learned from.

Every input of a service (how much it writes, fails, takes; the level of each of its metrics) is a track of
two histograms: the reference, from the version's first span, and the span under way. They are compared by
the two-sample Kolmogorov-Smirnov distance, the largest share of values that went to the other side of some
level. Pure, bounded, no clock: spans are ended by whoever keeps the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from detectors.evidence import ERROR
from ingest.events import MetricKind
from ingest.summary import WindowSummary

MAX_TRACKS = 2_000
LEAST = 60
"""Windows that a histogram needs before it is compared: with fewer, chance alone moves a quarter of it."""
WORST = 3
_PER_DOUBLING = 8
"""Bins from a value to twice that value; each is 9 % wide."""
_FINEST = 1e-6
_GREATEST = 1e12


class Input(StrEnum):
    """What a detector reads of a window."""

    LOGS = "logs"
    SPANS = "spans"
    METRICS = "metrics"


EVERYTHING = frozenset(Input)
READS: Mapping[str, frozenset[Input]] = {
    "new_template": frozenset({Input.LOGS}),
    "template_rate": frozenset({Input.LOGS}),
    "severity": frozenset({Input.LOGS}),
    "calls": frozenset({Input.SPANS}),
    "outliers": frozenset({Input.METRICS}),
    "surprise": frozenset({Input.METRICS}),
    "exhaustion": frozenset({Input.METRICS}),
    "stalled": frozenset({Input.METRICS}),
    "joint": frozenset({Input.SPANS, Input.METRICS}),
}
"""By the detector's name; whoever is not named reads everything."""

Histogram = dict[int, float]
"""Bin -> weight."""
TrackKey = tuple[str, str, str]
"""Environment, service, input."""


@dataclass(slots=True)
class Track:
    """One input of one service."""

    reference: Histogram = field(default_factory=dict)
    recent: Histogram = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What a comparison found. `worst` are the inputs that moved farthest, with their distances."""

    compared: int = 0
    moved: int = 0
    worst: tuple[tuple[TrackKey, float], ...] = ()

    @property
    def share(self) -> float:
        """Share of the compared inputs that moved, 0..1."""
        return self.moved / self.compared if self.compared else 0.0

    def __str__(self) -> str:
        names = ", ".join(f"{service} {name} ({distance:.2f})" for (_, service, name), distance in self.worst)
        return f"{self.moved} of {self.compared} inputs moved, farthest {names}"


@dataclass(slots=True)
class Inputs:
    """The tracks of one detector; part of its state."""

    tracks: dict[TrackKey, Track] = field(default_factory=dict)

    def add(self, summary: WindowSummary, reads: frozenset[Input]) -> None:
        """Count one service's window in the span under way."""
        for name, value in _values(summary, reads):
            key = (summary.environment, summary.service, name)
            if key not in self.tracks:
                if len(self.tracks) >= MAX_TRACKS:
                    continue
                self.tracks[key] = Track()
            _count(self.tracks[key].recent, value)

    def measure(self, distance: float) -> Drift:
        """Compare the span so far with the reference; an input has moved from `distance` (0..1) on."""
        found = [
            (key, _distance(track.reference, track.recent))
            for key, track in self.tracks.items()
            if _enough(track.reference) and _enough(track.recent)
        ]
        found.sort(key=lambda one: (-one[1], one[0]))
        moved = sum(value >= distance for _, value in found)
        return Drift(compared=len(found), moved=moved, worst=tuple(found[: min(WORST, moved)]))

    def end_span(self) -> None:
        """Begin the next span; what an input brought before it had a reference becomes that.

        An input that said nothing for a whole span is forgotten, which makes room for others.
        """
        self.tracks = {key: track for key, track in self.tracks.items() if track.recent}
        for track in self.tracks.values():
            if not _enough(track.reference):
                for place, weight in track.recent.items():
                    track.reference[place] = track.reference.get(place, 0.0) + weight
            track.recent = {}


def records(summary: WindowSummary, reads: frozenset[Input]) -> int:
    """Return how many lines, spans and samples of a window are there to be read."""
    count = 0
    if Input.LOGS in reads:
        count += summary.lines
    if Input.SPANS in reads:
        count += sum(one.count for one in summary.operations) + sum(one.count for one in summary.calls)
    if Input.METRICS in reads:
        count += sum(one.count for one in summary.series)
    return count


def _values(summary: WindowSummary, reads: frozenset[Input]) -> Iterator[tuple[str, float]]:
    if Input.LOGS in reads and summary.lines:
        errors = sum(count for severity, count in summary.severities.items() if severity >= ERROR)
        yield "lines", summary.lines
        yield "error share", errors / summary.lines
        yield "kinds of lines", len(summary.templates)
    if Input.SPANS in reads:
        yield from _spans(summary)
    if Input.METRICS in reads:
        yield from _levels(summary)


def _spans(summary: WindowSummary) -> Iterator[tuple[str, float]]:
    done = [(one.count, one.errors, one.duration) for one in summary.operations]
    done += [(one.count, one.errors, one.caller_latency) for one in summary.calls]
    count = sum(number for number, _, _ in done)
    if not count:
        return
    yield "spans", count
    yield "failed share", sum(errors for _, errors, _ in done) / count
    yield "duration", sum((times.mean() or 0.0) * number for number, _, times in done) / count


def _levels(summary: WindowSummary) -> Iterator[tuple[str, float]]:
    """Yield each metric's mean over its series; a running total has no level."""
    means: dict[str, list[float]] = {}
    for series in summary.series:
        if series.kind is not MetricKind.CUMULATIVE and series.count:
            means.setdefault(series.key.name, []).append(series.mean)
    for name, values in means.items():
        yield name, sum(values) / len(values)


def _count(histogram: Histogram, value: float) -> None:
    """Spread one value over the two bins around it, so that no edge makes a small change look large."""
    if math.isnan(value):
        return
    size = min(abs(value), _GREATEST)
    place = math.copysign(_PER_DOUBLING * math.log2(1.0 + size / _FINEST), value)
    lower = math.floor(place)
    upper = place - lower
    histogram[lower] = histogram.get(lower, 0.0) + 1.0 - upper
    if upper:
        histogram[lower + 1] = histogram.get(lower + 1, 0.0) + upper


def _enough(histogram: Histogram) -> bool:
    # Halves of a value are added one by one: sixty of them may make 59.999….
    return sum(histogram.values()) > LEAST - 0.5


def _distance(first: Histogram, second: Histogram) -> float:
    """Return the Kolmogorov-Smirnov distance (0..1) of two histograms over the same bins."""
    all_first, all_second = sum(first.values()), sum(second.values())
    below = farthest = 0.0
    for place in sorted(first.keys() | second.keys()):
        below += first.get(place, 0.0) / all_first - second.get(place, 0.0) / all_second
        farthest = max(farthest, abs(below))
    return farthest
