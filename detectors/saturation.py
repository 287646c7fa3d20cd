"""Detector: a bounded resource runs near its end, which it never came near to before.

Only series that have an end are looked at: percentages, and shares of one. A value counts near the end, when
it also lies far above all that was seen; how far is told by few samples already, because for a resource with
an end the size of a jump means the same everywhere. Two samples in a row must show it, a minute at most apart
from a third of one. What was found is not learned; what stands for half an hour is normal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import Finding, anomaly, node_of, series_evidence
from detectors.state import touch
from detectors.stateful import Stateful
from detectors.threshold import Runs, Threshold
from detectors.warmup import widening
from ingest.events import MetricKind
from ingest.record import SECOND
from ingest.summary import SeriesWindow, WindowSummary

NAME = "saturation"
VERSION = "1"
THRESHOLD = Threshold(value=4.0, consecutive=2, extreme=math.inf)
"""In normal deviations."""
MAX_SERIES = 20_000

_NEAR = 0.75
"""Share of what there is from which on a resource counts as nearly used up."""
_HALF = 0.5
"""Share from which on it is on its way there."""
_KEPT = 60
_PRIOR = 0.3
_PRIOR_SAMPLES = 6
"""How much the use of a resource varies (its logarithm), taken for granted like this many samples."""
_LEAST = 0.01
_STAYING = re.compile(r"mem|heap|disk|fs|cache|swap|storage|buffer", re.IGNORECASE)
"""What fills up and then stays full serves most of its owners well; to wake somebody takes another sign."""
_ALONE = 1.8
_BOUNDS = {"%": 100.0, "percent": 100.0, "1": 1.0, "ratio": 1.0}
"""Units that say where a series ends."""
_FREE = ("free", "available", "idle", "success", "hit", "headroom")
"""Words of names whose high values are good."""


@dataclass(slots=True)
class _Series:
    logs: list[float] = field(default_factory=list)
    streak: int = 0


@dataclass(slots=True)
class _State:
    series: dict[tuple[str, str, str], _Series] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))


class Saturation(Stateful[_State]):
    """Flags bounded series that come near their end for the first time."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD, max_series: int = MAX_SERIES) -> None:
        super().__init__(_State)
        self._threshold, self._max_series = threshold, max_series

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        found: list[Anomaly] = []
        for window in summary.series:
            bound = bound_of(window)
            if bound is None:
                continue
            key = (summary.environment, summary.service, str(window.key))
            known = self._state.series.setdefault(key, _Series())
            touch(self._state.series, key, self._max_series)
            found.extend(self._judge(summary, window, known, bound))
        return found

    def _judge(
        self, summary: WindowSummary, window: SeriesWindow, known: _Series, bound: float
    ) -> Sequence[Anomaly]:
        # Of many samples in one window the least counts: all of it must have been near the end.
        numbers = [value for _, value in window.samples if math.isfinite(value)]
        value = numbers[-1] if window.count == 1 and numbers else window.minimum
        if not math.isfinite(value) or not math.isfinite(window.mean):
            return ()
        used = max(value / bound, _LEAST)
        score = _score(known.logs, used)
        if _STAYING.search(window.key.name):
            score = min(score, _ALONE * self._threshold.value)
        if score < self._threshold.value:
            known.streak = 0
            known.logs = [*known.logs[-(_KEPT - 1) :], math.log(max(window.mean / bound, _LEAST))]
            return ()
        known.streak += 1
        if used < _NEAR or not self._threshold.reached(score, known.streak):
            return ()
        key = (summary.environment, summary.service, str(window.key))
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            known.logs, known.streak = [], 0
            return ()
        evidence = series_evidence(
            summary,
            window,
            expected=math.exp(_median(known.logs)) * bound,
            observed=value,
            score=score,
            known=len(known.logs),
        )
        finding = Finding(
            detector=NAME,
            subject=str(window.key),
            direction=Direction.UP,
            hit=Hit.SATURATION,
            score=score,
            threshold=self._threshold.value,
            reason=f"{window.key.name} of {summary.service} is near its end, which it never was before.",
            evidence=(evidence,),
            instance=window.key.instance or None,
        )
        node = node_of(summary, finding.instance)
        return (anomaly(summary.environment, summary.service, run, finding, node),)


def bound_of(window: SeriesWindow) -> float | None:
    """Return where a series ends by its unit, None where it has no end or its end is where it should be."""
    bound = _BOUNDS.get(window.unit)
    name = window.key.name.lower()
    if bound is None or window.kind is not MetricKind.GAUGE or any(word in name for word in _FREE):
        return None
    # Beyond the end of its unit it is no share: some CPU percentages are of one core of many.
    return bound if window.minimum >= 0.0 and window.maximum <= 1.5 * bound else None


def _score(logs: Sequence[float], used: float) -> float:
    """Return how many normal deviations a share lies above the history, more the nearer the end; else 0."""
    if len(logs) < 2 or used < _HALF:
        return 0.0
    rise = math.log(used) - max(_median(logs), sorted(logs)[-2])
    middle = _median(logs)
    freedom = len(logs) - 1 + _PRIOR_SAMPLES
    squares = sum((log - middle) ** 2 for log in logs)
    unit = math.sqrt((squares + _PRIOR_SAMPLES * _PRIOR * _PRIOR) / freedom)
    doubt = widening(freedom) * math.sqrt(1.0 + 1.0 / len(logs))
    return rise / (unit * doubt) * (1.0 + min(1.0, max(0.0, (used - _NEAR) / (1.0 - _NEAR))))


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
