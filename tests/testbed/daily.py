"""The shop's day: how busy each hour is, squeezed into as many seconds as a run can spare.

Pure. The night is a valley, the morning rises, lunch dips, the evening is the peak; every seed has a day of
its own that keeps this shape. The mean over a day is 1, so a rate stays what it says.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from dataclasses import asdict, dataclass

DAY_VARIABLE = "SHOP_DAY"
HOURS = 24.0

_SHAPE = (
    (0.0, 0.55),
    (4.0, 0.25),
    (7.0, 0.6),
    (10.5, 1.35),
    (13.0, 0.95),
    (16.0, 1.25),
    (20.0, 1.9),
    (22.5, 1.05),
)
"""Hour and how busy it is, before a seed's jitter and before the mean is made 1."""
_HOUR_JITTER, _BUSY_JITTER = 0.4, 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of `length_s` seconds that swings by `depth` (0: not at all, 1: fully), begun at an hour."""

    length_s: float = 7200.0
    depth: float = 0.0
    begins: float = 0.0
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Day:
        """Return the day that `text` was written from, a flat one for nothing."""
        return cls(**json.loads(text)) if text else cls()

    def text(self) -> str:
        """Return the day as one word for an environment variable."""
        return json.dumps(asdict(self))

    def hour(self, passed_s: float) -> float:
        """Return the hour, 0 to 24, after `passed_s` seconds of the run."""
        return (self.begins + HOURS * passed_s / self.length_s) % HOURS

    def busy(self, passed_s: float) -> float:
        """Return how many times the mean comes in now."""
        return 1 + self.depth * (_busy(_curve(self.seed), self.hour(passed_s)) - 1) if self.depth else 1.0


def _curve(seed: int) -> list[tuple[float, float]]:
    """Return (hour, busy) once round the clock, the first again at the end, with mean 1."""
    chance = random.Random(seed)
    points = [
        (
            hour + (chance.uniform(-_HOUR_JITTER, _HOUR_JITTER) if hour else 0.0),
            busy * (1 + chance.uniform(-_BUSY_JITTER, _BUSY_JITTER)),
        )
        for hour, busy in _SHAPE
    ]
    points.append((HOURS, points[0][1]))
    # A half cosine between two points has their mean.
    mean = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points)) / HOURS
    return [(hour, busy / mean) for hour, busy in points]


def _busy(curve: list[tuple[float, float]], hour: float) -> float:
    before, after = next(pair for pair in itertools.pairwise(curve) if hour <= pair[1][0])
    share = (hour - before[0]) / (after[0] - before[0])
    return before[1] + (after[1] - before[1]) * (1 - math.cos(math.pi * share)) / 2
