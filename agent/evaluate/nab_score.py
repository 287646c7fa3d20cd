"""The scoring formula of the Numenta Anomaly Benchmark, written from its published description. Pure.

Lavin and Ahmad, *Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark*, ICMLA
2015; Ahmad, Lavin, Purdy and Agha, *Unsupervised real-time anomaly detection for streaming data*,
Neurocomputing 2017. A window of labelled data counts once, by its earliest detection: the sooner, the
nearer to 1. A detection outside costs the more the farther it is from the window before it. The sum over
all series, at the one threshold that is best for the detector, is put on a scale where finding nothing is
0 and finding every window at its first sample without a false alarm is 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALSE_POSITIVE = 0.11
"""Weight of a false alarm in the standard profile; a found and a missed window weigh 1."""
_PROBATION = 0.15
_PROBATION_ROWS = 750
_FAR = 3.0
"""Window lengths behind a window after which a false alarm costs all it can."""

Scores = NDArray[np.float64]
Window = tuple[int, int]
"""First and last row of a labelled anomaly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a detection at each row of one series is worth, outside of windows less than nothing."""

    worth: Scores
    window: NDArray[np.int64]
    """Number of the row's window, -1 outside."""
    first: int
    """First row that counts; those before are the detector's to learn from."""
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one threshold gave over all series."""

    score: float
    threshold: float
    found: int
    windows: int
    false_alarms: int


def position(relative: float) -> float:
    """Return the scaled sigmoid of a place relative to a window: near 1 at -1, 0 at its end, to -1 after."""
    return -1.0 if relative > _FAR else 2.0 / (1.0 + math.exp(5.0 * relative)) - 1.0


def probation(rows: int) -> int:
    """Return how many rows at the beginning do not count."""
    return min(math.floor(_PROBATION * rows), _PROBATION_ROWS)


def weights(rows: int, windows: Sequence[Window]) -> Weights:
    """Return the worth of a detection at each of `rows`; windows are in order and do not overlap."""
    worth, window = np.full(rows, -FALSE_POSITIVE), np.full(rows, -1, dtype=np.int64)
    most = position(-1.0)
    for number, (left, right) in enumerate(windows):
        width = right - left + 1
        for row in range(left, right + 1):
            worth[row] = position(-(right - row + 1) / width) / most
        window[left : right + 1] = number
        following = windows[number + 1][0] if number + 1 < len(windows) else rows
        for row in range(right + 1, following):
            worth[row] = FALSE_POSITIVE * position((row - right) / max(width - 1, 1))
    return Weights(worth=worth, window=window, first=probation(rows), windows=len(windows))


def outcome(series: Sequence[Weights], scores: Sequence[Scores], threshold: float) -> Outcome:
    """Return what detecting wherever a score reaches `threshold` gives over all series."""
    gained, found, false_alarms = 0.0, 0, 0
    for one, values in zip(series, scores, strict=True):
        rows = np.flatnonzero(values[one.first :] >= threshold) + one.first
        outside = rows[one.window[rows] < 0]
        gained += float(one.worth[outside].sum())
        false_alarms += len(outside)
        for number in range(one.windows):
            inside = rows[one.window[rows] == number]
            if len(inside):
                # Beside its worth, a found window takes back the 1 that a missed one costs.
                gained += float(one.worth[inside].max()) + 1.0
                found += 1
    windows = sum(one.windows for one in series)
    return Outcome(
        score=100.0 * gained / (2.0 * windows) if windows else 0.0,
        threshold=threshold,
        found=found,
        windows=windows,
        false_alarms=false_alarms,
    )


def best(series: Sequence[Weights], scores: Sequence[Scores]) -> Outcome:
    """Return the outcome at the one threshold that scores highest over all series together.

    Every distinct score is tried, from the highest down; none at all (an infinite threshold) is 0.
    """
    height, worth, window = _ranked(series, scores)
    reached: dict[int, float] = {}
    gained = most = 0.0
    threshold = math.inf
    for row in range(len(height)):
        number = int(window[row])
        if number < 0:
            gained += worth[row]
        else:
            gain = worth[row] + 1.0
            gained += max(gain - reached.get(number, 0.0), 0.0)
            reached[number] = max(gain, reached.get(number, 0.0))
        last = row + 1 == len(height) or height[row + 1] != height[row]
        if last and gained > most:
            most, threshold = gained, float(height[row])
    return outcome(series, scores, threshold)


def _ranked(
    series: Sequence[Weights], scores: Sequence[Scores]
) -> tuple[list[float], list[float], list[int]]:
    """Return score, worth and window of all rows that count, highest score first; windows of all series."""
    heights, worths, numbers, before = [], [], [], 0
    for one, values in zip(series, scores, strict=True):
        inside = one.window[one.first :]
        heights.append(values[one.first :])
        worths.append(one.worth[one.first :])
        numbers.append(np.where(inside < 0, -1, inside + before))
        before += one.windows
    if not heights:
        return [], [], []
    height = np.concatenate(heights)
    order = np.argsort(-height, kind="stable")
    return (
        height[order].tolist(),
        np.concatenate(worths)[order].tolist(),
        np.concatenate(numbers)[order].tolist(),
    )
