"""From tracks and series to places in drawings: strips of the overview, small curves, plots with scales.

Pure. Everything here is numbers and our own class names; text stays text and is escaped by the template.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.evaluate.inspection.samples import Times, Values
from agent.evaluate.inspection.shape import Layout, Span
from agent.serve.plots import Bar, Scale, Tick, quantity
from agent.serve.text import clock
from ingest.record import SECOND, Nanos

WIDTH, HEIGHT = 344.0, 118.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 340.0, 6.0, 98.0
_POINTS = 300
_SHORT = frozenset({"s", "ms", "%", "B", "KiB", "MiB", "GiB", "TiB", "Mi"})
"""Units that fit beside a scale; others stand in the caption."""
_BYTES = ("KiB", "MiB", "GiB", "TiB")
_HOVERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve; `css` is its class. `interval` is the usual time between its points."""

    label: str
    css: str
    times: Times
    values: Values
    interval: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A drawn curve."""

    label: str
    css: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hover:
    """A column of the plot and what it tells the pointer."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawn plot. `bars` are (class, rectangle); `normal` and `incident` are shades."""

    strokes: tuple[Stroke, ...]
    bars: tuple[tuple[str, Bar], ...]
    incident: Bar | None
    normal: tuple[Bar, ...]
    seams: tuple[float, ...]
    marks: tuple[tuple[float, str, bool], ...]
    capacity: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    hovers: tuple[Hover, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all plots of a service share: times, shades and marks."""

    layout: Layout
    incident: Span | None
    marks: tuple[tuple[Nanos, str, bool], ...]


def plot(
    lines: Sequence[Line],
    frame: Frame,
    *,
    unit: str,
    normal: Sequence[Span],
    capacity: float | None = None,
    stacked: bool = False,
    from_zero: bool = False,
) -> Plot:
    """Draw lines, or bars on each other, with scales."""
    lines, unit, capacity = _in_fitting_bytes(lines, unit, capacity)
    values = _stack(lines) if stacked else [line.values for line in lines]
    finite = [v[np.isfinite(v)] for v in values]
    levels = [float(edge) for v in finite if len(v) for edge in (v.min(), v.max())]
    shown = capacity if capacity is not None and levels and max(levels) > capacity / 4 else None
    scale = Scale.over(
        [*levels, *([0.0] if stacked or from_zero else []), *([shown] if shown else [])], BOTTOM, TOP
    )
    places = frame.layout
    strokes = [
        Stroke(label=one.label, css=one.css, path=path(one, places, scale, LEFT, RIGHT)) for one in lines
    ]
    return Plot(
        strokes=() if stacked else tuple(strokes),
        bars=tuple(_bars(lines, values, places, scale)) if stacked else (),
        incident=_shade(frame.incident, places, TOP, BOTTOM) if frame.incident else None,
        normal=tuple(_shade(span, places, BOTTOM, BOTTOM + 3) for span in normal),
        seams=tuple(round(_x(seam.at), 1) for seam in places.seams if seam.cut),
        marks=tuple((round(_x(places.place(at)), 1), text, harmless) for at, text, harmless in frame.marks),
        capacity=None if shown is None else scale.y(shown),
        x_ticks=_moved(places.ticks(RIGHT - LEFT, 62.0)),
        y_ticks=scale.ticks(unit if unit in _SHORT else ""),
        hovers=tuple(_hovers(lines, places, unit)),
    )


def _in_fitting_bytes(
    lines: Sequence[Line], unit: str, capacity: float | None
) -> tuple[Sequence[Line], str, float | None]:
    """Return lines of bytes in a unit whose round numbers are round on the scale too."""
    if unit not in {"By", "bytes"}:
        return lines, unit, capacity
    highest = max(
        (float(np.nanmax(line.values)) for line in lines if np.isfinite(line.values).any()), default=0.0
    )
    power = min(max(math.floor(math.log(max(highest, 1.0), 1024)), 0), len(_BYTES))
    factor = 1024.0**power
    scaled = [replace(line, values=line.values / factor) for line in lines]
    return scaled, _BYTES[power - 1] if power else "B", None if capacity is None else capacity / factor


def path(line: Line, layout: Layout, scale: Scale, left: float, right: float) -> str:
    """Return path commands; where samples are missing or time is cut the pen is lifted."""
    known = np.isfinite(line.values) & (line.times >= layout.start) & (line.times <= layout.end)
    times, values = _thinned(line.times[known], line.values[known])
    if not len(times):
        return ""
    xs = left + layout.places(times) * (right - left)
    widest = 1.6 * max(line.interval, int(np.median(np.diff(times))) if len(times) > 1 else 0)
    lifted = np.concatenate([[True], np.diff(times) > widest])
    parts = []
    for number, (x, value) in enumerate(zip(xs, values, strict=True)):
        parts.append(
            f"{'M' if lifted[number] else 'L'}{x:.1f} {scale.y(float(np.clip(value, -1e100, 1e100)))}"
        )
        if lifted[number]:
            parts.append("h.1")  # a lone sample shows as a dot
    return "".join(parts)


def spark(line: Line, layout: Layout) -> str:
    """Return a small curve without scale on 100 by 24, from zero where that does not flatten it."""
    finite = line.values[np.isfinite(line.values)]
    levels = [float(finite.min()), float(finite.max())] if len(finite) else []
    return path(line, layout, Scale.over(levels, 23.0, 1.0), 0.0, 100.0)


def _thinned(times: Times, values: Values) -> tuple[Times, Values]:
    """Keep of many points the lowest and highest of each group: a spike must not vanish."""
    size = -(-2 * len(times) // _POINTS)
    if size <= 2:
        return times, values
    kept: list[int] = []
    for first in range(0, len(times), size):
        group = values[first : first + size]
        kept += sorted({first + int(np.argmin(group)), first + int(np.argmax(group))})
    return times[kept], values[kept]


def _stack(lines: Sequence[Line]) -> list[Values]:
    total = np.zeros_like(lines[0].values) if lines else np.zeros(0)
    stacked = []
    for line in lines:
        total = total + np.nan_to_num(line.values)
        stacked.append(total)
    return stacked


def _bars(
    lines: Sequence[Line], tops: Sequence[Values], layout: Layout, scale: Scale
) -> list[tuple[str, Bar]]:
    made = []
    for number, line in enumerate(lines):
        xs = _xs(layout, line.times)
        ends = _xs(layout, line.times + line.interval)
        for place in np.flatnonzero(np.nan_to_num(line.values) > 0):
            x, below = float(xs[place]), float(tops[number - 1][place]) if number else 0.0
            y = scale.y(float(tops[number][place]))
            wide = max(float(ends[place]) - x, 0.8)
            bar = Bar(x=round(x, 1), y=y, width=round(wide, 1), height=round(scale.y(below) - y, 1))
            made.append((line.css, bar))
    return made


def _hovers(lines: Sequence[Line], layout: Layout, unit: str) -> list[Hover]:
    edges = np.linspace(0, 1, _HOVERS + 1)
    columns: list[list[str]] = [[] for _ in range(_HOVERS)]
    first: dict[int, Nanos] = {}
    for line in lines:
        known = np.isfinite(line.values)
        places = np.clip(
            np.searchsorted(edges, layout.places(line.times[known]), "right") - 1, 0, _HOVERS - 1
        )
        for column in np.unique(places):
            chosen = places == column
            value = float(np.mean(line.values[known][chosen]))
            start = int(line.times[known][chosen][0])
            first[int(column)] = min(first.get(int(column), start), start)
            columns[int(column)].append(f"{line.label} {quantity(value, unit)}")
    wide = (RIGHT - LEFT) / _HOVERS
    return [
        Hover(x=round(LEFT + n * wide, 1), width=round(wide, 1), text=f"{clock(first[n])}  {', '.join(told)}")
        for n, told in enumerate(columns)
        if told
    ]


def _shade(span: Span, layout: Layout, top: float, bottom: float) -> Bar:
    left, right = _x(layout.place(span[0])), _x(layout.place(span[1]))
    return Bar(x=round(left, 1), y=top, width=round(max(right - left, 0.5), 1), height=bottom - top)


def _x(place: float) -> float:
    return LEFT + place * (RIGHT - LEFT)


def _xs(layout: Layout, times: Times) -> Values:
    return LEFT + layout.places(times) * (RIGHT - LEFT)


def _moved(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    return tuple(Tick(at=round(tick.at + LEFT, 1), label=tick.label, anchor=tick.anchor) for tick in ticks)


def steps(cell: Nanos) -> str:
    """Return how long a cell is, for people."""
    return f"{cell // SECOND} s" if cell < 120 * SECOND else f"{cell // (60 * SECOND)} min"
