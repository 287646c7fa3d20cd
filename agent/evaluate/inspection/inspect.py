"""`faultline inspect`: a recording in, everything that its page shows out.

Blocks on the disk. Memory does not grow with a recording's length (counts, sketches and thinned samples), and
the result depends on its content alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.data import TRUTH, DataError, json_lines
from agent.evaluate.inspection.bins import WIDTHS
from agent.evaluate.inspection.compare import Sides, cell_seconds, compared, operations
from agent.evaluate.inspection.gather import Gathered, gather
from agent.evaluate.inspection.lines import Template
from agent.evaluate.inspection.report import Mark, Report, ServiceReport, Told
from agent.evaluate.inspection.samples import Series
from agent.evaluate.inspection.shape import Span, layout, stretches
from agent.evaluate.inspection.tallies import LEVELS, ServiceTally
from agent.evaluate.inspection.tracks import Grid
from ingest.decoders.times import parse_time
from ingest.record import SECOND, Nanos
from ingest.recordings import SIGNALS, Recording, RecordingError

_MOST_CELLS = 300
_FINEST = 130
"""Bins of logs and spans on a page: with more, a bin holds too little to mean anything."""
_FEWEST, _ENOUGH = 24, 8
"""Bins stay this many, however few requests one holds; else they are widened until one holds enough."""


def inspect_recording(folder: Path, tell: Callable[[str], None]) -> Report:
    """Return what a recording shows; raises `RecordingError` where there is none or nothing in it."""
    recording = Recording(folder)
    gathered = gather(recording, tell)
    tell("comparing")
    series = gathered.samples.series()
    covered = _covered(gathered, series)
    if not covered:
        raise RecordingError(f"{folder}: no line of logs, metrics or spans could be read{_why(gathered)}")
    grid = _grid(gathered, covered)
    sides = _sides(gathered, grid)
    marks = _marks(recording.case, gathered)
    services = sorted(
        (_service(name, tally, series.get(name, []), gathered, grid, sides, marks)
         for name, tally in gathered.tallies.services.items()),
        key=lambda service: (-service.strength, service.name),
    )  # fmt: skip
    entry = _truth_line(folder, recording.id)
    phases = gathered.phases
    return Report(
        id=recording.id,
        system=str(recording.case.get("system") or ""),
        symptom=str(recording.case.get("symptom") or ""),
        signals=dict(gathered.read.counts),
        notes=tuple(_notes(recording.case, gathered, grid)),
        truth=_told(entry),
        quiet=entry is not None and entry.get("root_cause") is None,
        incident=phases.incident,
        baseline=phases.baseline,
        layout=layout(covered, phases.incident),
        grid=grid,
        marks=marks,
        services=tuple(services),
    )


def _covered(gathered: Gathered, series: Mapping[str, list[Series]]) -> list[Span]:
    """Return the stretches with telemetry, with bins widened to what a page can show of them."""
    all_series = [one for mine in series.values() for one in mine]
    intervals = [one.interval for one in all_series]
    usual = int(np.median(intervals)) if intervals else 0
    bins = gathered.bins
    if not bins.occupied:
        while usual > bins.width and bins.step + 1 < len(WIDTHS):
            bins.widen()
    bins.settle(_FINEST)
    while bins.next_count >= _FEWEST and gathered.tallies.thin(_ENOUGH):
        bins.widen()
    sampled = _ticks(all_series, max(usual, bins.width))
    while True:
        spans = [(n * bins.width, (n + 1) * bins.width) for n in bins.occupied]
        found = stretches([*spans, *sampled], 3 * max(bins.width, usual))
        cells = sum(end - start for start, end in found) // bins.width
        if cells <= _MOST_CELLS or bins.step + 1 == len(WIDTHS):
            return found
        bins.widen()


def _ticks(series: list[Series], usual: Nanos) -> list[Span]:
    """Return the times in which any series has a sample, each as long as samples usually stand."""
    numbers = {int(number) for one in series for number in np.unique(one.times // usual)}
    return [(number * usual, (number + 1) * usual) for number in sorted(numbers)]


def _grid(gathered: Gathered, covered: list[Span]) -> Grid:
    cell = gathered.bins.width
    numbers = sorted({n for start, end in covered for n in range(start // cell, -(-end // cell))})
    services = gathered.tallies.services.values()
    return Grid(
        starts=np.array([number * cell for number in numbers], dtype=np.int64),
        cell=cell,
        spans=frozenset(number for tally in services for number in tally.requests),
        logs=frozenset(number for tally in services for number in tally.lines),
        failures=gathered.tallies.outcomes,
    )


def _sides(gathered: Gathered, grid: Grid) -> Sides:
    middles = grid.starts + grid.cell // 2
    incident = gathered.phases.incident
    during = None
    if incident is not None:
        during = _within(middles, [incident])
        if not during.any():  # shorter than a cell
            during = (grid.starts < incident[1]) & (grid.starts + grid.cell > incident[0])
    normal = {}
    for signal in SIGNALS:
        listed = _within(middles, gathered.phases.baseline.get(signal, ()))
        outside = np.ones(len(middles), dtype=np.bool_) if during is None else ~during
        normal[signal] = listed & outside if (listed & outside).any() else outside
    return Sides(normal=normal, during=during)


def _within(middles: NDArray[np.int64], spans: Any) -> NDArray[np.bool_]:
    found = np.zeros(len(middles), dtype=np.bool_)
    for start, end in spans:
        found |= (middles >= start) & (middles < end)
    return found


def _service(
    name: str,
    tally: ServiceTally,
    series: list[Series],
    gathered: Gathered,
    grid: Grid,
    sides: Sides,
    marks: tuple[Mark, ...],
) -> ServiceReport:
    found = compared(tally, series, grid, sides)
    incident = sides.during is not None
    nothing = np.zeros(len(grid.starts), dtype=np.bool_)
    during = sides.during if sides.during is not None else nothing
    lengths = {
        signal: (cell_seconds(grid, sides.normal[signal], known), cell_seconds(grid, during, known))
        for signal, known in (("spans", grid.spans), ("logs", grid.logs))
    }
    none = [0] * len(LEVELS)
    minutes = grid.cell / (60 * SECOND)
    before, after = (int(length * SECOND) for length in lengths["logs"])
    templates = gathered.lines.told(name, before, after, incident=incident)
    return ServiceReport(
        name=name,
        strength=found.strength + _complaining(templates),
        changes=found.changes,
        resources=found.resources,
        metrics=found.metrics,
        series=len(series),
        levels=tuple(
            grid.each(grid.logs, lambda n, place=level: tally.lines.get(n, none)[place] / minutes)  # type: ignore[misc]
            for level in range(len(LEVELS))
        )
        if tally.lines
        else (),
        templates=templates,
        operations=operations(tally, *lengths["spans"]),
        happened=tuple(mark for mark in marks if mark.service == name),
    )


def _complaining(templates: Sequence[Template]) -> float:
    """Return what warnings and errors that were never logged before add to a service's strength."""
    return sum(0.5 * math.log1p(t.during) for t in templates if t.what == "new" and t.severe)


