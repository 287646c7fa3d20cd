"""Who calls whom, from every source that tells, with how sure each is.

Spans name both ends of a call. Service meshes and service graphs name them in a metric's labels or name.
Log lines that share a trace id tell by their order: a service's first line of a trace follows one of its
caller's. A person's own list is believed. Pure: windows in, links out, sorted; cycles are ordinary.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ingest.record import SECOND, Nanos, Origin
from ingest.summary import SeriesKey, WindowSummary

TO = re.compile(r"[._]to[._](?P<other>[\w.-]+)\Z", re.IGNORECASE)
FROM = re.compile(r"[._]from[._](?P<other>[\w.-]+)\Z", re.IGNORECASE)
CALLEE_LABELS = (
    "destination_service_name",
    "destination_service",
    "destination_workload",
    "peer.service",
    "server",
)
CALLER_LABELS = ("source_service_name", "source_service", "source_workload", "client")
MEASURED = 0.9
"""Confidence in an edge that a metric names: both ends are named, whether they talk now is not told."""
LOGGED = 0.9
"""Confidence that many traces' lines can give at most; a sibling called before looks like a caller."""
DOUBT = 3.0
"""Traces after which order is believed half."""
BELIEVED = 0.5
"""Confidence from which an edge explains symptoms."""
_Place = tuple[Nanos, Origin, str]
"""Time, origin and service of a line."""


class Source(StrEnum):
    """Where an edge is known from."""

    GIVEN = "given"
    SPANS = "spans"
    METRICS = "metrics"
    LOGS = "logs"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Link:
    """An edge from caller to callee and how sure it is, 0..1."""

    caller: str
    callee: str
    source: Source
    confidence: float


def links_of(windows: Iterable[WindowSummary], given: Iterable[tuple[str, str]] = ()) -> tuple[Link, ...]:
    """Return one link for each edge, of the source that is surest, sorted by its ends."""
    held = tuple(windows)
    best: dict[tuple[str, str], Link] = {}
    sources = (
        (Link(caller=a, callee=b, source=Source.GIVEN, confidence=1.0) for a, b in given),
        spanned(held),
        measured(held),
        logged(held),
    )
    for link in itertools.chain(*sources):
        known = best.get((link.caller, link.callee))
        if link.caller != link.callee and (known is None or link.confidence > known.confidence):
            best[link.caller, link.callee] = link
    return tuple(best[ends] for ends in sorted(best))


def spanned(windows: Iterable[WindowSummary]) -> Iterator[Link]:
    """Yield the edges that spans tell of; one call could be a mistake of names, ten are none."""
    calls: dict[tuple[str, str], int] = {}
    for window in windows:
        for call in window.calls:
            ends = window.service, call.callee
            calls[ends] = calls.get(ends, 0) + call.count
    for (caller, callee), count in sorted(calls.items()):
        if count > 0:
            yield Link(caller=caller, callee=callee, source=Source.SPANS, confidence=by_calls(count))


def by_calls(count: int) -> float:
    """Return how sure an edge is that this many calls were seen on."""
    return (count + 1) / (count + 2)


def measured(windows: Iterable[WindowSummary]) -> Iterator[Link]:
    """Yield the edges that metrics name, where both ends are services that report."""
    held = tuple(windows)
    services = {window.service for window in held}
    keys: dict[str, set[SeriesKey]] = {}
    for window in held:
        keys.setdefault(window.service, set()).update([series.key for series in window.series])
    found = {edge_of(key, service) for service, named in keys.items() for key in named}
    for caller, callee in sorted(found):
        if caller in services and callee in services:
            yield Link(caller=caller, callee=callee, source=Source.METRICS, confidence=MEASURED)


def edge_of(key: SeriesKey, service: str) -> tuple[str, str]:
    """Return the (caller, callee) that a series of `service` is about; twice the same where it names nobody.

    A mesh's proxy names one end or both beside its own service, a collector's service graph both of others.
    """
    callee, caller = ends_of(key)
    return caller or service, callee or service


def ends_of(key: SeriesKey) -> tuple[str | None, str | None]:
    """Return the (callee, caller) that a series' name or labels give beside its own service."""
    return _other(key, TO, CALLEE_LABELS), _other(key, FROM, CALLER_LABELS)


def _other(key: SeriesKey, pattern: re.Pattern[str], labels: tuple[str, ...]) -> str | None:
    named = pattern.search(key.name)
    if named is not None:
        return named["other"]
    return next((value for name, value in key.labels if name in labels), None)


def logged(windows: Iterable[WindowSummary]) -> Iterator[Link]:
    """Yield the edges that the order of lines within traces tells of.

    Where both directions were seen, each counts by its share: only one of two services comes first.
    """
    votes = votes_of(windows)
    for (caller, callee), count in sorted(votes.items()):
        confidence = by_lines(count, votes.get((callee, caller), 0))
        yield Link(caller=caller, callee=callee, source=Source.LOGS, confidence=confidence)


def votes_of(windows: Iterable[WindowSummary]) -> dict[tuple[str, str], int]:
    """Return in how many traces a service's first line came directly after one of another, by that pair."""
    votes: dict[tuple[str, str], int] = {}
    for trace in traces_of(windows):
        seen = {trace[0][1]}
        for (_, first), (_, second) in itertools.pairwise(trace):
            if second not in seen:
                votes[first, second] = votes.get((first, second), 0) + 1
                seen.add(second)
    return votes


def by_lines(count: int, against: int) -> float:
    """Return how sure an edge is that this many traces speak for, and that many for the other direction."""
    return LOGGED * count / (count + against) * count / (count + DOUBT)


def hops(windows: Iterable[WindowSummary]) -> Iterator[tuple[str, str, float]]:
    """Yield (service, next service, seconds between) wherever a trace's kept lines change the service."""
    for trace in traces_of(windows):
        for (before, first), (after, second) in itertools.pairwise(trace):
            if first != second:
                yield first, second, (after - before) / SECOND


def traces_of(windows: Iterable[WindowSummary]) -> Iterator[list[tuple[Nanos, str]]]:
    """Yield for each trace (time, service) of the lines that windows kept of it, by time."""
    traces: dict[str, list[_Place]] = {}
    for window in windows:
        service = window.service
        for seen in window.templates:
            for line in seen.lines:
                if line.trace_id:
                    place = line.time, line.origin, service
                    held = traces.get(line.trace_id)
                    if held is None:
                        traces[line.trace_id] = [place]
                    else:
                        held.append(place)
    for _, trace in sorted(traces.items()):
        trace.sort(key=_time)
        if any(one[0] == next_[0] for one, next_ in itertools.pairwise(trace)):
            trace.sort(key=_exact)
        yield [(time, service) for time, _, service in trace]


def _time(place: _Place) -> Nanos:
    return place[0]


def _exact(place: _Place) -> tuple[Nanos, str, str]:
    """Lines of one moment go by where they stand; writing that down for every line would take long."""
    return place[0], str(place[1]), place[2]
