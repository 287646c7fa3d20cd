"""From a score to a finding: thresholds, persistence, and runs of windows that are one finding.

A score of 1 × threshold is worth showing, 2 × threshold opens an incident alone. Scores themselves are
made elsewhere; here is only the decision.
"""

from __future__ import annotations

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
