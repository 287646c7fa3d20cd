"""Detector: a series does what it has not done before: a spike, another level, another time of day.

Each window gives one value a series, and all series of a service are judged at once (`bank`). From which
score on somebody is told is not fixed: one budget an environment sets it so that about `alarms_a_day` come
of all of its series (`threshold.Budget`). A finding lasts while the value stays away from where it was, for
half an hour at most: then it is the normal one. What is found does not enter what is taken for usual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import Finding, anomaly, node_of, series_evidence, series_hit
from detectors.metrics.bank import Bank, Look
from detectors.metrics.columns import Flags
from detectors.series import SeriesState, comparable, restored, smallest_scale, window_value
from detectors.state import freeze, thaw, touch
from detectors.stateful import MAX_SERVICES, Stateful
from detectors.threshold import ACCEPT_AFTER, Budget, Run, Runs
from detectors.warmup import SERVICE_AGE, Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import SeriesWindow, WindowSummary

NAME = "surprise"
VERSION = "3"
ALARMS_A_DAY = 2.0
MAX_SERIES = 50_000

_KNOWN = 120
"""Values of a series before it may page."""
_MEANINGFUL = 3.0
"""A change must be this many times what means anything in the unit of the series."""
_STAYS = 0.5
"""A finding goes on while the value keeps this part of its way from where it was."""
_LONGEST = 20_000

SeriesId = tuple[str, str, str]


@dataclass(slots=True)
class _Held:
    """A finding that goes on: where the series was, how far it went, and how strange that was."""

    usual: float
    away: float
    score: float
    limit: float
    since: Nanos
    until: Nanos


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], Warmup] = field(default_factory=dict)
    rows: dict[SeriesId, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    samples: dict[SeriesId, SeriesState] = field(default_factory=dict)
    held: dict[SeriesId, _Held] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))
    bank: bytes = b""


class Surprise(Stateful[_State]):
    """Flags what is new in a series, within a budget of alarms."""

    name = NAME
    version = VERSION

    def __init__(self, alarms_a_day: float = ALARMS_A_DAY, max_series: int = MAX_SERIES) -> None:
        super().__init__(_State)
        self._alarms_a_day, self._max_series = alarms_a_day, max_series
        self._bank = Bank()

    def dump(self) -> bytes:
        """Return the whole state, with the detector's name and version in front."""
        self._state.bank = self._bank.dump()
        return freeze(self.name, self.version, self._state)

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on bytes of another detector or version."""
        loaded = thaw(self.name, self.version, _State, state)
        self._bank = Bank()
        if loaded.bank:
            self._bank.load(loaded.bank)
        self._state = loaded

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        if not summary.series:
            return ()
        key = (summary.environment, summary.service)
        warmup = self._state.services.setdefault(key, Warmup(first=summary.start))
        touch(self._state.services, key, MAX_SERVICES)
        warmup.saw()
        windows, values = self._values(summary)
        # More than there is room for would push each other out while they are judged.
        windows, values = windows[: self._max_series], values[: self._max_series]
        if not windows:
            return ()
        rows = np.array([self._row((*key, str(one.key))) for one in windows])
        self._bank.grow(int(rows.max()) + 1)
        times = np.full(len(rows), summary.end, dtype=np.int64)
        look = self._bank.score(rows, times, np.array(values))
        young = summary.start - warmup.first < SERVICE_AGE
        found, flagged = self._judge(summary, windows, look, young)
        self._bank.learn(look, flagged)
        return found

    def _values(self, summary: WindowSummary) -> tuple[list[SeriesWindow], list[float]]:
        """Return the series of a window with one comparable value each."""
        windows: list[SeriesWindow] = []
        values: list[float] = []
        for window in summary.series:
            key = (summary.environment, summary.service, str(window.key))
            state = self._state.samples.setdefault(key, SeriesState())
            touch(self._state.samples, key, self._max_series)
            found = [value for value in comparable(state, window) if math.isfinite(value)]
            if found:
                windows.append(window)
                values.append(window_value(found))
        return windows, values

    def _row(self, key: SeriesId) -> int:
        rows = self._state.rows
        if key not in rows:
            if len(rows) >= self._max_series:
                self._forget(next(iter(rows)))
            rows[key] = self._state.free.pop() if self._state.free else len(rows)
        # The young end of the dictionary is what was seen last.
        rows[key] = rows.pop(key)
        return rows[key]

    def _forget(self, key: SeriesId) -> None:
        row = self._state.rows.pop(key)
        self._bank.reset(row)
        self._state.free.append(row)
        self._state.samples.pop(key, None)
        self._state.held.pop(key, None)

    def _judge(
        self, summary: WindowSummary, windows: Sequence[SeriesWindow], look: Look, young: bool
    ) -> tuple[list[Anomaly], Flags]:
        budget = self._state.budgets.setdefault(summary.environment, Budget(alarms_a_day=self._alarms_a_day))
        budget.alarms_a_day = self._alarms_a_day
        limit = budget.limit()
        known = self._bank.seen(look.rows) >= _KNOWN
        found: list[Anomaly] = []
        flagged = np.zeros(len(windows), dtype=np.bool_)
        held = {key for key in self._state.held if key[:2] == (summary.environment, summary.service)}
        for place, window in enumerate(windows):
            key = (summary.environment, summary.service, str(window.key))
            score = float(look.scores[place])
            if score >= limit and known[place] and key not in held:
                self._begin(key, window, look, place, limit, summary)
            if key in self._state.held:
                one = self._held(summary, key, window, float(look.values[place]), young)
                flagged[place] = one is not None
                found.extend([one] if one is not None else [])
        budget.learn(look.scores[known].tolist(), summary.end)
        return found, flagged

    def _begin(
        self,
        key: SeriesId,
        window: SeriesWindow,
        look: Look,
        place: int,
        limit: float,
        summary: WindowSummary,
    ) -> None:
        recent = self._bank.recent(int(look.rows[place]))
        usual = float(np.median(recent))
        away = float(look.values[place]) - usual
        least = smallest_scale(recent, window)
        if abs(away) < _MEANINGFUL * least:
            return
        # Beyond what the bank tells apart, farther is still stranger.
        score = float(look.scores[place]) * (1.0 + 0.02 * math.log1p(abs(away) / least))
        self._state.held[key] = _Held(
            usual=usual, away=away, score=score, limit=limit, since=summary.start, until=summary.end
        )
        while len(self._state.held) > _LONGEST:
            del self._state.held[next(iter(self._state.held))]

    def _held(
        self, summary: WindowSummary, key: SeriesId, window: SeriesWindow, value: float, young: bool
    ) -> Anomaly | None:
        """Return the finding as it goes on, None when it is over."""
        held = self._state.held[key]
        away = value - held.usual
        if away * held.away <= 0 or abs(away) < _STAYS * abs(held.away):
            del self._state.held[key]
            return None
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end) or summary.end - held.since >= ACCEPT_AFTER:
            del self._state.held[key]
            return None
        held.until = summary.end
        return self._anomaly(summary, window, held, value, run, young)

    def _anomaly(
        self,
        summary: WindowSummary,
        window: SeriesWindow,
        held: _Held,
        value: float,
        run: Run,
        young: bool,
    ) -> Anomaly:
        row = self._state.rows[(summary.environment, summary.service, str(window.key))]
        evidence = series_evidence(
            summary,
            window,
            expected=restored(held.usual, window),
            observed=restored(value, window),
            score=held.score,
            known=int(self._bank.seen(np.array([row]))[0]),
        )
        rose = held.away > 0
        finding = Finding(
            detector=NAME,
            subject=str(window.key),
            direction=Direction.UP if rose else Direction.DOWN,
            hit=series_hit(window.key.name) if rose else Hit.OTHER,
            score=held.score,
            threshold=held.limit,
            reason=f"{window.key.name} of {summary.service} does what it has not done before.",
            evidence=(evidence,),
            learning=young,
            instance=window.key.instance or None,
        )
        return anomaly(summary.environment, summary.service, run, finding, node_of(summary, finding.instance))
