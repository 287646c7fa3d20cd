"""Evidence as curves: the windows it was found in, drawn before and after, so that a person can check it.

Pure. What a curve shows is what the evidence names: a template's lines, a series' samples, an edge's or an
operation's latency (or its share of errors), a silent service's traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from agent.serve.plots import Curve, Point
from detectors.anomaly import Evidence, EvidenceKind
from ingest.events import MetricKind
from ingest.record import SECOND, Nanos
from ingest.sketch import Sketch
from ingest.summary import SeriesWindow, WindowSummary

MOST = 400
"""Points of a line; more are averaged, no screen shows them."""
_FEWEST = 3
COUNTED = "calls"
"""Unit of evidence that counts calls or operations: neither their time nor their errors are meant."""


def curves_of(evidence: Evidence, windows: Sequence[WindowSummary]) -> tuple[Curve, ...]:
    """Return the evidence's curves over `windows` (its environment's, in time order); empty when too few."""
    own = [window for window in windows if window.service == evidence.service]
    made = _MAKERS.get(evidence.kind)
    drawn = tuple(made(evidence, own)) if made is not None else ()
    return tuple(curve for curve in drawn if len(curve.points) >= _FEWEST)


def unit_of(evidence: Evidence) -> str:
    """Return the unit of the curves' values."""
    if evidence.kind in {EvidenceKind.CALL, EvidenceKind.OPERATION}:
        return "" if evidence.unit == COUNTED else "%" if _is_about_errors(evidence) else "s"
    if evidence.kind is EvidenceKind.METRIC:
        return evidence.unit
    return ""


def level_of(evidence: Evidence, curves: Sequence[Curve]) -> float | None:
    """Return what was expected, where it is of the curves' kind.

    Bars count a window, not an incident; two sides of a call are each longer than the time between them.
    """
    if evidence.expected is None or len(curves) != 1 or curves[0].bars:
        return None
    if evidence.kind in {EvidenceKind.CALL, EvidenceKind.OPERATION} and _is_about_errors(evidence):
        return evidence.expected * 100
    return evidence.expected


def _is_about_errors(evidence: Evidence) -> bool:
    return evidence.unit not in {"s", COUNTED}


def _log(evidence: Evidence, windows: Sequence[WindowSummary]) -> Iterator[Curve]:
    def lines(window: WindowSummary) -> float:
        return float(sum(t.count for t in window.templates if t.template_id == evidence.subject))

    yield _per_window("lines in 10 s", windows, lines)


def _silence(evidence: Evidence, windows: Sequence[WindowSummary]) -> Iterator[Curve]:
    del evidence

    def traffic(window: WindowSummary) -> float:
        return float(window.lines + sum(operation.count for operation in window.operations))

    yield _per_window("log lines and spans in 10 s", windows, traffic)


def _per_window(
    label: str, windows: Sequence[WindowSummary], value: Callable[[WindowSummary], float]
) -> Curve:
    width = max((window.end - window.start for window in windows), default=SECOND)
    label = label.replace("10 s", f"{width // SECOND} s")
    points = tuple(Point(time=window.start, value=value(window)) for window in windows)
    return Curve(label=label, points=points, bars=width)


def _metric(evidence: Evidence, windows: Sequence[WindowSummary]) -> Iterator[Curve]:
    found = [s for window in windows for s in window.series if str(s.key) == evidence.subject]
    if found:
        yield Curve(label=found[0].key.name, points=_thinned(tuple(_samples(found))))


def _samples(found: Sequence[SeriesWindow]) -> Iterator[Point]:
    samples = [sample for series in found for sample in series.samples]
    if found[0].kind is not MetricKind.CUMULATIVE:
        yield from (Point(time=time, value=value) for time, value in samples)
        return
    for (before, was), (time, value) in pairwise(samples):
        if value >= was and time > before:  # a fall is a restart
            yield Point(time=time, value=(value - was) / ((time - before) / SECOND))


def _call(evidence: Evidence, windows: Sequence[WindowSummary]) -> Iterator[Curve]:
    callee, _, operation = evidence.subject.partition("|")
    if evidence.unit == COUNTED:
        yield _per_window(
            "calls in 10 s",
            windows,
            lambda w: float(sum(c.count for c in w.calls if c.callee == callee and c.operation == operation)),
        )
        return
    calls = [
        (window.start, call)
        for window in windows
        for call in window.calls
        if call.callee == callee and call.operation == operation
    ]
    if _is_about_errors(evidence):
        yield _failing((time, call.errors, call.count) for time, call in calls)
        return
    yield _median("as the caller saw it, median", ((time, call.caller_latency) for time, call in calls))
    yield _median(f"inside {callee}, median", ((time, call.callee_latency) for time, call in calls))


def _operation(evidence: Evidence, windows: Sequence[WindowSummary]) -> Iterator[Curve]:
    if evidence.unit == COUNTED:
        yield _per_window(
            "times in 10 s",
            windows,
            lambda w: float(sum(o.count for o in w.operations if o.operation == evidence.subject)),
        )
        return
    spans = [
        (window.start, operation)
        for window in windows
        for operation in window.operations
        if operation.operation == evidence.subject
    ]
    if _is_about_errors(evidence):
        yield _failing((time, span.errors, span.count) for time, span in spans)
        return
    yield _median("duration, median", ((time, span.duration) for time, span in spans))
    yield _median("own time, median", ((time, span.self_time) for time, span in spans))


def _failing(counts: Iterable[tuple[Nanos, int, int]]) -> Curve:
    points = tuple(Point(time=time, value=100 * errors / count) for time, errors, count in counts if count)
    return Curve(label="failed, % of calls", points=points)


def _median(label: str, sketches: Iterable[tuple[Nanos, Sketch]]) -> Curve:
    medians = ((time, sketch.quantile(0.5)) for time, sketch in sketches)
    return Curve(
        label=label,
        points=tuple(Point(time=time, value=value) for time, value in medians if value is not None),
    )


def _thinned(points: tuple[Point, ...]) -> tuple[Point, ...]:
    size = -(-len(points) // MOST)
    if size <= 1:
        return points
    groups = (points[first : first + size] for first in range(0, len(points), size))
    return tuple(
        Point(time=group[0].time, value=sum(p.value for p in group) / len(group)) for group in groups
    )


_MAKERS: dict[EvidenceKind, Callable[[Evidence, Sequence[WindowSummary]], Iterator[Curve]]] = {
    EvidenceKind.LOG: _log,
    EvidenceKind.METRIC: _metric,
    EvidenceKind.CALL: _call,
    EvidenceKind.OPERATION: _operation,
    EvidenceKind.SILENCE: _silence,
}
