"""Detector: a series leaves the range it has moved in. The only module that knows PyOD.

Each series has a PyOD MAD detector fitted to its recent history and fitted again as the history moves;
new values are put on the fitted scale and scored by PyOD for all series of a service at once. PyOD's
traps are kept out: constants get a scale of their own, values are finite, and its import (seconds)
happens when the detector is constructed. A finding needs two windows in a row; durations are compared
by their logarithms, since they vary by factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import Finding, anomaly, node_of, series_evidence, series_hit
from detectors.series import (
    SeriesState,
    comparable,
    restored,
    smallest_scale,
    usual_peak,
    window_value,
)
from detectors.state import touch
from detectors.stateful import MAX_SERVICES, Stateful
from detectors.threshold import Runs, Threshold
from detectors.warmup import SERVICE_AGE, Warmup
from ingest.record import SECOND
from ingest.summary import SeriesWindow, WindowSummary

NAME = "outliers"
VERSION = "1"
THRESHOLD = Threshold(value=8.0, consecutive=2, extreme=math.inf)
"""In PyOD's modified z-scores, where 3.5 is a usual limit for one series; here thousands are watched."""
MAX_SERIES = 50_000

_FIRST_FIT = 10
_REFIT = 30
"""New values after which a full history is fitted again."""
_MODIFIED = 0.6745
"""What PyOD multiplies with, so that normal noise has a deviation of 1."""
_TYPICAL_PEAK = 3.0

SeriesId = tuple[str, str, str]
"""Environment, service, series."""


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], Warmup] = field(default_factory=dict)
    series: dict[SeriesId, SeriesState] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))
    dropped: int = 0


@dataclass(slots=True)
class _Candidate:
    """A series with a value to be judged."""

    window: SeriesWindow
    state: SeriesState
    value: float
    values: list[float]


class Outliers(Stateful[_State]):
    """Flags outliers per series with PyOD's MAD."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD, max_series: int = MAX_SERIES) -> None:
        super().__init__(_State)
        from pyod.models.mad import MAD

        self._threshold, self._max_series = threshold, max_series
        self._fitted: Any = MAD()
        self._unit: Any = MAD()
        # Two points one unit around zero: what it scores afterwards is on the unit scale.
        self._unit.fit(np.array([[-1.0], [1.0]]))

    @property
    def dropped(self) -> int:
        """Series forgotten because the limit was reached."""
        return self._state.dropped

    def learning_series(self) -> tuple[int, int]:
        """Return how many series are being learned, and how many there are."""
        return sum(state.learning() for state in self._state.series.values()), len(self._state.series)

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        if not summary.series:
            return ()
        key = (summary.environment, summary.service)
        warmup = self._state.services.setdefault(key, Warmup(first=summary.start))
        touch(self._state.services, key, MAX_SERVICES)
        candidates = self._candidates(summary)
        scores = self._scores(candidates)
        found: list[Anomaly] = []
        young = summary.start - warmup.first < SERVICE_AGE
        for candidate, score in zip(candidates, scores, strict=True):
            found.extend(self._judge(summary, candidate, score, young or candidate.state.learning()))
        warmup.saw()
        return found

    def _candidates(self, summary: WindowSummary) -> list[_Candidate]:
        candidates: list[_Candidate] = []
        for window in summary.series:
            key = (summary.environment, summary.service, str(window.key))
            state = self._state.series.get(key)
            if state is None:
                state = self._state.series[key] = SeriesState()
            self._state.dropped += touch(self._state.series, key, self._max_series)
            values = comparable(state, window)
            if values:
                candidates.append(
                    _Candidate(window=window, state=state, value=window_value(values), values=values)
                )
        return candidates

    def _scores(self, candidates: Sequence[_Candidate]) -> Sequence[float]:
        """Return PyOD's score of each candidate, signed by direction; 0 before its first fit."""
        for candidate in candidates:
            self._fit(candidate)
        known = [candidate for candidate in candidates if candidate.state.fitted]
        if not known:
            return [0.0] * len(candidates)
        column = np.array([[(one.value - one.state.center) / one.state.scale] for one in known])
        magnitudes: NDArray[np.float64] = self._unit.decision_function(column)
        signed = iter(np.copysign(magnitudes, column[:, 0]).tolist())
        return [next(signed) if candidate.state.fitted else 0.0 for candidate in candidates]

    def _fit(self, candidate: _Candidate) -> None:
        state = candidate.state
        news = state.seen - state.fitted
        if state.seen < _FIRST_FIT or news < (_REFIT if state.full() else max(_FIRST_FIT, state.fitted // 4)):
            return
        history = state.history()
        # A constant has no deviation, and PyOD divides by it; the scale below takes its place.
        with np.errstate(all="ignore"):
            self._fitted.fit(history.reshape(-1, 1))
        state.center = float(self._fitted.median_)
        state.scale = max(
            float(self._fitted.median_diff_),
            smallest_scale(history, candidate.window),
            usual_peak(history, state.center) * _MODIFIED / _TYPICAL_PEAK,
        )
        state.fitted = state.seen

    def _judge(
        self, summary: WindowSummary, candidate: _Candidate, score: float, learning: bool
    ) -> Sequence[Anomaly]:
        state = candidate.state
        size = abs(score)
        outside = size >= self._threshold.value
        self._learn(candidate, outside=outside and not learning)
        streak = state.streak = state.streak + 1 if outside else 0
        if not self._threshold.reached(size, streak):
            return ()
        key = (summary.environment, summary.service, str(candidate.window.key))
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            state.forget()
            return ()
        evidence = series_evidence(
            summary,
            candidate.window,
            expected=restored(state.center, candidate.window),
            observed=restored(candidate.value, candidate.window),
            score=size,
            known=len(state.history()),
        )
        finding = Finding(
            detector=NAME,
            subject=str(candidate.window.key),
            direction=Direction.UP if score > 0 else Direction.DOWN,
            hit=series_hit(candidate.window.key.name) if score > 0 else Hit.OTHER,
            score=size,
            threshold=self._threshold.value,
            reason=f"{candidate.window.key.name} of {summary.service} is outside its usual range.",
            evidence=(evidence,),
            learning=learning,
            instance=candidate.window.key.instance or None,
        )
        node = node_of(summary, finding.instance)
        return (anomaly(summary.environment, summary.service, run, finding, node),)

    def _learn(self, candidate: _Candidate, *, outside: bool) -> None:
        """Learn what is inside; a lone outlier is learned once a normal value shows that it was noise."""
        state = candidate.state
        if outside:
            state.held = candidate.value if state.streak == 0 else None
            return
        if state.held is not None:
            state.learn(state.held)
            state.held = None
        for value in [candidate.value] if state.full() else candidate.values:
            state.learn(value)
