"""When a finding may page somebody: once there is something to compare with, and the surer the sooner.

No clock decides. A service is new for its first few windows only; after that every score is divided by what
the shortness of its history is worth (`widening`), so that what is blatant counts after a minute and what is
subtle waits until enough is known to tell it from noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ingest.record import SECOND, Nanos

SERVICE_AGE: Nanos = 300 * SECOND
"""How long the series of a service that has just begun are watched before they may page."""
FEWEST = 6
"""Windows without which nothing can be compared."""

_TAIL = 4.75
"""Normal deviations that one window in a million exceeds."""


@dataclass(slots=True)
class Warmup:
    """How long and how often a service has been seen. `first` is the start of its first window."""

    first: Nanos
    windows: int = 0

    def learning(self, start: Nanos) -> bool:
        """Return whether a window starting at `start` still belongs to the warm-up."""
        del start
        return self.windows < FEWEST

    def saw(self) -> None:
        """Count one window."""
        self.windows += 1


def widening(freedom: float) -> float:
    """Return how many times wider one in a million is under Student's t than under the normal distribution.

    `freedom` are the degrees of freedom of the scale that a score was divided by. Inverse of D. L. Wallace's
    approximation (Bounds on normal approximations to Student's and the chi-square distributions, 1959).
    """
    freedom = max(freedom, 1.0)
    return math.sqrt(freedom * math.expm1(_TAIL * _TAIL / freedom)) / _TAIL
