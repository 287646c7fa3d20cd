"""Time in bins while a recording of unknown length streams by: narrow at first, widened when there are many.

Pure state, no clock. Widths are multiples of each other, so widening only adds neighbours up and a recording
gives the same bins in any order of its lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.record import SECOND, Nanos

WIDTHS = (1, 5, 10, 30, 60, 120, 600, 1800, 3600, 21600, 86400)
"""Seconds; each divides the next."""
MOST = 240
"""Occupied bins that are kept; more could not be told apart on a screen."""


@dataclass(slots=True)
class Bins:
    """Which bins are occupied at the present width. Who counts by bin asks to be told of a widening."""

    step: int = 0
    occupied: set[int] = field(default_factory=set)
    listeners: list[Callable[[int], None]] = field(default_factory=list)

    @property
    def width(self) -> Nanos:
        return WIDTHS[self.step] * SECOND

    def of(self, time: Nanos) -> int:
        """Return the bin of `time`, widening all bins first where it would be one too many."""
        number = time // self.width
        if number not in self.occupied:
            self.occupied.add(number)
            while len(self.occupied) > MOST and self.step + 1 < len(WIDTHS):
                self.widen()
            number = time // self.width
        return number

    @property
    def next_count(self) -> int:
        """Return how many bins there would be after the next widening, 0 at the widest."""
        if self.step + 1 == len(WIDTHS):
            return 0
        factor = WIDTHS[self.step + 1] // WIDTHS[self.step]
        return len({number // factor for number in self.occupied})

    def widen(self) -> None:
        """Go to the next width; listeners hear by how many bins become one."""
        factor = WIDTHS[self.step + 1] // WIDTHS[self.step]
        self.step += 1
        self.occupied = {number // factor for number in self.occupied}
        for listener in self.listeners:
            listener(factor)

    def settle(self, most: int) -> None:
        """Widen until at most `most` bins are occupied."""
        while len(self.occupied) > most and self.step + 1 < len(WIDTHS):
            self.widen()
