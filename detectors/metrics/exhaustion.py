"""Detector: something is filling up and will be full within the horizon ("disk full in 43 min").

Only series whose bound is known are looked at (`capacity`). A warning needs a straight rise (`trend`) that
has covered a good part of what was left, lies above everything the series had reached before it, and holds
for two windows. What goes up and down again (load, caches, collectors) has been there before and is silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, EvidenceKind, Hit
from detectors.evidence import Finding, anomaly, node_of, number, plain_evidence
from detectors.metrics.capacity import Filling, fillings
from detectors.metrics.trend import STRETCHES, Forecast, forecast
from detectors.state import touch
from detectors.stateful import Stateful
from detectors.threshold import Runs
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

NAME = "exhaustion"
VERSION = "1"
HORIZON: Nanos = 3600 * SECOND
MAX_SERIES = 10_000

_KEPT = STRETCHES[0]
_EVERY: Nanos = 5 * SECOND
"""Samples closer together than this add nothing."""
_KNOWN = 24
"""Samples before a series may warn."""
_COVERED = 0.2
"""Part of what was left that the rise must have covered."""
_MOVED = 0.04
"""Part of the bound that it must have covered."""
_CONSECUTIVE = 2
_PEAK_FADE = 0.999
"""What is left of the highest level after 120 samples: days later it is still remembered."""
_HIGHEST = 10.0

SeriesId = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """A series that will be full within the horizon, as one window tells."""

    filling: Filling
    level: float
    """How full it is: 0 empty, 1 full."""
    forecast: Forecast


@dataclass(slots=True)
class _Filled:
    """One series: its latest samples as (seconds, how full: 0 empty, 1 full)."""

    times: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    seen: int = 0
    peak: float = 0.0
    """Highest level among samples that have left `levels`."""
    largest: float = 0.0
    """Most that ever was left: the whole, where only what is left is told."""
    streak: int = 0

    def add(self, time: float, level: float) -> None:
        """Keep a sample, the oldest gives way; late ones are dropped."""
        if self.times and time - self.times[-1] < _EVERY / SECOND:
            return
        self.times.append(time)
        self.levels.append(level)
        self.seen += 1
        if len(self.times) > 2 * _KEPT:
            self.peak = max(self.peak * _PEAK_FADE, *self.levels[:_KEPT])
            del self.times[:_KEPT], self.levels[:_KEPT]


@dataclass(slots=True)
class _State:
    series: dict[SeriesId, _Filled] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))


class Exhaustion(Stateful[_State]):
    """Warns of what will be full within the horizon."""

    name = NAME
    version = VERSION

    def __init__(self, horizon: Nanos = HORIZON, max_series: int = MAX_SERIES) -> None:
        super().__init__(_State)
        self._horizon, self._max_series = horizon / SECOND, max_series

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        return [self._warn(summary, one) for one in self.foresee(summary)]

    def foresee(self, summary: WindowSummary) -> Sequence[Foreseen]:
        """Return what the window says will be full, and learn from it: `observe` in numbers."""
        found: list[Foreseen] = []
        for filling in fillings(summary.series):
            key = (summary.environment, summary.service, str(filling.window.key))
            state = self._state.series.setdefault(key, _Filled())
            touch(self._state.series, key, self._max_series)
            for time, value in filling.window.samples:
                if math.isfinite(value):
                    state.add(time / SECOND, _level(state, filling, value))
            expected = self._expected(state)
            state.streak = state.streak + 1 if expected is not None else 0
            if expected is not None and state.streak >= _CONSECUTIVE:
                found.append(Foreseen(filling=filling, level=state.levels[-1], forecast=expected))
        return found

    def _expected(self, state: _Filled) -> Forecast | None:
        """Return when it will be full, if that is soon, sure and new."""
        if state.seen < _KNOWN or len(state.levels) < STRETCHES[-1]:
            return None
        latest = state.levels[-1]
        # Cheap, and true of nearly all series nearly always: not rising.
        if latest - state.levels[-STRETCHES[-1]] <= 0.0:
            return None
        found = forecast(state.times[-_KEPT:], state.levels[-_KEPT:], 1.0)
        if found is None or found.seconds > self._horizon:
            return None
        begun = latest - found.risen
        covered = found.risen / max(1.0 - begun, 1e-9)
        reached = max([state.peak, *self._earlier(state, found)], default=0.0)
        new = latest > reached + 0.25 * found.risen
        return found if new and covered >= _COVERED and found.risen >= _MOVED else None

    @staticmethod
    def _earlier(state: _Filled, found: Forecast) -> Sequence[float]:
        """Return the kept levels from before the rise."""
        begun = state.levels[-1] - found.risen
        first = next(
            (
                place
                for place in range(len(state.levels) - 1, -1, -1)
                if state.levels[place] <= begun + 0.05 * found.risen
            ),
            0,
        )
        return state.levels[: first + 1]

    def _warn(self, summary: WindowSummary, foreseen: Foreseen) -> Anomaly:
        filling, expected = foreseen.filling, foreseen.forecast
        window = filling.window
        key = (summary.environment, summary.service, str(window.key))
        run = self._state.runs.extend(key, summary.start, summary.end)
        score = min(self._horizon / max(expected.seconds, 1.0), _HIGHEST) * expected.confidence
        score = max(score, 1.0)
        when = duration(expected.seconds)
        between = f"between {duration(expected.soonest)} and {duration(expected.latest)}"
        evidence = plain_evidence(
            summary,
            EvidenceKind.METRIC,
            str(window.key),
            f"{window.key.name} of {window.key.instance or summary.service} is at "
            f"{number(100 * foreseen.level)} % and rising; full in about {when} ({between}), "
            f"the trend explains {number(100 * expected.confidence)} % of its movement.",
            label=str(window.key),
            score=score,
            expected=filling.bound,
            observed=window.last,
            unit=window.unit,
            instance=window.key.instance or None,
        )
        finding = Finding(
            detector=NAME,
            subject=str(window.key),
            direction=Direction.DOWN if filling.falls else Direction.UP,
            hit=Hit.SATURATION,
            score=score,
            threshold=1.0,
            reason=f"{window.key.name} of {summary.service} will be full in about {when}.",
            evidence=(evidence,),
            instance=window.key.instance or None,
        )
        return anomaly(summary.environment, summary.service, run, finding, node_of(summary, finding.instance))


def _level(state: _Filled, filling: Filling, value: float) -> float:
    if not filling.falls:
        return value / filling.bound
    whole = state.largest = max(state.largest, value, filling.bound)
    return 1.0 - value / whole if whole > 0 else 0.0


def duration(seconds: float) -> str:
    """Return a length of time for people: `50 s`, `43 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
