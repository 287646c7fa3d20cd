"""Partial summaries of one window and service into one: what one over all records would have been.

Pure, associative and commutative, so that partial summaries may come from any source partition in any
order. Two things cannot be put together again: template pairs whose lines went to different parts, and
calls whose spans did; whoever splits keeps a trace in one part. The `total` of a series past
`MAX_SAMPLES`, and of amounts that were added up, is a sum of floats and therefore equal up to rounding only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import reduce
from typing import Any, TypedDict, TypeVar

import msgspec

from ingest.distribution import added
from ingest.events import ChangeEvent, MetricKind
from ingest.sketch import merged
from ingest.summary import (
    MAX_HISTOGRAMS,
    MAX_LINES,
    MAX_SAMPLES,
    MAX_SEQUENCES,
    CallWindow,
    CounterPoint,
    CounterWindow,
    Line,
    OperationWindow,
    PairCount,
    SequenceCount,
    SeriesWindow,
    TemplateCount,
    WindowSummary,
    sequence_rank,
)

_T = TypeVar("_T")


def merge(first: WindowSummary, second: WindowSummary) -> WindowSummary:
    """Return the summary of both parts' records; `ValueError` where they are not of one window."""
    if _identity(first) != _identity(second):
        raise ValueError(f"not the same window: {_identity(first)} and {_identity(second)}")
    return WindowSummary(
        environment=first.environment,
        service=first.service,
        start=first.start,
        end=first.end,
        templates=_joined(first.templates, second.templates, lambda t: t.template_id, _templates),
        pairs=_joined(first.pairs, second.pairs, lambda p: (p.first, p.second), _pairs),
        severities=_summed(first.severities, second.severities),
        series=joined_series(first.series, second.series),
        calls=_joined(first.calls, second.calls, lambda c: (c.callee, c.operation), _calls),
        operations=_joined(first.operations, second.operations, lambda o: o.operation, _operations),
        instances=tuple(sorted({*first.instances, *second.instances})),
        nodes=tuple(sorted({*first.nodes, *second.nodes})),
        changes=tuple(sorted((*first.changes, *second.changes), key=change_order)),
        late=first.late + second.late,
        rejected=first.rejected + second.rejected,
        counters=_joined(first.counters, second.counters, lambda c: c.key, _counters),
        renamed=tuple(sorted({*first.renamed, *second.renamed})),
        **_sequences(first, second),
    )


def change_order(change: ChangeEvent) -> tuple[Any, ...]:
    """Return the key that orders change events, the same whichever part they came from."""
    return (change.time, change.origin, change.kind, change.title, change.attributes)


class _Sequences(TypedDict):
    sequences: tuple[SequenceCount, ...]
    sequence_share: float


def _sequences(first: WindowSummary, second: WindowSummary) -> _Sequences:
    both = _joined(first.sequences, second.sequences, lambda s: s.key, _sequence)
    kept, share = kept_sequences(both, min(first.sequence_share, second.sequence_share))
    return {"sequences": kept, "sequence_share": share}


def _sequence(first: SequenceCount, second: SequenceCount) -> SequenceCount:
    counts = dict(first.counts)
    for template, count in second.counts:
        counts[template] = counts.get(template, 0) + count
    return SequenceCount(key=first.key, counts=tuple(sorted(counts.items())))


def kept_sequences(
    sequences: Sequence[SequenceCount], share: float = 1.0
) -> tuple[tuple[SequenceCount, ...], float]:
    """Return those below the largest share that leaves no more than there is room for, and that share.

    Shares are halved, so that the same keys are left out of window after window, not others in each.
    """
    share = kept_share([one.key for one in sequences], share)
    return tuple([one for one in sequences if share >= 1.0 or sequence_rank(one.key) < share]), share


def kept_share(keys: Collection[str], share: float = 1.0) -> float:
    """Return the largest share, `share` halved as often as it takes, that leaves no more keys than fit."""
    if share >= 1.0 and len(keys) <= MAX_SEQUENCES:
        return share
    ranks = [rank for key in keys if (rank := sequence_rank(key)) < share]
    while len(ranks) > MAX_SEQUENCES:
        share /= 2
        ranks = [rank for rank in ranks if rank < share]
    return share


def _identity(summary: WindowSummary) -> tuple[str, str, int, int]:
    return (summary.environment, summary.service, summary.start, summary.end)


