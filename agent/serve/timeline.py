"""The timeline's geometry: a lane a service, anomalies as bars, changes as diamonds, marks across all.

Pure, as `plots`. Lanes are in the order given; what does not fit is counted, not dropped in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.serve.plots import Axis, Bar, Tick
from ingest.record import Nanos

MAX_LANES = 14
_MAX_ROWS = 4
_ROW = 12.0
_GAP = 3.0
_NARROW = 600.0
_AXIS = 24.0
_MARKS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something on a lane from `start` to `end`; `kind` decides its colour, `title` shows on hover."""

    service: str
    start: Nanos
    end: Nanos
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A time that concerns all lanes."""

    time: Nanos
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBar:
    """A happening's bar."""

    bar: Bar
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diamond:
    """A change."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A service's strip."""

    service: str
    y: float
    height: float
    label_y: float
    bars: tuple[DrawnBar, ...]
    diamonds: tuple[Diamond, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The drawing. `hidden` services had no room."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    narrow: bool
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]
    hidden: int


def timeline(
    services: Sequence[str],
    anomalies: Sequence[Happening],
    changes: Sequence[Happening],
    marks: Sequence[Mark],
    *,
    start: Nanos,
    end: Nanos,
    width: float = 1040.0,
) -> Timeline:
    """Draw what happened in [start, end] on a lane for each of `services`."""
    narrow = width < _NARROW
    left, right = (2.0, width - 2.0) if narrow else (168.0, width - 8.0)
    axis = Axis(start, end, left, right)
    top = _MARKS
    lanes: list[Lane] = []
    below = top
    for service in services[:MAX_LANES]:
        lane = _lane(
            service,
            [h for h in anomalies if h.service == service],
            [h for h in changes if h.service == service],
            axis,
            below,
            narrow,
        )
        lanes.append(lane)
        below += lane.height
    return Timeline(
        width=width,
        height=below + _AXIS,
        left=left,
        right=right,
        top=top,
        bottom=below,
        narrow=narrow,
        lanes=tuple(lanes),
        ticks=axis.ticks(84.0),
        marks=_marks(marks, axis),
        hidden=max(0, len(services) - MAX_LANES),
    )


def _lane(
    service: str,
    anomalies: Sequence[Happening],
    changes: Sequence[Happening],
    axis: Axis,
    y: float,
    narrow: bool,
) -> Lane:
    head = 17.0 if narrow else 6.0
    ends: list[float] = []
    bars: list[DrawnBar] = []
    for one in sorted(anomalies, key=lambda h: (h.start, h.end, h.title)):
        x = min(axis.x(one.start), axis.right - 3.0)
        wide = max(axis.x(one.end) - x, 3.0)
        row = next((n for n, taken in enumerate(ends) if taken <= x), len(ends))
        row = min(row, _MAX_ROWS - 1)
        if row == len(ends):
            ends.append(0.0)
        ends[row] = max(ends[row], x + wide)
        place = Bar(x=x, y=y + head + row * (_ROW + _GAP), width=round(wide, 1), height=_ROW)
        bars.append(DrawnBar(bar=place, kind=one.kind, title=one.title))
    rows = max(len(ends), 1)
    height = head + rows * (_ROW + _GAP) + 4.0
    middle = y + head + _ROW / 2
    diamonds = tuple(Diamond(x=axis.x(one.start), y=middle, title=one.title) for one in changes)
    return Lane(
        service=service,
        y=y,
        height=height,
        label_y=y + 12.5 if narrow else middle + 4.0,
        bars=tuple(bars),
        diamonds=diamonds,
    )


def _marks(marks: Sequence[Mark], axis: Axis) -> tuple[Tick, ...]:
    """Return marks inside the axis; one too close to its predecessor keeps its line without a label."""
    drawn: list[Tick] = []
    free = axis.left
    for mark in sorted(marks, key=lambda m: m.time):
        if not axis.start <= mark.time <= axis.end:
            continue
        at = axis.x(mark.time)
        reach = 6.5 * len(mark.label)
        anchor = "end" if at + reach > axis.right else "start"
        begins = at - reach if anchor == "end" else at
        fits = begins >= free
        drawn.append(Tick(at=at, label=mark.label if fits else "", anchor=anchor))
        if fits:
            free = at + (reach if anchor == "start" else 0.0) + 6.0
    return tuple(drawn)
