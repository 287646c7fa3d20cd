"""From raw samples to comparable values: differences of counters, one value a window, a bounded history.

History is kept as packed floats so that tens of thousands of series fit: dense series give at most one
value a window once the ring is full, so that it spans minutes, not seconds.
"""

from __future__ import annotations

import math
import re
import statistics
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.events import MetricKind
from ingest.record import SECOND, Nanos
from ingest.summary import SeriesWindow

RING = 120
"""Values kept: 20 min of one every 10 s, 2 h of one a minute."""
SAMPLES = 30
"""Samples until a series counts as known."""
SAMPLES_OF_DURATION = 18
"""Durations vary by factors that are much the same everywhere, so fewer tell what is odd; not of the slowest
of the calls that a service makes, which are few and come and go."""
_TAIL = re.compile(r"(?i)p?9\d+$|max(imum)?$")
"""Ends of names of what the slowest do."""
_WIDTH = 8
_RELATIVE = 0.02
_FACTOR = 0.1
"""Ten percent longer or shorter is nothing."""
_BUCKET = 0.7
_QUANTIZED = 0.3
"""Where so many values are the very same, they are bounds of buckets: the next is a factor off."""
_MOSTLY = 0.5
_DURATIONS = {"s": 1.0, "seconds": 1.0, "ms": 1e3, "milliseconds": 1e3, "us": 1e6, "ns": 1e9}
"""Units of durations, in parts of a second."""
_SHORTEST = 0.001
"""Seconds; shorter durations are all alike."""
_RATIO_UNITS = frozenset({"1", "ratio"})
_PERCENT_UNITS = frozenset({"%", "percent"})


@dataclass(slots=True)
class SeriesState:
    """What is known of one series. `center` and `scale` are those of the last fit."""

    ring: bytearray = field(default_factory=bytearray)
    seen: int = 0
    """Samples learned in all."""
    fitted: int = 0
    """`seen` at the last fit; 0 before the first."""
    center: float = 0.0
    scale: float = 0.0
    time: Nanos = 0
    raw: float = 0.0
    """Last raw sample and its time, to difference counters."""
    streak: int = 0
    """Windows in a row, with samples, whose value was an outlier."""
    before: float = 0.0
    """How far off the window before was."""
    held: float | None = None
    """An outlier that may yet turn out to be noise."""

    def learning(self) -> bool:
        """Return whether too few samples are known to page anyone."""
        return self.seen < SAMPLES

    def learn(self, value: float) -> None:
        """Keep a value, dropping the oldest beyond `RING`."""
        self.ring += struct.pack("<d", value)
        if len(self.ring) > RING * _WIDTH:
            del self.ring[: len(self.ring) - RING * _WIDTH]
        self.seen += 1

    def history(self) -> NDArray[np.float64]:
        """Return the kept values, oldest first."""
        return np.frombuffer(bytes(self.ring), dtype="<f8")

    def full(self) -> bool:
        """Return whether the ring drops a value for every one it takes."""
        return len(self.ring) >= RING * _WIDTH

    def forget(self) -> None:
        """Begin to learn anew: what was an anomaly is the normal level."""
        self.ring.clear()
        self.seen = self.fitted = self.streak = 0
        self.held = None


def comparable(state: SeriesState, window: SeriesWindow) -> list[float]:
    """Return the window's values as they are compared: rates of a counter, logarithms of durations."""
    values = _values(state, window)
    if _is_duration(window):
        shortest = _SHORTEST * _DURATIONS[window.unit]
        return [math.log(max(value, shortest)) for value in values]
    return values


def restored(value: float, window: SeriesWindow) -> float:
    """Return a compared value in the unit of the series (per second for counters)."""
    return math.exp(value) if _is_duration(window) else value


def _is_duration(window: SeriesWindow) -> bool:
    return window.unit in _DURATIONS and window.kind != MetricKind.CUMULATIVE


def _values(state: SeriesState, window: SeriesWindow) -> list[float]:
    if window.kind != MetricKind.CUMULATIVE:
        state.time = window.samples[-1][0]
        return [value for _, value in window.samples]
    rates: list[float] = []
    for time, value in window.samples:
        if state.time and time > state.time and value >= state.raw:
            rates.append((value - state.raw) / ((time - state.time) / SECOND))
        if time > state.time:
            # A fall is a restart: nothing can be said about the time in between.
            state.time, state.raw = time, value
    return rates


def needed(window: SeriesWindow) -> int:
    """Return how many samples a series must have shown before it may page anyone."""
    name = window.key.name
    soon = _is_duration(window) and (_TAIL.search(name) is None or "server" in name.lower())
    return SAMPLES_OF_DURATION if soon else SAMPLES


def window_value(values: list[float]) -> float:
    """Return the one value that stands for a window: the median, so that a single sample cannot shout."""
    return statistics.median(values)


def smallest_scale(history: NDArray[np.float64], window: SeriesWindow) -> float:
    """Return the least deviation that means anything for a series of this level and unit.

    A constant has no spread of its own: two percent of its level, a percent point, or what counting
    noise would make of it.
    """
    if _is_duration(window):
        same = int(np.count_nonzero(history == np.median(history)))
        return _BUCKET if same >= _QUANTIZED * len(history) else _FACTOR
    unit, kind = window.unit, window.kind
    level = float(np.max(np.abs(history)))
    floor = max(_RELATIVE * level, 1e-9)
    if unit in _PERCENT_UNITS:
        return max(floor, 1.0)
    counts = kind != MetricKind.CUMULATIVE and not unit.endswith("/s")
    whole = counts and _whole(history)
    if whole and unit not in _RATIO_UNITS:
        return max(floor, 1.0, 0.6745 * float(np.sqrt(np.median(np.abs(history)))))
    if unit in _RATIO_UNITS and level <= 1.0:
        return max(floor, 0.01)
    return max(floor, 0.02) if level == 0.0 else floor


def _whole(history: NDArray[np.float64]) -> bool:
    """Say whether values count things: whole ones, or now and then the middle of two of them."""
    halves = bool(np.all(2.0 * history == np.floor(2.0 * history)))
    return halves and float(np.mean(history == np.floor(history))) >= _MOSTLY


def usual_peak(history: NDArray[np.float64], center: float) -> float:
    """Return the deviation that the history reached more than once."""
    deviations = np.abs(history - center)
    return float(np.partition(deviations, -2)[-2]) if len(deviations) > 1 else 0.0
