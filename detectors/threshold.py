"""From a score to a finding: thresholds, persistence, and runs of windows that are one finding.

A score of 1 × threshold is worth showing, 2 × threshold opens an incident alone. Scores themselves are
made elsewhere; here is only the decision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.record import SECOND, Nanos

ACCEPT_AFTER: Nanos = 1800 * SECOND
"""A new level that has stood this long is the normal one from then on."""

MAX_RUNS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """`consecutive` scored windows must reach `value`, unless one reaches `extreme` × `value`."""

    value: float
    consecutive: int = 1
    extreme: float = 3.0

    def reached(self, score: float, streak: int) -> bool:
        """Say whether `score`, the last of `streak` in a row at or above `value`, is a finding."""
        return score >= self.value and (streak >= self.consecutive or score >= self.extreme * self.value)


RunKey = tuple[str, str, str]
"""Environment, service, subject."""


@dataclass(slots=True)
class Run:
    """Windows of one subject that are one finding, from the first's start to the last's end."""

    since: Nanos
    until: Nanos


@dataclass(slots=True)
class Runs:
    """Ongoing findings by subject: consecutive ones keep the first one's start, and so its id."""

    gap: Nanos
    """A finding this long after the last one is a new one."""
    open: dict[RunKey, Run] = field(default_factory=dict)

    def extend(self, key: RunKey, start: Nanos, end: Nanos) -> Run:
        """Add the window [start, end) to the run of `key`, or begin one."""
        run = self.open.get(key)
        if run is None or start - run.until > self.gap:
            run = self.open[key] = Run(since=start, until=end)
            while len(self.open) > MAX_RUNS:
                del self.open[next(iter(self.open))]
        run.until = max(run.until, end)
        return run

    def ongoing(self, key: RunKey, start: Nanos) -> Run | None:
        """Return the run that a finding at `start` would continue."""
        run = self.open.get(key)
        return run if run is not None and start - run.until <= self.gap else None

    def accepted(self, key: RunKey, end: Nanos) -> bool:
        """Say whether the run of `key` has stood so long that its level is normal now; ends it if so."""
        run = self.open.get(key)
        if run is None or end - run.since < ACCEPT_AFTER:
            return False
        del self.open[key]
        return True

    def prune(self, end: Nanos) -> None:
        """Forget runs that nothing can continue any more."""
        for key in [key for key, run in self.open.items() if end - run.until > self.gap]:
            del self.open[key]


BASE = 0.3
"""Budgeted scores up to here are everyday."""
_DAY: Nanos = 86_400 * SECOND
_PRIOR_VALUES = 300.0
_PRIOR_SHARE = 0.03
_PRIOR_EVENTS = _PRIOR_VALUES * _PRIOR_SHARE
_PRIOR_EXCESS = 0.45
"""Mean excess over `BASE` of what is strange on series of many kinds, before these told their own."""
_LEAST_DAYS = 0.007
_MEMORY_DAYS = 28.0
_LEAST_EXCESSES = 0.5


@dataclass(slots=True)
class Budget:
    """The score that is reached `alarms_a_day` times a day, as the scores seen so far tell.

    Peaks over threshold: a share of all scores is above `BASE`, and their excesses are exponential (shape 0
    of the generalised Pareto distribution; Siffer et al., *Anomaly Detection in Streams with Extreme Value
    Theory*, KDD 2017). Both are learned with a weak prior and fade over four weeks. What is far above the
    limit enters cut, so that an anomaly does not raise the bar for the next.
    """

    alarms_a_day: float
    days: float = 0.0
    values: float = 0.0
    events: float = 0.0
    excess: float = 0.0
    time: Nanos = 0

    def limit(self) -> float:
        """Return the score from which on one is an alarm."""
        share = (self.events + _PRIOR_EVENTS) / (self.values + _PRIOR_VALUES)
        a_day = share * max(self.values, 1.0) / max(self.days, _LEAST_DAYS)
        mean = (self.excess + _PRIOR_EVENTS * _PRIOR_EXCESS) / (self.events + _PRIOR_EVENTS)
        return BASE + mean * max(math.log(a_day / self.alarms_a_day), _LEAST_EXCESSES)

    def reached(self, score: float) -> bool:
        """Say whether `score` is an alarm."""
        return score >= self.limit()

    def learn(self, scores: Sequence[float], time: Nanos) -> None:
        """Learn the scores of one time; a time that goes back counts as the latest."""
        passed = max(time - self.time, 0) / _DAY if self.time else 0.0
        # Who was down for weeks saw nothing in them.
        passed = min(passed, 1.0)
        fade = math.exp(-passed / _MEMORY_DAYS)
        most = 2.0 * self.limit()
        high = [min(score, most) - BASE for score in scores if score > BASE]
        self.days = self.days * fade + passed
        self.values = self.values * fade + len(scores)
        self.events = self.events * fade + len(high)
        self.excess = self.excess * fade + sum(high)
        self.time = max(self.time, time)
