"""What the scenarios of all detectors are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detectors.port import Detector
from ingest.summary import WindowSummary

WARM = 120
"""Windows that every detector has learned enough after."""


@dataclass(frozen=True)
class Scenario:
    """A detector with telemetry that is normal to it, strange to it, and far too much for it."""

    name: str
    make: Callable[[], Detector]
    normal: Callable[[int], Sequence[WindowSummary]]
    strange: Callable[[int, int], Sequence[WindowSummary]]
    """Window index and strength, 1 or more."""
    flood: Callable[[int], Sequence[WindowSummary]]


def noise(index: int) -> random.Random:
    """Return the chance of a window, the same every time."""
    return random.Random(f"window {index}")
