"""How strongly a track changed: its level before, its level in the incident, in units of its own variation.

Pure. The scale is a robust deviation with floors, widened where little is known of normal times, as suspects
are compared with too. Without an incident, the strangest minute stands in for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.inspection.samples import Times, Values
from agent.evaluate.inspection.tracks import Track
from agent.serve.plots import quantity
from ingest.record import Nanos

NOTABLE = 3.0
"""Units of variation from which a change is told."""
_CEILING = 60.0
_LONE = 3
"""Cells that must agree where there is no incident to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A track's change. `deviations` are its cells in units of ordinary variation, NaN where unknown."""

    track: Track
    before: float
    during: float
    partly: bool
    """The incident's usual level is not `during`: that is what its worst half comes to."""
    score: float
    """Signed, at most 60 either way; 0 where it cannot be told."""
    at: Nanos | None
    """When, where it is not an incident that tells."""
    deviations: Values

    @property
    def harm(self) -> float:
        """Return the score's size, less where the change is for the better."""
        better = self.track.worse * self.score < 0
        return abs(self.score) * (0.25 if better else 1.0)

    @property
    def words(self) -> str:
        """Return the change in words: `p95 45 ms → up to 4.1 s`."""
        unit = self.track.unit
        upto = ("up to " if self.score > 0 else "down to ") if self.partly else ""
        before, during = quantity(_round(self.before), unit), quantity(_round(self.during), unit)
        if unit.startswith("/"):
            before, during = before.removesuffix(f" {unit}"), during.replace(f" {unit}", unit)
        return f"{self.track.label} {before} → {upto}{during}"


def change(
    track: Track, normal: NDArray[np.bool_], during: NDArray[np.bool_] | None, starts: Times
) -> Change:
    """Compare a track's cells of `normal` times with those `during` the incident (None: there is none)."""
    values = track.values
    known = ~np.isnan(values)
    usual = values[known & normal]
    if not len(usual):
        return _unknown(track, during)
    center = float(np.median(usual))
    deviations = (values - center) / _scale(usual, center, track)
    if during is None:
        return _strangest(track, center, deviations, starts)
    there = values[known & during]
    if not len(there):
        return _unknown(track, during, center)
    far = np.sort(np.abs(there - center))[::-1][: max(1, (len(there) + 1) // 2)]
    worst = there[np.abs(there - center) >= far[-1]]
    level, median = float(np.mean(worst)), float(np.median(there))
    partly = abs(median - center) < 0.5 * abs(level - center)
    score = float(np.clip((level - center) / _scale(usual, center, track), -_CEILING, _CEILING))
    return Change(
        track=track,
        before=center,
        during=level if partly else median,
        partly=partly,
        score=score,
        at=None,
        deviations=deviations,
    )


def _scale(usual: Values, center: float, track: Track) -> float:
    deviation = 1.4826 * float(np.median(np.abs(usual - center)))
    low, high = (float(edge) for edge in np.quantile(usual, (0.02, 0.98)))
    scale = max(deviation, (high - low) / 4, 0.05 * abs(center), track.floor / 2, 1e-9)
    return scale * (1 + 3 / len(usual))


def _strangest(track: Track, center: float, deviations: Values, starts: Times) -> Change:
    known = np.nan_to_num(deviations)
    agreeing = np.minimum.reduce([np.abs(np.roll(known, shift)) for shift in range(_LONE)])
    agreeing[: _LONE - 1] = 0
    place = int(np.argmax(agreeing)) if len(agreeing) else 0
    sign = np.sign(known[place]) if len(known) else 0.0
    return Change(
        track=track,
        before=center,
        during=float(track.values[place]) if len(known) else center,
        partly=False,
        score=float(np.clip(sign * agreeing[place], -_CEILING, _CEILING)) if len(known) else 0.0,
        at=int(starts[place]) if len(known) else None,
        deviations=deviations,
    )


def _unknown(track: Track, during: NDArray[np.bool_] | None, before: float = np.nan) -> Change:
    there = track.values if during is None else track.values[during]
    there = there[~np.isnan(there)]
    return Change(
        track=track,
        before=before,
        during=float(np.median(there)) if len(there) else np.nan,
        partly=False,
        score=0.0,
        at=None,
        deviations=np.full(len(track.values), np.nan),
    )


def _round(value: float) -> float:
    return 0.0 if abs(value) < 1e-12 else value
