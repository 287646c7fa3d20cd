"""When a rising series will reach its bound, and how sure that is: a line through its latest samples. Pure.

The longest stretch that is straight decides. Its slope is the median of slopes between its halves' samples
(after Theil 1950 and Sen 1968, with pairs half a stretch apart), their spread gives the interval; how close
the samples keep to the line gives the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRETCHES = (120, 60, 30, 16, 8, 5)
"""Numbers of samples that are tried, longest first."""
_STRAIGHT = 0.95
"""Share of the samples' variance that the line must explain."""
_BENT = 4.0
"""Standard errors from which a bend is one."""
_STEADY = 0.5
"""The latest third must rise at least this share of the whole's slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The bound is reached in `seconds` (between `soonest` and `latest`) if nothing changes."""

    seconds: float
    soonest: float
    latest: float
    confidence: float
    """0..1: how much of the movement is the trend."""
    risen: float
    """What the straight stretch has covered, in units of the series."""


def forecast(times: Sequence[float], values: Sequence[float], bound: float) -> Forecast | None:
    """Return when the samples (seconds, oldest first) reach `bound` from below; None without a trend."""
    for length in STRETCHES:
        if len(values) >= length:
            found = _line(np.array(times[-length:]), np.array(values[-length:]), bound)
            if found is not None:
                return found
    return None


def _line(times: NDArray[np.float64], values: NDArray[np.float64], bound: float) -> Forecast | None:
    half = len(values) // 2
    passed = times[half:] - times[: len(times) - half]
    if passed.min() <= 0:
        return None
    slopes = (values[half:] - values[: len(values) - half]) / passed
    slope = float(np.median(slopes))
    if slope <= 0:
        return None
    residuals = values - slope * (times - times[-1])
    level = float(np.median(residuals[-max(3, len(values) // 3) :]))
    spread = float(np.var(values))
    explained = 1.0 - float(np.mean((residuals - np.median(residuals)) ** 2)) / spread if spread > 0 else 0.0
    third = len(values) // 3
    latest = (values[-1] - values[-1 - third]) / (times[-1] - times[-1 - third])
    if explained < _STRAIGHT or latest < _STEADY * slope or _settles(times, values, bound):
        return None
    slow, fast = (float(q) for q in np.quantile(slopes, (0.1, 0.9)))
    left = max(bound - level, 0.0)
    return Forecast(
        seconds=left / slope,
        soonest=left / max(fast, slope),
        latest=left / max(min(slow, slope), 0.25 * slope),
        confidence=explained,
        risen=slope * float(times[-1] - times[0]),
    )


def _settles(times: NDArray[np.float64], values: NDArray[np.float64], bound: float) -> bool:
    """Say whether the rise bends down, beyond chance, so much that it would end below the bound."""
    length = float(times[-1] - times[0])
    place = (times - times[-1]) / length
    design = np.stack([place**2, place, np.ones_like(place)], axis=1)
    (bend, rise, level), *_ = np.linalg.lstsq(design, values, rcond=None)
    if bend >= 0:
        return False
    residuals = values - design @ np.array([bend, rise, level])
    variance = float(residuals @ residuals) / max(len(values) - 3, 1)
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]))
    highest = level - rise**2 / (4 * bend)
    return bool(-bend > _BENT * error + 1e-9 * abs(level) and highest < bound)
