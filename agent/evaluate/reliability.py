"""The reliability plot: how often rankings were right against how sure they were. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.evaluate.figures import share

SIZE, EDGE = 240.0, 34.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Cases of about one confidence, and where they stand in the drawing."""

    confidence: float
    right: float
    cases: int
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """The bins, of equal mass, by confidence."""

    bins: tuple[Bin, ...]
    size: float = SIZE
    edge: float = EDGE


def reliability(judged: Sequence[tuple[float, bool]], bins: int = 5) -> Reliability:
    """Return the plot of (confidence, right) pairs in bins of equal mass."""
    ordered = sorted(judged)
    made = []
    for place in range(bins):
        part = ordered[place * len(ordered) // bins : (place + 1) * len(ordered) // bins]
        if part:
            mean, right = sum(c for c, _ in part) / len(part), share(hit for _, hit in part)
            room = SIZE - EDGE - 8
            made.append(
                Bin(
                    confidence=mean,
                    right=right,
                    cases=len(part),
                    x=round(EDGE + mean * room, 1),
                    y=round(8 + (1 - right) * room, 1),
                )
            )
    return Reliability(bins=tuple(made))
