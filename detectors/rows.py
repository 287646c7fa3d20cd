"""What `detectors.joint` keeps of one service: its rows, what calm ones reached, and what may be noise.

Plain values only, so that it travels as bytes; the model is made from the rows where it is needed. Rows keep
the order of their windows; the oldest go first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.ellipse import Values, Verdict
from detectors.vectors import Dimension
from detectors.warmup import Warmup, widening
from ingest.record import Nanos

WIDTH = 12
"""Dimensions kept of a service; the first ones it shows."""
KEPT = 360
FIRST = 20
REFIT = 30
"""Rows of the first model, and new ones after which it is fitted again."""
SPAN = 3
"""Windows averaged: low traffic makes quantiles of one window noise."""
_LEAST_REACH = 2.5
"""Deviations within which a window is calm whatever others were."""
_VALUE = 4
"""Bytes of a number in a row."""


@dataclass(slots=True)
class Service:
    """What is known of one service. `rows` are packed float32 vectors, `WIDTH` wide, NaN where missing."""

    warmup: Warmup
    names: list[str] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    rows: bytearray = field(default_factory=bytearray)
    fitted: int = 0
    """How many of the rows, from the first on, the model was fitted to; 0 before the first fit."""
    recent: list[list[float]] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    held: tuple[list[float], float] | None = None
    """A strange row with its distance, until the next shows whether it was noise."""
    streak: int = 0
    last: Nanos = 0

    def matrix(self) -> Values:
        """Return the kept rows, oldest first."""
        return np.frombuffer(bytes(self.rows), dtype="<f4").reshape(-1, WIDTH).astype(np.float64)

    def learn(self, row: list[float]) -> None:
        """Keep a row."""
        self.rows += np.array(row, dtype="<f4").tobytes()

    def due(self) -> bool:
        """Say whether so many rows are new that the model is fitted again."""
        news = len(self.rows) // (_VALUE * WIDTH) - self.fitted
        return news >= (REFIT if self.fitted else FIRST)

    def refit(self) -> None:
        """Let go of the oldest rows beyond `KEPT`; the model is one of all that are left."""
        del self.rows[: max(0, len(self.rows) - KEPT * _VALUE * WIDTH)]
        self.fitted = len(self.rows) // (_VALUE * WIDTH)

    def forget(self) -> None:
        """Begin to learn anew: what was an anomaly is the normal state."""
        self.rows.clear()
        self.fitted = self.streak = 0
        self.calm, self.held = [], None


def row_of(service: Service, seen: Sequence[Dimension]) -> list[float]:
    """Return the window's numbers in the service's columns; a new dimension takes the next free one."""
    row = [math.nan] * WIDTH
    for one in seen:
        if one.name not in service.names and len(service.names) < WIDTH:
            service.names.append(one.name)
            service.least.append(one.least)
        if one.name in service.names:
            row[service.names.index(one.name)] = one.value
    return row


def averaged(rows: Sequence[Sequence[float]] | Values) -> Values:
    """Return each row as the mean of itself and the `SPAN` - 1 before it, over what is there."""
    given = np.array(rows, dtype=np.float64)
    known = np.isfinite(given)
    sums, counts = np.where(known, given, 0.0), known.astype(np.float64)
    for back in range(1, min(SPAN, len(given))):
        sums[back:] += np.where(known, given, 0.0)[:-back]
        counts[back:] += known[:-back]
    means: Values = np.where(counts > 0.0, sums / np.maximum(counts, 1.0), np.nan)
    return means


def settle(service: Service, row: list[float], verdict: Verdict | None) -> None:
    """Learn a calm window; a lone strange one is learned once a calm one shows that it was noise."""
    if service.held is not None:
        service.learn(service.held[0])
        service.calm.append(service.held[1])
        service.held = None
    service.streak = 0
    service.learn(row)
    if verdict is not None:
        service.calm = [*service.calm[-(KEPT - 1) :], verdict.distance]


def reach(calm: Sequence[float]) -> float:
    """Return the distance that calm windows reached more than once, widened while few are known."""
    usual = sorted(calm)[-2] if len(calm) > 1 else 0.0
    return max(usual, _LEAST_REACH) * max(1.0, 0.5 * widening(len(calm) / SPAN))
