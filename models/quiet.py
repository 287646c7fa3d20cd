"""How long to leave a runtime alone after it crashed again and again.

Pure: time comes in as an argument, in seconds of any steady clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietPolicy:
    """From `crashes` in a row on, `seconds` of quiet, doubled by each further crash up to `seconds_max`."""

    crashes: int = 3
    seconds: float = 5.0
    seconds_max: float = 300.0


class QuietPeriod:
    """Counts crashes in a row; one success forgets them."""

    def __init__(self, policy: QuietPolicy) -> None:
        self.crashes = 0
        self._policy = policy
        self._until = float("-inf")

    def note_crash(self, now: float) -> None:
        self.crashes += 1
        doublings = self.crashes - self._policy.crashes
        if doublings >= 0:
            # A bounded exponent: after a thousand crashes 2.0**n would overflow.
            wanted = self._policy.seconds * 2.0 ** min(doublings, 60)
            self._until = now + min(wanted, self._policy.seconds_max)

    def note_success(self) -> None:
        self.crashes = 0

    def left(self, now: float) -> float:
        """Return the seconds of quiet still to go, 0 where there are none."""
        return max(self._until - now, 0.0)
