"""Latency model: quantiles on a log scale against their own recent history, robust to odd windows.

Calls of thin operations are pooled until there are enough to tell a quantile; scores are in deviations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from detectors.warmup import widening
from ingest.sketch import Sketch, merged

KEPT = 90
MINIMUM = 2
"""Samples before the model says anything."""

ENOUGH = 20
"""Calls that make a sample at once."""
ENOUGH_FOR_TAIL = 10
"""Fewer have no p90 but their slowest."""
PATIENCE = 2
"""Windows after which fewer (but at least `FEW`) must do."""
FEW = 3
LONGEST = 6
"""Windows after which fewer still are let go of."""

_FLOOR = 0.1
"""Ten percent up or down is never news."""
_PRIOR = 0.2
_PRIOR_SAMPLES = 6
"""Latencies of most operations vary by a fifth; taken for granted like this many samples."""
_SHORT_HISTORY = 0.8
"""One in a million is 4.75 normal deviations, a finding of latency six units."""
_SMALLEST = 1e-4
"""Seconds; below this, differences are the clock's."""


@dataclass(slots=True)
class Pool:
    """Calls collected until they make a sample."""

    sketch: Sketch = field(default_factory=Sketch)
    windows: int = 0

    def add(self, sketch: Sketch) -> Sketch | None:
        """Add a window's calls; return the pooled ones once they are enough, and begin anew."""
        self.sketch = merged(self.sketch, sketch)
        self.windows += 1
        count = self.sketch.count
        if count < (ENOUGH if self.windows < PATIENCE else FEW) and self.windows < LONGEST:
            return None
        pooled = self.sketch
        self.sketch, self.windows = Sketch(), 0
        return pooled if count >= FEW else None


@dataclass(slots=True)
class LatencyModel:
    """Recent values of one quantile (seconds), kept as logarithms."""

    logs: list[float] = field(default_factory=list)

    def usual(self) -> float:
        """Return the median of the history in seconds, 0 when empty."""
        return math.exp(_median(self.logs)) if self.logs else 0.0

    def score_one(self, value: float) -> float:
        """Return deviations above (below: negative) the history's median; 0 while too little is known."""
        if len(self.logs) < MINIMUM:
            return 0.0
        middle = _median(self.logs)
        deviations = sorted(abs(log - middle) for log in self.logs)
        # The second largest deviation of an hour of noise lies within 2.5 units.
        unit = max(_FLOOR, 1.4826 * _median(deviations), deviations[-2] / 2.5)
        freedom = len(self.logs) - 1 + _PRIOR_SAMPLES
        squares = sum(deviation * deviation for deviation in deviations)
        shrunk = math.sqrt((squares + _PRIOR_SAMPLES * _PRIOR * _PRIOR) / freedom)
        unit = max(unit, shrunk * widening(freedom) * _SHORT_HISTORY)
        return (_log(value) - middle) / unit

    def learn_one(self, value: float) -> None:
        """Learn one sample."""
        self.logs = [*self.logs[-(KEPT - 1) :], _log(value)]


def _log(value: float) -> float:
    return math.log(max(value, _SMALLEST))


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
