"""Count models that learn one window at a time: how many to expect, and how surprising a count is.

Scores are in standard deviations of what the model has seen. Counts are compared after the Anscombe
transform (F. J. Anscombe, *The transformation of Poisson, binomial and negative-binomial data*,
Biometrika 1948), which makes Poisson noise one unit wide at any level; overdispersion and recent peaks
widen the unit. Nothing here decides; thresholds are apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HALF_LIFE = 180.0
"""Windows after which what was seen counts half: 30 min of 10 s windows."""

PEAK_HALF_LIFE = 720.0
MINIMUM = 6.0
"""Effective windows before a model says anything."""

_DECAY = 0.5 ** (1 / HALF_LIFE)
_PEAK_DECAY = 0.5 ** (1 / PEAK_HALF_LIFE)
_BURN_IN = 3.0
_TYPICAL_PEAK = 3.0
"""The highest of an hour's noise lies about this many units above its mean."""
_PRIOR_UNIT = 1.3
_PRIOR_WINDOWS = 4.0
"""Counts of most services vary a little more than Poisson's; taken for granted like this many windows."""


def anscombe(count: float) -> float:
    """Return the count on a scale where Poisson noise is one unit wide."""
    return 2.0 * math.sqrt(max(count, 0.0) + 0.375)


@dataclass(slots=True)
class RateModel:
    """Expected count per unit of exposure, with the spread around it. Old windows fade."""

    total: float = 0.0
    exposure: float = 0.0
    windows: float = 0.0
    spread: float = 0.0
    """Decayed sum of squared residuals on the transformed scale."""
    residuals: float = 0.0
    peak: float = 0.0

    def expected(self, exposure: float = 1.0) -> float:
        """Return the count to expect under `exposure`."""
        return self.total / self.exposure * exposure if self.exposure > 0 else 0.0

    def unit(self) -> float:
        """Return the width of ordinary variation on the transformed scale, at least 1."""
        assumed = _PRIOR_WINDOWS * _PRIOR_UNIT * _PRIOR_UNIT
        deviation = math.sqrt((self.spread + assumed) / (self.residuals + _PRIOR_WINDOWS))
        return max(1.0, deviation, self.peak / _TYPICAL_PEAK)

    def score_one(self, count: float, exposure: float = 1.0) -> float:
        """Return units above (negative: below) the expected count; 0 while too little is known."""
        if self.windows < MINIMUM:
            return 0.0
        # The expectation rests on so much exposure only: its own error widens the range of what may come
        # (the variance of a negative binomial, which is the prediction for a Poisson count after others).
        doubt = math.sqrt(1.0 + exposure / self.exposure) if self.exposure > 0 else 1.0
        return (anscombe(count) - anscombe(self.expected(exposure))) / (self.unit() * doubt)

    def learn_one(self, count: float, exposure: float = 1.0) -> None:
        """Learn one window."""
        if self.windows >= _BURN_IN:
            residual = anscombe(count) - anscombe(self.expected(exposure))
            self.spread = self.spread * _DECAY + residual * residual
            self.residuals = self.residuals * _DECAY + 1.0
            self.peak = max(abs(residual), self.peak * _PEAK_DECAY)
        self.total = self.total * _DECAY + count
        self.exposure = self.exposure * _DECAY + exposure
        self.windows = self.windows * _DECAY + 1.0

    def learn_zeros(self, windows: int) -> None:
        """Learn `windows` windows with count 0 and exposure 1 at once."""
        if windows <= 0:
            return
        decay = _DECAY**windows
        ones = (1.0 - decay) / (1.0 - _DECAY)
        if self.windows >= _BURN_IN:
            residual = anscombe(0.0) - anscombe(self.expected())
            self.spread = self.spread * decay + residual * residual * ones
            self.residuals = self.residuals * decay + ones
            self.peak = max(abs(residual), self.peak * _PEAK_DECAY**windows)
        self.total *= decay
        self.exposure = self.exposure * decay + ones
        self.windows = self.windows * decay + ones


