"""Detector: a series leaves the range it has moved in.

Each series has the median and the median deviation of its recent history, measured again as the history
moves; new values are scored on that scale for all series of a service at once. The scores are those of
PyOD's MAD (`detectors.metrics.mad`), without its traps: constants get a scale of their own, and values are
finite. A finding needs two windows in a row and is as strong as the weaker of them, for one value may be that
of a single slow request; durations are compared by their logarithms, since they vary by factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import Finding, anomaly, node_of, series_evidence, series_hit
from detectors.metrics.mad import NORMAL, fitted
from detectors.series import (
    SeriesState,
    comparable,
    needed,
    restored,
    smallest_scale,
    usual_peak,
    window_value,
)
from detectors.state import touch
from detectors.stateful import MAX_SERVICES, Stateful
from detectors.threshold import Runs, Threshold
from detectors.warmup import SERVICE_AGE, Warmup, widening
from ingest.record import SECOND
from ingest.summary import SeriesWindow, WindowSummary

NAME = "outliers"
VERSION = "2"
THRESHOLD = Threshold(value=8.0, consecutive=2, extreme=math.inf)
"""In modified z-scores, where 3.5 is a usual limit for one series; here thousands are watched."""
MAX_SERIES = 50_000

_DOUBT = 0.7
"""The threshold has room for what a dozen and a half samples leave open; fewer need more."""
_FIRST_FIT = 10
_REFIT = 30
"""New values after which a full history is fitted again."""
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
        self._threshold, self._max_series = threshold, max_series

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
            found.extend(
                self._judge(
                    summary, candidate, score, young or candidate.state.seen < needed(candidate.window)
                )
            )
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
            values = [value for value in comparable(state, window) if math.isfinite(value)]
            if values:
                candidates.append(
                    _Candidate(window=window, state=state, value=window_value(values), values=values)
                )
        return candidates

    def _scores(self, candidates: Sequence[_Candidate]) -> Sequence[float]:
        """Return the score of each candidate, signed by direction; 0 before it was first measured."""
        self._fit([candidate for candidate in candidates if _due(candidate.state)])
        return [
            NORMAL * (one.value - one.state.center) / one.state.scale if one.state.fitted else 0.0
            for one in candidates
        ]

    @staticmethod
    def _fit(candidates: Sequence[_Candidate]) -> None:
        """Measure the histories of those that are due, all of one length at once."""
        lengths: dict[int, list[_Candidate]] = {}
        for candidate in candidates:
            lengths.setdefault(len(candidate.state.ring), []).append(candidate)
        for alike in lengths.values():
            histories: NDArray[np.float64] = np.stack([one.state.history() for one in alike])
            centers, deviations = fitted(histories)
            for one, history, center, deviation in zip(
                alike, histories, centers.tolist(), deviations.tolist(), strict=True
            ):
                # A constant has no deviation; what means anything in its unit takes the place.
                one.state.center = center
                one.state.scale = max(
                    deviation,
                    smallest_scale(history, one.window),
                    usual_peak(history, center) * NORMAL / _TYPICAL_PEAK,
                )
                one.state.fitted = one.state.seen

    def _judge(
        self, summary: WindowSummary, candidate: _Candidate, score: float, learning: bool
    ) -> Sequence[Anomaly]:
        state = candidate.state
        # A scale that few samples tell is doubtful, and so is a score in it.
        size = abs(score) / max(1.0, _DOUBT * widening(state.seen - 1.0))
        outside = size >= self._threshold.value
        self._learn(candidate, outside=outside and not learning)
        streak = state.streak = state.streak + 1 if outside else 0
        both, state.before = min(size, state.before), size
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
            score=both if streak > 1 else size,
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


def _due(state: SeriesState) -> bool:
    """Say whether the history has moved so far that it is measured anew."""
    news = state.seen - state.fitted
    return state.seen >= _FIRST_FIT and news >= (
        _REFIT if state.full() else max(_FIRST_FIT, state.fitted // 4)
    )
