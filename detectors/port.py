"""The one port of this room: what a detector is. Held by `tests/contract/test_detectors.py`.

A detector sees every closed window in time order, service by service, then one tick. It keeps its own
state, reads no clock, and gives and takes that state as bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from detectors.anomaly import Anomaly
from ingest.record import Nanos
from ingest.summary import WindowSummary


class Detector(Protocol):
    """Streaming detector. Not thread-safe; owned by the stream thread."""

    @property
    def name(self) -> str:
        """Stable name; part of anomaly ids."""
        ...

    @property
    def version(self) -> str:
        """Changes when its state or its meaning does."""
        ...

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        """Judge one service's window, then learn from it."""
        ...

    def tick(self, end: Nanos) -> Sequence[Anomaly]:
        """Judge what the window ending at `end` did not bring (silence). After all its summaries."""
        ...

    def dump(self) -> bytes:
        """Return the whole state. `load(dump())` into a fresh one continues identically."""
        ...

    def load(self, state: bytes) -> None:
        """Replace the state. Raises ValueError on bytes of another version."""
        ...


@runtime_checkable
class LearnsSeries(Protocol):
    """A detector that can tell how far it is with single series."""

    def learning_series(self) -> tuple[int, int]:
        """Return how many series are being learned, and how many there are."""
        ...