LONG = 6
"""Windows of the long view: a minute."""


@dataclass(slots=True)
class BurstModel:
    """A count at two scales: one window, where bursts show, and the last `LONG`, where slow rises do."""

    short: RateModel = field(default_factory=RateModel)
    long: RateModel = field(default_factory=RateModel)
    counts: list[float] = field(default_factory=list)
    exposures: list[float] = field(default_factory=list)
    streak: int = 0
    """High windows in a row, up to now."""
    held: tuple[float, float] | None = None
    """Count and exposure of the first high window, until it is clear whether it was noise."""

    def settle(self, count: float, exposure: float, *, high: bool) -> None:
        """Learn a window unless it is high; a lone high one is learned once a normal one follows it.

        What comes every ten minutes for a moment is thus known after the first time.
        """
        if high:
            self.streak += 1
            self.held = (float(count), float(exposure)) if self.streak == 1 else None
            self.pass_by(count, exposure)
            return
        if self.held is not None:
            self.short.learn_one(*self.held)
            self.held = None
        self.streak = 0
        self.learn_one(count, exposure)

    def score_one(self, count: float, exposure: float = 1.0) -> float:
        """Return the higher of the two scores; the long view speaks only while the count is above normal."""
        score = self.short.score_one(count, exposure)
        if len(self.counts) >= LONG - 1 and count > self.short.expected(exposure):
            counts, exposures = self._long(count, exposure)
            known = self.long.windows >= MINIMUM
            # While too few minutes were seen, what single windows taught is stretched over one.
            lasting = (
                self.long.score_one(counts, exposures)
                if known
                else self.short.score_one(counts, exposures * LONG)
            )
            score = max(score, lasting)
        return score

    def learn_one(self, count: float, exposure: float = 1.0) -> None:
        """Learn one window that was not flagged."""
        self.short.learn_one(count, exposure)
        if len(self.counts) >= LONG - 1:
            self.long.learn_one(*self._long(count, exposure))
        self.pass_by(count, exposure)

    def pause(self, windows: int) -> None:
        """Learn `windows` windows without any."""
        for _ in range(min(windows, LONG)):
            self.settle(0.0, 1.0, high=False)
        rest = windows - LONG
        self.short.learn_zeros(rest)
        self.long.learn_zeros(rest)

    def pass_by(self, count: float, exposure: float = 1.0) -> None:
        """Keep the window for the long view without learning from it."""
        self.counts = [*self.counts[-(LONG - 2) :], float(count)]
        self.exposures = [*self.exposures[-(LONG - 2) :], float(exposure)]

    def _long(self, count: float, exposure: float) -> tuple[float, float]:
        kept = LONG - 1
        return sum(self.counts[-kept:]) + count, (sum(self.exposures[-kept:]) + exposure) / LONG


@dataclass(slots=True)
class PresenceModel:
    """In what share of windows something occurs, and how surprising its absence has become."""

    present: float = 0.0
    windows: float = 0.0
    mean: float = 0.0
    absent: int = 0
    """Windows in a row without it."""

    def steady(self) -> bool:
        """Say whether it occurs in nearly every window and has been seen often enough to tell."""
        return self.windows >= 30.0 and self.present / self.windows >= 0.95

    def score_one(self, share: float) -> float:
        """Return the surprise of its current absence, with traffic at `share` (0..1) of the usual."""
        missing = 1.0 - self.present / self.windows + 1.0 / self.windows
        surprise = min(-math.log(missing), self.mean * share)
        return self.absent * surprise

    def learn_one(self, count: int) -> None:
        """Learn one window; a count of 0 is only learned once the thing came back or was given up."""
        if count == 0:
            self.absent += 1
            return
        self._fade(self.absent, 0.0)
        self.absent = 0
        self._fade(1, float(count))

    def _fade(self, windows: int, count: float) -> None:
        for _ in range(min(windows, LONG)):
            self.present = self.present * _DECAY + (1.0 if count else 0.0)
            self.windows = self.windows * _DECAY + 1.0
            self.mean += (count - self.mean) / self.windows
