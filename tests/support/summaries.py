"""Partial summaries of one window, drawn with every member: what tests of merging begin with."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ingest.events import MetricKind
from ingest.merge import change_order, kept_points, kept_sequences, line_order
from ingest.record import SECOND, Origin
from ingest.sketch import sketch
from ingest.summary import (
    MAX_HISTOGRAMS,
    MAX_LINES,
    MAX_SAMPLES,
    CallWindow,
    CounterPoint,
    CounterWindow,
    Line,
    OperationWindow,
    PairCount,
    SequenceCount,
    SeriesKey,
    SeriesWindow,
    TemplateCount,
    WindowSummary,
)
from tests.support.histograms import explicit
from tests.support.telemetry import T0, change

WINDOW = T0 - T0 % (10 * SECOND)
EIGHTHS = st.integers(-80, 80).map(lambda n: n / 8)
"""Values whose sums are exact, so that grouping cannot show in the last bit."""


@st.composite
def summaries(draw: st.DrawFn) -> WindowSummary:
    """Draw a part of the window: every member of a summary has something in it, or may have."""
    return WindowSummary(environment="default", service="cart", **draw(members()))


@st.composite
def members(draw: st.DrawFn) -> dict[str, Any]:
    """Draw all members but those that name the service."""
    sequences, share = draw(_sequences())
    names = sorted(draw(st.sets(st.sampled_from("abc"))))
    small = st.integers(0, 3)
    return {
        "start": WINDOW,
        "end": WINDOW + 10 * SECOND,
        "templates": tuple(draw(_templates(name)) for name in names),
        "pairs": tuple(
            PairCount(first=first, second="tpl_a", count=draw(st.integers(1, 5))) for first in names
        ),
        "severities": draw(st.dictionaries(st.sampled_from([0, 9, 17]), st.integers(1, 4))),
        "series": (draw(_series()),),
        "calls": (draw(_calls()),),
        "operations": (draw(_operations()),),
        "instances": tuple(sorted(draw(st.sets(st.sampled_from("xyz"))))),
        "nodes": tuple(sorted(draw(st.sets(st.tuples(st.sampled_from("xyz"), st.sampled_from("nm")))))),
        "changes": tuple(sorted(draw(st.lists(_CHANGES, max_size=2)), key=change_order)),
        "late": draw(small),
        "rejected": draw(small),
        "counters": (draw(_counters()),),
        "sequences": sequences,
        "sequence_share": share,
        "renamed": tuple(sorted(draw(st.sets(_RENAMED)))),
    }


_RENAMED = st.tuples(st.sampled_from(["tpl_x", "tpl_y"]), st.sampled_from(["tpl_a", "tpl_b"]))
_CHANGES = st.builds(
    change, st.integers(0, 9), st.sampled_from(["deploy 7", "flag"]), offset=st.integers(0, 3)
)
_SKETCHES = st.lists(st.floats(0, 10), max_size=4).map(sketch)


@st.composite
def _templates(draw: st.DrawFn, name: str) -> TemplateCount:
    count = draw(st.integers(1, 5))
    times = draw(st.lists(st.integers(0, 9), min_size=1, max_size=min(count, MAX_LINES)))
    origins = st.builds(Origin, topic=st.just("logs"), partition=st.integers(0, 1), offset=st.integers(0, 9))
    lines = [
        Line(
            time=time,
            origin=draw(origins),
            text=draw(st.sampled_from(["a 1", "a 2"])),
            instance=draw(st.sampled_from([None, "x"])),
            trace_id=draw(st.sampled_from([None, "t"])),
        )
        for time in times
    ]
    return TemplateCount(
        template_id=f"tpl_{name}",
        template=draw(st.sampled_from(["a b", "a <*>", "b <*>"])),
        count=count,
        severity_number=draw(st.integers(0, 24)),
        first=draw(st.integers(0, 9)),
        last=draw(st.integers(10, 19)),
        lines=tuple(sorted(lines, key=line_order)),
    )


@st.composite
def _series(draw: st.DrawFn) -> SeriesWindow:
    count = draw(st.sampled_from([1, 3, 40]))
    samples = tuple(sorted((draw(st.integers(0, 9)), draw(EIGHTHS)) for _ in range(count)))
    return SeriesWindow(
        key=SeriesKey(name="cpu"),
        kind=draw(st.sampled_from([MetricKind.GAUGE, MetricKind.DELTA])),
        unit=draw(st.sampled_from(["", "s"])),
        samples=samples,
        count=count,
        total=sum(value for _, value in samples),
        minimum=min(value for _, value in samples),
        maximum=max(value for _, value in samples),
    )


@st.composite
def _calls(draw: st.DrawFn) -> CallWindow:
    return CallWindow(
        callee=draw(st.sampled_from(["pay", "db"])),
        operation="op",
        count=draw(st.integers(1, 9)),
        errors=draw(st.integers(0, 2)),
        caller_latency=draw(_SKETCHES),
        callee_latency=draw(_SKETCHES),
    )


@st.composite
def _operations(draw: st.DrawFn) -> OperationWindow:
    return OperationWindow(
        operation=draw(st.sampled_from(["GET /", "POST /"])),
        count=draw(st.integers(1, 9)),
        errors=draw(st.integers(0, 2)),
        entry=draw(st.integers(0, 2)),
        duration=draw(_SKETCHES),
        self_time=draw(_SKETCHES),
    )


@st.composite
def _sequences(draw: st.DrawFn) -> tuple[tuple[SequenceCount, ...], float]:
    """Draw what some keys have; where they are too many, what a part would have kept of them."""
    keys = sorted(draw(st.sets(st.sampled_from("abcdefghij"))))
    counted = st.dictionaries(st.sampled_from(["tpl_a", "tpl_b"]), st.integers(1, 3), min_size=1)
    return kept_sequences(
        [SequenceCount(key=key, counts=tuple(sorted(draw(counted).items()))) for key in keys],
        draw(st.sampled_from([1.0, 0.5, 0.25])),
    )


@st.composite
def _counters(draw: st.DrawFn) -> CounterWindow:
    """Draw readings of counters or histograms, few or more than are kept apart."""
    kind = draw(st.sampled_from([MetricKind.CUMULATIVE, MetricKind.DELTA]))
    name = draw(st.sampled_from(["scalar", "histogram"]))
    count = draw(st.sampled_from([1, 3, MAX_HISTOGRAMS, MAX_SAMPLES]))
    values = draw(st.lists(EIGHTHS, min_size=count, max_size=count))
    points = [
        CounterPoint(
            time=draw(st.integers(0, 9)),
            value=value,
            start=draw(st.integers(0, 2)),
            distribution=explicit([abs(value)]) if name == "histogram" else None,
        )
        for value in values
    ]
    key = SeriesKey(name=f"{name}.{kind}")
    return CounterWindow(key=key, kind=kind, unit="", points=kept_points(points, count, kind), count=count)