def _marks(case: Mapping[str, Any], gathered: Gathered) -> tuple[Mark, ...]:
    """Return change events and the case's own marks, each happening once; a mark knows more than an event."""
    told = list(_case_marks(case))
    for name, tally in gathered.tallies.services.items():
        for event in tally.changes:
            if not any(m.service == name and abs(m.time - event.time) < 2 * SECOND for m in told):
                told.append(Mark(time=event.time, what=f"{event.kind}: {event.title}", service=name))
    return tuple(sorted(told, key=lambda mark: (mark.time, mark.service, mark.what)))


def _case_marks(case: Mapping[str, Any]) -> Iterator[Mark]:
    listed = case.get("marks")
    for item in listed if isinstance(listed, list) else ():
        time = parse_time(item.get("time")) if isinstance(item, dict) else None
        if time is not None:
            yield Mark(
                time=time,
                what=str(item.get("what") or "something happened"),
                service=str(item.get("service") or ""),
                harmless=item.get("harmless") is True,
            )


def _truth_line(folder: Path, identity: str) -> dict[str, Any] | None:
    """Return the recording's line of the `truth.jsonl` beside it."""
    path = folder.resolve().parent / TRUTH
    try:
        lines = list(json_lines(path)) if path.is_file() else []
    except DataError:
        return None  # somebody else's file by that name: there is still a recording to show
    return next((item for _, item in lines if str(item.get("id")) in {identity, folder.resolve().name}), None)


def _told(entry: Mapping[str, Any] | None) -> Told | None:
    cause = entry.get("root_cause") if entry else None
    if not isinstance(cause, dict) or entry is None:
        return None
    return Told(
        service=str(cause.get("service") or ""),
        fault=str(cause.get("fault") or ""),
        mechanism=str(cause.get("mechanism") or ""),
        signal=str(cause.get("metric_or_code") or ""),
        postmortem=str(entry.get("postmortem") or ""),
    )


def _notes(case: Mapping[str, Any], gathered: Gathered, grid: Grid) -> Iterator[str]:
    listed = case.get("notes")
    yield from (str(note) for note in listed) if isinstance(listed, list) else ()
    if grid.spans and not grid.failures:
        yield "Its spans do not say whether they failed: failures show in logs and metrics only."
    for reason, count in sorted(gathered.read.refused.items()):
        yield f"{count:,} of {reason.replace(': ', ' could not be read: ')}"
    yield from gathered.read.cut
    if gathered.samples.dropped:
        yield f"{gathered.samples.dropped:,} samples of further series are not shown: there are too many."


def _why(gathered: Gathered) -> str:
    reasons = [f"{count} of {reason}" for reason, count in sorted(gathered.read.refused.items())]
    return f" ({', '.join([*reasons, *gathered.read.cut])})" if reasons or gathered.read.cut else ""
