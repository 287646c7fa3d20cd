"""When a detector is to learn anew, and whether what it learned may take over: rules, and what they watch.

Time is cut into spans of a day, so that no hour of the day looks like drift. A model is replaced when its
inputs have moved for several spans in a row (more than a weekend), or when so many windows are flagged for
a whole span that it no longer fits. A new version must not be louder than the old one. Pure: event time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.drift import Drift, Input, Inputs
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

HOUR: Nanos = 3600 * SECOND
DAY: Nanos = 24 * HOUR
ENOUGH = 1440
"""Windows of a span that are measured: more would cost time and tell nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When to retrain and when to take over. The defaults suit a system with daily rhythm and weekends."""

    automatic: bool = True
    """False: only a person's request retrains; drift is measured all the same."""
    span: Nanos = DAY
    distance: float = 0.4
    """Kolmogorov-Smirnov distance (0..1) from which an input has moved."""
    share: float = 0.5
    """Share of a detector's inputs that must have moved."""
    drifted_spans: int = 3
    """Spans in a row with such a share."""
    flagged: float = 0.2
    """Share of judged windows with a finding from which a model does not fit its system."""
    flagged_spans: int = 1
    shadow: Nanos = DAY
    """How long a new version runs beside the old one; the second half is compared."""
    least: int = 30
    """Judged windows that the compared half must have."""
    loud: float = 0.01
    """A new version that flags more windows than the old one is dropped, unless the share is below this."""
    pause: Nanos = 7 * DAY
    """Between the end of one retraining, or a rollback, and the next that a rule begins."""


@dataclass(slots=True)
class Watch:
    """What the rules know of the version that is active."""

    inputs: Inputs = field(default_factory=Inputs)
    since: Nanos = 0
    """Start of the span under way."""
    judged: int = 0
    flagged: int = 0
    drifted_row: int = 0
    flagged_row: int = 0
    drift: float = 0.0
    """Share of the inputs that had moved at the end of the last span."""
    flagged_share: float = 0.0
    """Share of the windows flagged in the last span."""

    def saw(self, summary: WindowSummary, reads: frozenset[Input], rules: Rules, *, flagged: bool) -> None:
        """Count one service's window that the detector judged."""
        if not self.since:
            self.since = summary.start
        if _sampled(summary, rules.span):
            self.inputs.add(summary, reads)
        self.judged += 1
        self.flagged += flagged

    def drift_now(self, rules: Rules) -> float:
        """Return the share of moved inputs in the span so far, or of the last one while it is too young."""
        now = self.inputs.measure(rules.distance)
        return now.share if now.compared else self.drift

    def end_span(self, end: Nanos, rules: Rules) -> str | None:
        """At the end of a span measure, and say why to learn anew if so; in between return None."""
        if not self.since or end - self.since < rules.span:
            return None
        drift = self.inputs.measure(rules.distance)
        self.drift = drift.share
        self.flagged_share = self.flagged / self.judged if self.judged else 0.0
        self.drifted_row = self.drifted_row + 1 if drift.compared and drift.share >= rules.share else 0
        self.flagged_row = self.flagged_row + 1 if self.flagged_share >= rules.flagged else 0
        self.inputs.end_span()
        self.since, self.judged, self.flagged = end, 0, 0
        return self._reason(drift, rules)

    def _reason(self, drift: Drift, rules: Rules) -> str | None:
        if self.flagged_row >= rules.flagged_spans:
            return f"{self.flagged_share:.0%} of windows flagged {_spans(self.flagged_row, rules)}"
        if self.drifted_row >= rules.drifted_spans:
            return f"drift {_spans(self.drifted_row, rules)}: {drift}"
        return None


def _sampled(summary: WindowSummary, span: Nanos) -> bool:
    """Say whether a window is one of the `ENOUGH` of a span whose inputs are measured.

    One of every few, each few another one: what comes once a minute is met too, whenever in the minute.
    """
    width = summary.end - summary.start
    every = max(1, span // (ENOUGH * width))
    index = summary.start // width
    return index % every == index // every % every


def _spans(count: int, rules: Rules) -> str:
    return f"for {count * rules.span / HOUR:.3g} h"


@dataclass(slots=True)
class Trial:
    """A new version beside the old one: windows that each flagged in the second half of the shadow time."""

    begun: Nanos
    judged: int = 0
    old: int = 0
    new: int = 0

    def counts(self, start: Nanos, rules: Rules) -> bool:
        """Say whether a window that begins at `start` is compared."""
        return start - self.begun >= rules.shadow // 2

    def saw(self, start: Nanos, rules: Rules, *, judged: int, old: int, new: int) -> None:
        """Count windows and what each version flagged of them."""
        if self.counts(start, rules):
            self.judged, self.old, self.new = self.judged + judged, self.old + old, self.new + new

    def over(self, end: Nanos, rules: Rules) -> bool:
        """Say whether the new version has run long enough."""
        return end - self.begun >= rules.shadow and self.judged >= rules.least

    def louder(self, rules: Rules) -> bool:
        """Say whether the new version flags more than the old one, and more than next to nothing."""
        return self.new > max(self.old, rules.loud * self.judged)
