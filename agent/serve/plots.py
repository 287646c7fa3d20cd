"""Where things stand in the page's drawings: times and values in, coordinates out.

Pure. Every number returned is finite and lies within the drawing; templates only write them down. Text
in here is never drawn unescaped: templates escape it like all other text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from ingest.record import SECOND, Nanos

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_LARGEST = 1e100
"""Values beyond it are drawn as if they were this: their differences must stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A labelled place on an axis. `anchor` is the SVG text-anchor that keeps the label inside."""

    at: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Axis:
    """Time to x, over [left, right]. An empty span is widened to a second."""

    start: Nanos
    end: Nanos
    left: float
    right: float

    def x(self, time: Nanos) -> float:
        """Return the place of `time`, moved to the nearer edge when it lies outside."""
        share = (time - self.start) / max(self.end - self.start, SECOND)
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 1)

    def ticks(self, spacing: float) -> tuple[Tick, ...]:
        """Return round times at least `spacing` apart."""
        seconds = max(self.end - self.start, SECOND) / SECOND
        room = max((self.right - self.left) / spacing, 1.0)
        step = next((s for s in _STEPS if seconds / s <= room), None)
        if step is None:
            step = _STEPS[-1] * math.ceil(seconds / room / _STEPS[-1])
        first = -(-self.start // (step * SECOND)) * step * SECOND
        times = range(first, max(self.end, self.start) + 1, step * SECOND)
        return tuple(self._tick(time, step) for time in times)

    def _tick(self, time: Nanos, step: int) -> Tick:
        pattern = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%d %b"
        at = self.x(time)
        anchor = "start" if at - self.left < 20 else "end" if self.right - at < 20 else "middle"
        return Tick(at=at, label=f"{datetime.fromtimestamp(time // SECOND, UTC):{pattern}}", anchor=anchor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value at a time."""

    time: Nanos
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What is drawn of a subject. `bars` is how long each value counts (0: a line)."""

    label: str
    points: tuple[Point, ...]
    bars: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A curve as an SVG path."""

    label: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawn plot. `shade` is the incident, `onset` and `expected` are None outside the drawing."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    strokes: tuple[Stroke, ...]
    bars: tuple[Bar, ...]
    shade: Bar
    onset: float | None
    expected: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def chart(
    curves: Sequence[Curve],
    *,
    start: Nanos,
    end: Nanos,
    onset: Nanos,
    until: Nanos,
    unit: str = "",
    expected: float | None = None,
    width: float = 344.0,
    height: float = 132.0,
) -> Chart:
    """Draw curves over [start, end], shading [onset, until]; `expected` is a level to compare with."""
    left, right, top, bottom = 48.0, width - 6.0, 8.0, height - 20.0
    axis = Axis(start, end, left, right)
    values = [_bounded(p.value) for curve in curves for p in curve.points if not math.isnan(p.value)]
    level = None if expected is None or math.isnan(expected) else _bounded(expected)
    scale = Scale.over([*values, *([] if level is None else [level])], bottom, top)
    shade_left, shade_right = axis.x(onset), axis.x(max(until, onset))
    return Chart(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        strokes=tuple(
            Stroke(label=curve.label, path=_path(curve.points, axis, scale))
            for curve in curves
            if not curve.bars
        ),
        bars=tuple(bar for curve in curves if curve.bars for bar in _bars(curve, axis, scale, bottom)),
        shade=Bar(x=shade_left, y=top, width=round(shade_right - shade_left, 1), height=bottom - top),
        onset=axis.x(onset) if start <= onset <= end else None,
        expected=None if level is None else scale.y(level),
        x_ticks=axis.ticks(72.0),
        y_ticks=scale.ticks(unit),
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """Value to y. From zero where that does not flatten the curve."""

    low: float
    high: float
    bottom: float
    top: float

    @classmethod
    def over(cls, values: Sequence[float], bottom: float, top: float) -> Scale:
        """Return a scale that holds all values, with some room above."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        if 0 <= low <= 0.7 * high:
            low = 0.0
        if high <= low:
            high = low + (abs(low) * 0.1 or 1.0)
        return cls(low, high + (high - low) * 0.08, bottom, top)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.bottom - min(max(share, 0.0), 1.0) * (self.bottom - self.top), 1)

    def ticks(self, unit: str) -> tuple[Tick, ...]:
        """Return two to four labelled round levels."""
        step = _round_step((self.high - self.low) / 3)
        first = math.ceil(self.low / step) * step if step > 0 else self.low
        levels = [first + n * step for n in range(5) if first + n * step <= self.high]
        return tuple(
            Tick(at=self.y(level), label=quantity(level, unit), anchor="end")
            for level in dict.fromkeys(levels or [self.low])
        )


def _round_step(rough: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten, at least `rough`; 0 where numbers have no room for it."""
    if rough < 1e-300:
        return 0.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= rough), 10 * power)


def quantity(value: float, unit: str = "") -> str:
    """Return a value for people: three digits, with a unit of fitting size."""
    if not math.isfinite(value):
        return "–"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{_digits(value * 1e3)} ms" if abs(value) >= 1e-3 else f"{_digits(value * 1e6)} µs"
    if unit in {"By", "bytes"}:
        for prefix in ("", "Ki", "Mi", "Gi", "Ti"):
            if abs(value) < 1024 or prefix == "Ti":
                return f"{_digits(value)} {prefix}B"
            value /= 1024
    # UCUM writes what is counted in braces: the plot's legend says that already.
    plain = unit in {"", "1", "lines"} or unit.startswith("{")
    shown = "" if plain else f" {unit[:8]}"
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            size = {"k": 1e3}.get(suffix, limit)
            return f"{_digits(value / size)}{suffix}{shown}"
    return f"{_digits(value)}{shown}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 or abs(value) >= 1e6 else f"{value:.0f}"


def _bounded(value: float) -> float:
    return min(max(value, -_LARGEST), _LARGEST)


def _path(points: Sequence[Point], axis: Axis, scale: Scale) -> str:
    """Return path commands; where samples are missing the pen is lifted."""
    shown = [p for p in points if not math.isnan(p.value) and axis.start <= p.time <= axis.end]
    gaps = sorted(b.time - a.time for a, b in pairwise(shown))
    longest = 3 * gaps[len(gaps) // 2] if gaps else 0
    parts: list[str] = []
    for number, point in enumerate(shown):
        lifted = number == 0 or point.time - shown[number - 1].time > longest
        parts.append(f"{'M' if lifted else 'L'}{axis.x(point.time)} {scale.y(_bounded(point.value))}")
        if lifted:
            parts.append("h0")  # a lone sample shows as a dot
    return "".join(parts)


def _bars(curve: Curve, axis: Axis, scale: Scale, bottom: float) -> list[Bar]:
    made = []
    for point in curve.points:
        if not point.value > 0 or not axis.start <= point.time <= axis.end:
            continue
        x, y = axis.x(point.time), scale.y(_bounded(point.value))
        wide = max(axis.x(point.time + curve.bars) - x, 1.0)
        wide = min(wide - 0.4 if wide > 2 else wide, axis.right - x)
        made.append(Bar(x=x, y=y, width=round(wide, 1), height=round(bottom - y, 1)))
    return made
