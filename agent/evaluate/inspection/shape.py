"""How a recording's time is laid out on a page: without its gaps, and with room for the incident.

Pure. A recording may hold an hour of samples a minute apart, a minute of traces from another day and a fault
of three minutes; drawn to one scale nobody would see anything. So long gaps are cut out, each stretch keeps a
least width, and an incident that would be narrow is stretched. Every change of scale is a `Seam`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from agent.evaluate.inspection.samples import Times
from agent.serve.plots import Axis, Tick
from ingest.record import SECOND, Nanos

_LEAST = 0.07
"""Share of the width that every stretch gets."""
_FOCUS = 0.5
"""Share of the width that the incident and its surroundings get where they would get less."""
_MOST_STRETCHES = 6
_GAP = 0.12
"""Gaps shorter than this share of the covered time are drawn as they are."""

Span = tuple[Nanos, Nanos]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Times from `start` to `end`, drawn from `left` to `right` (0..1)."""

    start: Nanos
    end: Nanos
    left: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Where the scale changes (0..1); `cut` is how much time is left out there, 0 for a stretch only."""

    at: float
    cut: Nanos


@dataclass(frozen=True, slots=True)
class Layout:
    """Times to places between 0 and 1."""

    pieces: tuple[Piece, ...]

    @property
    def start(self) -> Nanos:
        return self.pieces[0].start

    @property
    def end(self) -> Nanos:
        return self.pieces[-1].end

    @property
    def seams(self) -> tuple[Seam, ...]:
        """Return the borders between pieces."""
        borders = pairwise(self.pieces)
        return tuple(Seam(at=b.left, cut=b.start - a.end) for a, b in borders)

    def places(self, times: Times) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the places of many times; those in a gap lie on its seam."""
        known = [edge for piece in self.pieces for edge in (piece.start, piece.end)]
        drawn = [edge for piece in self.pieces for edge in (piece.left, piece.right)]
        origin = self.start
        places = np.interp(times - origin, [edge - origin for edge in known], drawn)
        return np.minimum(places, 1.0)  # the widths' sum is one only nearly

    def place(self, time: Nanos) -> float:
        """Return the place of one time."""
        return float(self.places(np.array([time], dtype=np.int64))[0])

    def ticks(self, width: float, spacing: float) -> tuple[Tick, ...]:
        """Return labelled times on `width` pixels, at least `spacing` apart; the date where a day is cut."""
        found: list[Tick] = []
        days = len({piece.start // (86_400 * SECOND) for piece in self.pieces}) > 1
        for number, piece in enumerate(self.pieces):
            axis = Axis(piece.start, piece.end, piece.left * width, piece.right * width)
            ticks = list(axis.ticks(spacing)) if axis.right - axis.left > spacing else []
            stamp = datetime.fromtimestamp(piece.start // SECOND, UTC)
            if days and (number == 0 or self.pieces[number - 1].end // _DAY != piece.start // _DAY):
                ticks = [Tick(at=axis.left, label=f"{stamp:%d %b %H:%M}", anchor="start"), *ticks]
            elif not ticks and number and piece.start - self.pieces[number - 1].end > 0:
                ticks = [Tick(at=axis.left, label=f"{stamp:%H:%M}", anchor="start")]
            for tick in ticks:
                room = spacing * (1.5 if found and len(found[-1].label) > 8 else 1)
                if not found or tick.at - found[-1].at >= room:
                    found.append(tick)
        return tuple(_anchored(tick, width) for tick in found)


_DAY: Nanos = 86_400 * SECOND
_CLOCK = len("23:59:59")
_EDGE = 18.0


def _anchored(tick: Tick, width: float) -> Tick:
    """Keep a label inside the whole drawing; a date stands where its stretch begins."""
    dated = len(tick.label) > _CLOCK
    anchor = "start" if dated or tick.at < _EDGE else "end" if width - tick.at < _EDGE else "middle"
    return Tick(at=tick.at, label=tick.label, anchor=anchor)


def stretches(covered: Iterable[Span], margin: Nanos) -> list[Span]:
    """Return the times with telemetry, joined over gaps that are short beside the whole."""
    joined: list[Span] = []
    for start, end in sorted(covered):
        if joined and start <= joined[-1][1] + margin:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    total = sum(end - start for start, end in joined)
    while len(joined) > 1:
        gap, place = min((b[0] - a[1], n) for n, (a, b) in enumerate(pairwise(joined)))
        if gap > total * _GAP and len(joined) <= _MOST_STRETCHES:
            break
        joined[place : place + 2] = [(joined[place][0], joined[place + 1][1])]
    return joined


def layout(covered: Sequence[Span], incident: Span | None) -> Layout:
    """Return where times are drawn; `covered` is in order and not empty."""
    spans = [*covered]
    focus: list[bool] = [False] * len(spans)
    if incident is not None:
        spans, focus = _around(spans, incident)
    weights = _weights(spans, focus)
    pieces, left = [], 0.0
    for (start, end), weight in zip(spans, weights, strict=True):
        pieces.append(Piece(start=start, end=end, left=left, right=left + weight))
        left += weight
    return Layout(tuple(pieces))


def _around(spans: list[Span], incident: Span) -> tuple[list[Span], list[bool]]:
    """Cut out the incident's surroundings where drawn to scale it would be narrow."""
    total = sum(end - start for start, end in spans)
    lead = (incident[1] - incident[0]) // 2
    near = (incident[0] - lead, incident[1] + lead)
    if 2 * (incident[1] - incident[0]) >= total * _FOCUS:
        return spans, [False] * len(spans)
    cut: list[Span] = []
    focus: list[bool] = []
    for start, end in spans:
        borders = sorted({start, end, *(edge for edge in near if start < edge < end)})
        for a, b in pairwise(borders):
            cut.append((a, b))
            focus.append(near[0] <= a and b <= near[1])
    return cut, focus


def _weights(spans: Sequence[Span], focus: Sequence[bool]) -> list[float]:
    """Return each stretch's share of the width."""
    weights = np.array([max(end - start, SECOND) for start, end in spans], dtype=np.float64)
    weights /= weights.sum()
    chosen = np.array(focus)
    if chosen.any() and not chosen.all() and weights[chosen].sum() < _FOCUS:
        weights[chosen] *= _FOCUS / weights[chosen].sum()
        weights[~chosen] *= (1 - _FOCUS) / weights[~chosen].sum()
    weights = np.maximum(weights, min(_LEAST, 1 / len(weights)))
    return [float(weight) for weight in weights / weights.sum()]