def _joined(
    first: Iterable[_T], second: Iterable[_T], key: Callable[[_T], Any], join: Callable[[_T, _T], _T]
) -> tuple[_T, ...]:
    """Join items with the same key, and sort by it."""
    found = {key(item): item for item in first}
    for item in second:
        name = key(item)
        found[name] = join(found[name], item) if name in found else item
    return tuple(found[name] for name in sorted(found))


def _summed(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    return {number: first.get(number, 0) + second.get(number, 0) for number in sorted({*first, *second})}


def _templates(first: TemplateCount, second: TemplateCount) -> TemplateCount:
    """Join counts; of two texts for one id the more general stands, as it does in one Drain3 tree."""
    return TemplateCount(
        template_id=first.template_id,
        template=min(first.template, second.template, key=lambda text: (-text.count("<*>"), text)),
        count=first.count + second.count,
        severity_number=max(first.severity_number, second.severity_number),
        first=min(first.first, second.first),
        last=max(first.last, second.last),
        lines=tuple(sorted((*first.lines, *second.lines), key=line_order)[:MAX_LINES]),
    )


def line_order(line: Line) -> tuple[Any, ...]:
    """Return the key that orders sample lines, the same whichever part they came from."""
    return (line.time, line.origin, line.text, line.instance or "", line.trace_id or "")


def _pairs(first: PairCount, second: PairCount) -> PairCount:
    return PairCount(first=first.first, second=first.second, count=first.count + second.count)


def joined_series(first: Iterable[SeriesWindow], second: Iterable[SeriesWindow]) -> tuple[SeriesWindow, ...]:
    """Return the series of both, sorted; those of one key are one."""
    return _joined(first, second, lambda series: series.key, _series)


def _series(first: SeriesWindow, second: SeriesWindow) -> SeriesWindow:
    count = first.count + second.count
    samples = tuple(sorted((*first.samples, *second.samples)))
    whole = count <= MAX_SAMPLES
    return SeriesWindow(
        key=first.key,
        kind=min(first.kind, second.kind),
        unit=min(first.unit, second.unit),
        samples=samples if whole else samples[-1:],
        count=count,
        total=math.fsum(value for _, value in samples) if whole else first.total + second.total,
        minimum=min(first.minimum, second.minimum),
        maximum=max(first.maximum, second.maximum),
    )


def _counters(first: CounterWindow, second: CounterWindow) -> CounterWindow:
    return CounterWindow(
        key=first.key,
        kind=min(first.kind, second.kind),
        unit=min(first.unit, second.unit),
        points=kept_points(
            (*first.points, *second.points), first.count + second.count, min(first.kind, second.kind)
        ),
        count=first.count + second.count,
    )


def kept_points(points: Iterable[CounterPoint], count: int, kind: MetricKind) -> tuple[CounterPoint, ...]:
    """Return what is kept of `count` readings, of which `points` are still there, in order."""
    ordered = tuple(sorted(points, key=_point_order))
    histogram = any(point.distribution is not None for point in ordered)
    if count <= (MAX_HISTOGRAMS if histogram else MAX_SAMPLES):
        return ordered
    if kind is MetricKind.DELTA:
        return (reduce(_amounts, ordered),)
    return (ordered[0], ordered[-1])


def _amounts(first: CounterPoint, second: CounterPoint) -> CounterPoint:
    one, two = first.distribution, second.distribution
    return CounterPoint(
        time=max(first.time, second.time),
        value=first.value + second.value,
        start=min(first.start, second.start),
        distribution=None if one is None or two is None else added(one, two),
    )


def _point_order(point: CounterPoint) -> tuple[Any, ...]:
    distribution = b"" if point.distribution is None else msgspec.msgpack.encode(point.distribution)
    return (point.time, point.start, point.value, distribution)


def _calls(first: CallWindow, second: CallWindow) -> CallWindow:
    return CallWindow(
        callee=first.callee,
        operation=first.operation,
        count=first.count + second.count,
        errors=first.errors + second.errors,
        caller_latency=merged(first.caller_latency, second.caller_latency),
        callee_latency=merged(first.callee_latency, second.callee_latency),
    )


def _operations(first: OperationWindow, second: OperationWindow) -> OperationWindow:
    return OperationWindow(
        operation=first.operation,
        count=first.count + second.count,
        errors=first.errors + second.errors,
        entry=first.entry + second.entry,
        duration=merged(first.duration, second.duration),
        self_time=merged(first.self_time, second.self_time),
    )
