"""When a service counts as known: every detector asks this before a finding may page somebody."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.record import SECOND, Nanos

SERVICE_AGE: Nanos = 300 * SECOND
SERVICE_WINDOWS = 30


@dataclass(slots=True)
class Warmup:
    """How long and how often a service has been seen. `first` is the start of its first window."""

    first: Nanos
    windows: int = 0

    def learning(self, start: Nanos) -> bool:
        """Return whether a window starting at `start` still belongs to the warm-up."""
        return self.windows < SERVICE_WINDOWS or start - self.first < SERVICE_AGE

    def saw(self) -> None:
        """Count one window."""
        self.windows += 1
