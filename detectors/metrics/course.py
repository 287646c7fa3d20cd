"""How one series comes and moves: how long it may stand still or stay away before that is strange. Pure.

A standstill is strange once its chance is one in 10⁸, as the share of windows tells in which the series
repeated itself before, and it is long beside the longest one seen; an absence, once it is long beside the
longest pause. What was strange and ended is half learned: another standstill as long is silent then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from ingest.record import SECOND, Nanos

KNOWN = 60
"""Windows with samples before a standstill may be strange."""
REGULAR = 30
"""The same for an absence."""
_SELDOM = 0.05
"""Share of windows in which a series that moves may have repeated itself."""
_DECADES = 8.0
_FEWEST = 4
"""Windows that a standstill lasts at least."""
_TIMES = 3.0
"""How many times the longest one seen."""
_FADE = 0.9995
"""Per window: what the longest standstill and pause fade to half within 1,400."""
_SHORTEST: Nanos = 60 * SECOND
_LONGEST_PAUSE: Nanos = 300 * SECOND
"""Who pauses for longer comes now and then and is not missed."""


class Course(msgspec.Struct, array_like=True, gc=False):
    """One series: when it came and how often it repeated itself. Times in nanoseconds."""

    name: str
    instance: str
    unit: str
    last: Nanos
    """End of its last window with samples."""
    seen: int = 0
    """Windows with samples."""
    value: float = math.nan
    """The last one."""
    repeated: int = 0
    run: int = 0
    """Windows of the present standstill."""
    since: Nanos = 0
    """When that began."""
    longest: float = 0.0
    pause: float = 0.0
    """Longest time between two windows with samples."""

    def came(self, start: Nanos, end: Nanos, values: Sequence[float]) -> None:
        """Learn one window's finite values; a window that comes late, or twice, is none."""
        if end <= self.last:
            return
        if self.seen:
            gap = float(max(start - self.last, 0))
            self.pause = max(self.pause * _FADE, 0.5 * gap if self.missing(start) else gap)
        same = all(value == self.value for value in values)
        if same and self.run == 0:
            self.since = start
        if not same:
            self._moved()
        self.run = self.run + 1 if same else 0
        self.value, self.last = values[-1], end
        self.seen += 1

    def _moved(self) -> None:
        """Learn from the standstill that is over."""
        if self.stands():
            self.longest = max(self.longest, 0.5 * self.run)
        else:
            self.repeated += self.run
            self.longest = max(self.longest, float(self.run))
        self.longest *= _FADE

    def moves(self) -> bool:
        """Say whether the series is known as one that does not stand still for long."""
        known = self.seen - self.run
        return known >= KNOWN and self.repeated <= _SELDOM * known

    def needed(self) -> float:
        """Return from how many windows on a standstill is strange."""
        share = (self.repeated + 1.0) / (max(self.seen - self.run, 0) + 2.0)
        return max(_FEWEST, _TIMES * self.longest, _DECADES / -math.log10(share))

    def stands(self) -> bool:
        """Say whether it stands still, strangely; at zero nothing happens, which is no standstill."""
        return self.value != 0.0 and self.moves() and self.run >= self.needed()

    def regular(self) -> bool:
        """Say whether the series is one that may be missed."""
        return self.seen >= REGULAR and self.pause <= _LONGEST_PAUSE

    def missing(self, now: Nanos) -> bool:
        """Say whether it has stayed away for strangely long."""
        return self.regular() and now - self.last >= max(_SHORTEST, 4.0 * self.pause)

    def accept(self) -> None:
        """Take what stands still as what it does now."""
        self.repeated, self.seen, self.run, self.longest = 0, 1, 0, 0.0
