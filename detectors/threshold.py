"""From a score to a finding: thresholds, persistence, and runs of windows that are one finding.

A score of 1 × threshold is worth showing, 2 × threshold opens an incident alone. Scores themselves are
made elsewhere; here is only the decision.
"""

from __future__ import annotations

import math
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
_PRIOR_EVENTS = 8.0
_PRIOR_EXCESS = 0.45
"""Mean excess over `BASE` of what is strange on series of many kinds, before these series told their own."""
_PRIOR_DAYS = 1.0
_MEMORY_DAYS = 28.0


@dataclass(slots=True)
class Budget:
    """The score that is reached `alarms_a_day` times a day, as the scores seen so far tell.

    Peaks over threshold: scores above `BASE` come at a rate, and their excesses are exponential (shape 0 of
    the generalised Pareto distribution; Siffer et al., *Anomaly Detection in Streams with Extreme Value
    Theory*, KDD 2017). Both are learned with a weak prior and fade over four weeks. What was above the limit
    enters cut to twice that, so that an anomaly does not raise the bar for the next.
    """

    alarms_a_day: float
    days: float = 0.0
    events: float = 0.0
    excess: float = 0.0
    time: Nanos = 0

    def limit(self) -> float:
        """Return the score from which on one is an alarm."""
        a_day = (self.events + _PRIOR_EVENTS) / (self.days + _PRIOR_DAYS)
        mean = (self.excess + _PRIOR_EVENTS * _PRIOR_EXCESS) / (self.events + _PRIOR_EVENTS)
        return BASE + mean * max(math.log(a_day / self.alarms_a_day), 0.5)

    def reached(self, score: float) -> bool:
        """Say whether `score` is an alarm."""
        return score >= self.limit()

    def learn(self, score: float, time: Nanos) -> None:
        """Count one score at `time`; times that go back count as the latest."""
        if self.time:
            passed = max(time - self.time, 0) / _DAY
            # A pipeline that was down for weeks saw nothing in them.
            passed = min(passed, 1.0)
            fade = math.exp(-passed / _MEMORY_DAYS)
            self.days, self.events, self.excess = (
                self.days * fade + passed,
                self.events * fade,
                self.excess * fade,
            )
        self.time = max(self.time, time)
        if score > BASE:
            self.events += 1.0
            self.excess += min(score, 2.0 * self.limit()) - BASE
